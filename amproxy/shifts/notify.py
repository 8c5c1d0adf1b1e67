"""Notices on their way: each over the channels that its person named."""

from __future__ import annotations

from collections.abc import Iterable

from amproxy.config.contacts import contact_address
from amproxy.context import Context
from amproxy.machine.draft import new_id
from amproxy.model import OutgoingMessage, Swap
from amproxy.oncall import notices
from amproxy.oncall.notice import Notice
from amproxy.store.commit import Operations
from amproxy.store.incidents import enqueue


def outgoing_notices(context: Context, found: Iterable[Notice]) -> list[OutgoingMessage]:
    """One message for each channel that reaches the person."""
    users, now = context.config.users, context.now()
    return [
        OutgoingMessage(
            id=new_id(), kind="notice", channel=channel, user=notice.user, due=now, address=where, subject=notice.subject, text=notice.text,
            reason=notice.kind,
        )
        for notice in found
        for channel in users[notice.user].notices.get(notice.kind, ())
        if (where := contact_address(users[notice.user], channel)) is not None
    ]  # fmt: skip


def swap_request_operations(context: Context, swap: Swap) -> Operations:
    """What tells those of a schedule that somebody asks for a swap: commit it together with the swap, then `context.wake(outbox=True)`.

    Nothing for a schedule that the file does not know.
    """
    result = Operations()
    if swap.schedule in context.config.schedules:
        for message in outgoing_notices(context, notices.swap_request_notices(context.roster, swap)):
            enqueue(result, message)
    return result
