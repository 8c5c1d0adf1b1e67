"""A card as a notification: the text of a lock screen, and what static/service-worker.js needs.

Pure. The worker shows what comes as plain text, so that nothing is escaped. A notification with the
tag of another replaces it: an incident has one on each device.
"""

from __future__ import annotations

import hashlib
from typing import Final, Literal, NamedTuple

import msgspec

from amproxy.notify.channels.push.vapid import encode_base64url
from amproxy.notify.channels.text import (
    LONGEST_URL,
    card_heading,
    clip_text,
    describe_state,
    one_line,
)
from amproxy.notify.message import Action, Card

# Characters. A lock screen shows fewer; what is longer is behind the tap.
LONGEST_TITLE, LONGEST_BODY = 120, 480
# Seconds for which a push service keeps what a device that is off has not fetched.
PAGE_TTL, NOTICE_TTL = 4 * 3600, 24 * 3600
# The buttons, in this order: platforms show two at most.
_ACTIONS: Final[tuple[Action, ...]] = ("acknowledge", "snooze")
_DONE: Final = {"acknowledge": "Acknowledged", "snooze": "Snoozed"}
_TOPIC_BYTES: Final = 24  # 32 characters, the most that RFC 8030 allows


class NotificationAction(msgspec.Struct, frozen=True, kw_only=True):
    """A button of a notification."""

    action: Action
    title: str
    url: str  # a signed link, which the worker POSTs to
    done: str  # what the notification says afterwards


class Notification(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The text of a push, as JSON."""

    title: str
    body: str = ""
    tag: str
    url: str  # what a tap opens
    at: int  # milliseconds
    quiet: bool = False  # neither sound nor vibration, and it need not be dismissed
    actions: list[NotificationAction] = []


class PushMessage(NamedTuple):
    """A push before it is encrypted, and its headers."""

    text: bytes
    ttl: int  # seconds
    urgency: Literal["high", "normal"]
    topic: str  # what waits at the push service under the same topic is replaced; "" = nothing


def build_message(card: Card, most: int, *, update: bool = False) -> PushMessage:
    """The push for a card, of at most `most` bytes. update: of what was sent before, silently."""
    is_page = card.kind != "notice" and not update
    subject = card.incident or (card.key if card.kind == "bundle" else "")
    heading = " ".join(filter(None, card_heading(card, LONGEST_TITLE)))
    notification = Notification(
        title=heading,
        body=_body(card),
        tag=f"amproxy-{subject or card.key}",
        url=card.url if len(card.url) <= LONGEST_URL else "",
        at=int(card.at * 1000),
        quiet=update,
        actions=_actions(card),
    )
    return PushMessage(
        _encode_within(notification, most),
        NOTICE_TTL if card.kind == "notice" else PAGE_TTL,
        "high" if is_page else "normal",
        _topic(subject) if subject else "",
    )


def _body(card: Card) -> str:
    """The fault, then the state and the reason: the first line may be all that shows."""
    if card.kind == "bundle":
        lines = [f"#{one.number} {one_line(one.title, 80)}" for one in card.entries[:6]]
        if len(card.entries) > len(lines):
            lines.append(f"… and {len(card.entries) - len(lines)} more")
    elif card.state == "resolved":
        lines = [one_line(card.state_text, 200)]
    else:
        lines = [one_line(card.text, 240), describe_state(card), one_line(card.why, 160)]
    return clip_text("\n".join(filter(None, lines)), LONGEST_BODY)


def _actions(card: Card) -> list[NotificationAction]:
    found = {button.action: button for button in card.buttons if button.url}
    return [
        NotificationAction(
            action=name, title=found[name].text, url=found[name].url, done=_DONE[name]
        )
        for name in _ACTIONS
        if name in found and len(found[name].url) <= LONGEST_URL
    ]


def _encode_within(notification: Notification, most: int) -> bytes:
    """JSON that fits: the body gives way first, then the buttons."""
    for room in (LONGEST_BODY, 240, 120, 0):
        shorter = msgspec.structs.replace(notification, body=clip_text(notification.body, room))
        if len(text := msgspec.json.encode(shorter)) <= most:
            return text
    return msgspec.json.encode(msgspec.structs.replace(notification, body="", actions=[]))


def _topic(subject: str) -> str:
    return encode_base64url(hashlib.sha256(subject.encode()).digest()[:_TOPIC_BYTES])
