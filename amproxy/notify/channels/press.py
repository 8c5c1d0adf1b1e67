"""A button pressed in a chat."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec


class Press(msgspec.Struct, frozen=True, kw_only=True):
    """All of it comes from outside: who presses must still be known, and what for must still be checked."""

    value: str  # of the card's button, as the client sent it back
    channel: str  # "telegram", "slack": the key of the person's contacts
    account: str  # the person's id there, as text
    name: str = ""  # how the person is called there, for messages only
    reply_to: str = ""  # Slack's response_url; Telegram is answered at once


# Takes a press, does what it asks for and returns what to tell the one who pressed. May get the same press twice.
OnPress = Callable[[Press], Awaitable[str]]
