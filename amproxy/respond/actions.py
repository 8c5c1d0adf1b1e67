"""A human answer becomes an event: the one way in for buttons, commands, links, pages and the API."""

from __future__ import annotations

import contextlib
from typing import Literal, get_args

import msgspec

from amproxy.apply import apply
from amproxy.config.structs import Urgency
from amproxy.context import Context
from amproxy.errors import Conflict, NotFound, StoreUnavailable
from amproxy.machine.events import Acknowledge, Act, AddResponders, Escalate, Note, Reassign, Reopen, Resolve, Snooze, Unacknowledge
from amproxy.model import Incident
from amproxy.notify.channels.press import Press
from amproxy.respond import bundles
from amproxy.respond.merging import merge
from amproxy.respond.targets import BadAction, Target, people, step
from amproxy.store import audit
from amproxy.store.audit import Entry

ActionName = Literal[
    "acknowledge", "unacknowledge", "resolve", "reopen", "snooze", "escalate", "reassign", "responders", "merge", "note"
]  # fmt: skip
ACTIONS: tuple[ActionName, ...] = get_args(ActionName)
DEFAULT_SNOOZE = 3600.0  # seconds


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """Who asks for what."""

    action: ActionName
    user: str  # name in the file; "" = unknown
    via: str  # "web", "telegram", "slack", "email", "api"
    epoch: int | None = None
    until: float | None = None  # of a snooze, Unix seconds
    text: str = ""  # of a note
    to: Target = Target()  # of reassign and responders
    urgency: Urgency = "default"  # of the pages that these two cause
    into: str = ""  # of merge: the id of the other incident


async def perform(context: Context, incident_id: str, request: Request) -> Incident:
    """Do it; return the incident as it is then. Raises NotFound, Conflict, BadAction, StoreUnavailable."""
    if request.action == "merge":
        return await merge(context, incident_id, request.into, user=request.user, via=request.via)
    return await apply(context, incident_id, _event(context, request))


def _event(context: Context, request: Request) -> Act:
    user, via, epoch = request.user, request.via, request.epoch
    match request.action:
        case "acknowledge":
            return Acknowledge(user=user, via=via, epoch=epoch)
        case "unacknowledge":
            return Unacknowledge(user=user, via=via, epoch=epoch)
        case "resolve":
            return Resolve(user=user, via=via, epoch=epoch)
        case "reopen":
            return Reopen(user=user, via=via, epoch=epoch)
        case "escalate":
            return Escalate(user=user, via=via, epoch=epoch)
        case "reassign":
            return Reassign(user=user, via=via, epoch=epoch, to=step(context.config, request.to, request.urgency))
        case "responders":
            return AddResponders(user=user, via=via, epoch=epoch, to=people(context.config, request.to, request.urgency))
        case "snooze":
            until = request.until if request.until is not None else context.now() + DEFAULT_SNOOZE
            if until <= context.now():
                raise BadAction("the end of a snooze must lie in the future")
            return Snooze(user=user, via=via, epoch=epoch, until=until)
        case "note":
            if not request.text.strip():
                raise BadAction("a note needs a text")
            return Note(user=user, via=via, text=request.text.strip())
        case _:
            raise BadAction(f"{request.action} is no action on one incident")


async def press(context: Context, pressed: Press) -> str:
    """Do what a chat button asks for; return what to tell the one who pressed it. Raises StoreUnavailable only."""
    user = account_owner(context, pressed.channel, pressed.account)
    said, done = await _pressed(context, pressed, user)
    what = f"pressed {pressed.value.partition(':')[0][:30]}: {said}"
    entry = Entry(
        at=context.now(), user=user or "", via=pressed.channel, address=pressed.account, what=what, result="done" if done else "refused"
    )
    with contextlib.suppress(StoreUnavailable):  # it has happened; raised now, it would be taken for something to try again
        await audit.add(context.wire, entry, context.config.store.retention)
    return said


async def _pressed(context: Context, pressed: Press, user: str | None) -> tuple[str, bool]:
    """What to tell, and whether something was done."""
    if user is None:
        return f"Nobody in amproxy's file has the {pressed.channel} id {pressed.account}.", False
    if context.config.sign_in and context.config.users[user].role == "viewer":
        return f"Nothing done: {user} is a viewer, who may look and not act.", False
    action, _, rest = pressed.value.partition(":")
    if action == bundles.BUTTON:
        return await bundles.acknowledge_all(context, rest, user=user, via=pressed.channel), True
    incident_id, _, rest = rest.partition(":")
    epoch, _, argument = rest.partition(":")
    if action not in ("acknowledge", "unacknowledge", "resolve", "snooze", "escalate") or not epoch.isdigit():
        return "amproxy does not know this button.", False
    until = context.now() + float(argument) if action == "snooze" and argument.isdigit() else None
    request = Request(action=action, user=user, via=pressed.channel, epoch=int(epoch), until=until)  # type: ignore[arg-type]
    try:
        incident = await perform(context, incident_id, request)
    except NotFound:
        return "This incident is not there any more.", False
    except (Conflict, BadAction) as error:
        return f"Nothing done: {error}.", False
    return f"#{incident.number} {_done(action)}.", True


def _done(action: str) -> str:
    return {
        "acknowledge": "acknowledged", "unacknowledge": "is triggered again", "resolve": "resolved", "snooze": "snoozed",
        "escalate": "escalated",
    }[action]  # fmt: skip


def account_owner(context: Context, channel: str, account: str) -> str | None:
    """The user whose contact in a chat this is."""
    for user in context.config.users.values():
        if user.contacts.get(channel) == account:
            return user.name
    return None
