"""A card as Slack's Block Kit, within its limits, and escaped so that no text from outside can ping anybody."""

from __future__ import annotations

from typing import Any

from amproxy.notify.channels import text as channels_text
from amproxy.notify.message import Card

MESSAGE = 4000  # characters of the text beside the blocks, above which Slack answers msg_too_long
TITLE, REASON, SUMMARY = 800, 600, 1000  # characters of that text for the title, the state and the reason each, the card's text
HEADER = 150  # characters, plain text
SECTION = 3000  # characters after escaping, as for all limits below
FIELD = 2000
LINK = 1500
ENTRY_LINK = 300  # of one incident of a bundle: they share the blocks of a message
BUTTON = 75
BUTTONS = 25

Block = dict[str, Any]


def blocks(card: Card, *, buttons: bool = True) -> list[Block]:
    """A card's blocks: header, state, text, labels, alerts, links, buttons. None of the last once it is over."""
    parts = [_header(card), _section(_state(card)), _section(mrkdwn(channels_text.clean(card.text[: SECTION * 2]), SECTION))]
    parts += _entries(card)
    if labels := channels_text.labels(card):
        parts.append({"type": "section", "fields": [_text(f"*{mrkdwn(name)}*\n{mrkdwn(value)}") for name, value in labels]})
    parts.append(_section(mrkdwn("\n".join(channels_text.alerts(card)), SECTION)))
    if links := [shown for text, url in channels_text.links(card) if (shown := link(text, url))]:
        parts.append({"type": "context", "elements": [_text(shown) for shown in links]})
    if buttons and card.state != "resolved" and card.buttons:
        parts.append({"type": "actions", "elements": _buttons(card)})
    return [part for part in parts if part]


def fallback(card: Card) -> str:
    """What a notification on a phone's lock screen shows, and what is sent where the blocks are refused: at most MESSAGE characters."""
    emoji, number, title = channels_text.heading(card)
    head = mrkdwn(" ".join(part for part in (emoji, number, title) if part), TITLE)
    text = "\n".join((card.text, *(one.text for one in channels_text.entries(card, 900)))) if card.entries else card.text
    state, opened = _state(card, REASON), _open(card)
    # Escaping makes five characters of one, so the text takes what the title, the state and the link leave it.
    room = MESSAGE - sum(len(part) + 1 for part in (head, state, opened))
    return "\n".join(part for part in (head, state, mrkdwn(channels_text.clean(text[:SUMMARY]), min(SUMMARY, room)), opened) if part)


def mrkdwn(text: str, limit: int = FIELD) -> str:
    """Plain text escaped for mrkdwn, at most `limit` characters long after that; no entity is cut."""
    text = channels_text.clip(text, limit)
    while len(escaped := _escape(text)) > limit:
        text = channels_text.clip(text, len(text) - max(1, (len(escaped) - limit) // 5))
    return escaped


def link(text: str, url: str) -> str:
    """A link in mrkdwn, the characters that end an address in it percent-encoded; "" where it would be too long."""
    address = url.replace("<", "%3C").replace(">", "%3E").replace("|", "%7C").replace("&", "&amp;")
    label = mrkdwn(text).replace("|", "¦")  # a bar parts the address from the text
    return f"<{address}|{label}>" if len(address) <= LINK else ""


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _header(card: Card) -> Block:
    """Plain text knows no escapes, so that its angle brackets become look-alikes that mean nothing to Slack."""
    text = " ".join(part for part in channels_text.heading(card) if part).replace("<", "‹").replace(">", "›")
    return {"type": "header", "text": {"type": "plain_text", "text": channels_text.clip(text, HEADER), "emoji": True}}


def _state(card: Card, limit: int = FIELD) -> str:
    """The state, and why this person is told: each at most `limit` characters after escaping."""
    return "\n".join(mrkdwn(part, limit) for part in (channels_text.state(card), channels_text.line(card.why, 250)) if part)


def _entries(card: Card) -> list[Block]:
    """The incidents of a bundle, a line each, in as many sections as they need."""
    sections: list[str] = []
    for one in channels_text.entries(card):
        number = link(one.number, one.url) if channels_text.web(one.url) and len(one.url) <= ENTRY_LINK else one.number
        text = f"{number} {mrkdwn(one.title)}"
        if sections and len(sections[-1]) + 1 + len(text) <= SECTION:
            sections[-1] += f"\n{text}"
        else:
            sections.append(text)
    return [_section(text) for text in sections]


def _open(card: Card) -> str:
    return link("Open in amproxy", card.url) if channels_text.web(card.url) else ""


def _section(text: str) -> Block:
    return {"type": "section", "text": _text(text)} if text else {}


def _text(text: str) -> Block:
    return {"type": "mrkdwn", "text": text}


def _buttons(card: Card) -> list[Block]:
    """One element for each button; an action that is offered twice is told apart by its place."""
    elements: list[Block] = []
    used: set[str] = set()
    for place, button in enumerate(card.buttons[:BUTTONS]):
        action = f"{button.action}_{place}" if button.action in used else button.action
        used.add(action)
        text = {"type": "plain_text", "text": channels_text.line(button.text, BUTTON), "emoji": True}
        element: Block = {"type": "button", "action_id": action, "text": text, "value": button.value}
        elements.append(element | ({"style": "primary"} if button.action == "acknowledge" else {}))
    return elements
