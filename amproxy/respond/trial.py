"""A test page: shows one person that what is meant for them arrives. Pure."""

from __future__ import annotations

from amproxy.config import contacts
from amproxy.config.structs import User
from amproxy.machine.draft import new_id
from amproxy.model import Outgoing

SUBJECT = "Test page"
TEXT = "Somebody wanted to know whether pages reach you over {channel}. They do; there is nothing to do."


def trial(user: User, channels: tuple[str, ...], now: float) -> list[Outgoing]:
    """One message over each channel that the person has an address for. now: Unix seconds."""
    addresses = [(channel, contacts.address(user, channel)) for channel in channels]
    return [
        Outgoing(
            id=new_id(), kind="notice", channel=channel, user=user.name, urgent=True, due=now, address=address, subject=SUBJECT,
            text=TEXT.format(channel=channel),
        )
        for channel, address in addresses if address
    ]  # fmt: skip
