"""A card as Slack's Block Kit, within its limits, and escaped so that no text from outside can ping anybody."""

from __future__ import annotations

from typing import Any

from amproxy.notify.channels import text as channels_text
from amproxy.notify.message import Card

MESSAGE_LIMIT = 4000  # characters of the text beside the blocks, above which Slack answers msg_too_long
TITLE_LIMIT, REASON_LIMIT, SUMMARY_LIMIT = (
    800,
    600,
    1000,
)  # characters of that text for the title, the state and the reason each, the card's text
HEADER_LIMIT = 150  # characters, plain text
SECTION_LIMIT = 3000  # characters after escaping, as for all limits below
FIELD_LIMIT = 2000
LINK_LIMIT = 1500
ENTRY_LINK_LIMIT = 300  # of one incident of a bundle: they share the blocks of a message
BUTTON_LIMIT = 75
MAX_BUTTONS = 25

Block = dict[str, Any]


def render_blocks(card: Card, *, buttons: bool = True) -> list[Block]:
    """A card's blocks: header, state, text, labels, alerts, links, buttons. None of the last once it is over."""
    parts = [
        _header(card),
        _section(_state(card)),
        _section(escape_mrkdwn(channels_text.clean_text(card.text[: SECTION_LIMIT * 2]), SECTION_LIMIT)),
    ]
    parts += _entries(card)
    if labels := channels_text.shared_labels(card):
        parts.append({"type": "section", "fields": [_text(f"*{escape_mrkdwn(name)}*\n{escape_mrkdwn(value)}") for name, value in labels]})
    parts.append(_section(escape_mrkdwn("\n".join(channels_text.describe_alerts(card)), SECTION_LIMIT)))
    if links := [shown for text, url in channels_text.card_links(card) if (shown := mrkdwn_link(text, url))]:
        parts.append({"type": "context", "elements": [_text(shown) for shown in links]})
    if buttons and card.state != "resolved" and card.buttons:
        parts.append({"type": "actions", "elements": _button_elements(card)})
    return [part for part in parts if part]


def fallback_text(card: Card) -> str:
    """What a notification on a phone's lock screen shows, and what is sent where the blocks are refused: at most MESSAGE characters."""
    emoji, number, title = channels_text.card_heading(card)
    head = escape_mrkdwn(" ".join(part for part in (emoji, number, title) if part), TITLE_LIMIT)
    text = "\n".join((card.text, *(one.text for one in channels_text.entry_lines(card, 900)))) if card.entries else card.text
    state, opened = _state(card, REASON_LIMIT), _open_link(card)
    # Escaping makes five characters of one, so the text takes what the title, the state and the link leave it.
    room = MESSAGE_LIMIT - sum(len(part) + 1 for part in (head, state, opened))
    return "\n".join(
        part
        for part in (head, state, escape_mrkdwn(channels_text.clean_text(text[:SUMMARY_LIMIT]), min(SUMMARY_LIMIT, room)), opened)
        if part
    )


def escape_mrkdwn(text: str, limit: int = FIELD_LIMIT) -> str:
    """Plain text escaped for mrkdwn, at most `limit` characters long after that; no entity is cut."""
    text = channels_text.clip_text(text, limit)
    while len(escaped := _escape(text)) > limit:
        text = channels_text.clip_text(text, len(text) - max(1, (len(escaped) - limit) // 5))
    return escaped


def mrkdwn_link(text: str, url: str) -> str:
    """A link in mrkdwn, the characters that end an address in it percent-encoded; "" where it would be too long."""
    address = url.replace("<", "%3C").replace(">", "%3E").replace("|", "%7C").replace("&", "&amp;")
    label = escape_mrkdwn(text).replace("|", "¦")  # a bar parts the address from the text
    return f"<{address}|{label}>" if len(address) <= LINK_LIMIT else ""


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _header(card: Card) -> Block:
    """Plain text knows no escapes, so that its angle brackets become look-alikes that mean nothing to Slack."""
    text = " ".join(part for part in channels_text.card_heading(card) if part).replace("<", "‹").replace(">", "›")
    return {"type": "header", "text": {"type": "plain_text", "text": channels_text.clip_text(text, HEADER_LIMIT), "emoji": True}}


def _state(card: Card, limit: int = FIELD_LIMIT) -> str:
    """The state, and why this person is told: each at most `limit` characters after escaping."""
    return "\n".join(
        escape_mrkdwn(part, limit) for part in (channels_text.describe_state(card), channels_text.one_line(card.why, 250)) if part
    )


def _entries(card: Card) -> list[Block]:
    """The incidents of a bundle, a line each, in as many sections as they need."""
    sections: list[str] = []
    for one in channels_text.entry_lines(card):
        number = mrkdwn_link(one.number, one.url) if channels_text.is_link_url(one.url) and len(one.url) <= ENTRY_LINK_LIMIT else one.number
        text = f"{number} {escape_mrkdwn(one.title)}"
        if sections and len(sections[-1]) + 1 + len(text) <= SECTION_LIMIT:
            sections[-1] += f"\n{text}"
        else:
            sections.append(text)
    return [_section(text) for text in sections]


def _open_link(card: Card) -> str:
    return mrkdwn_link("Open in amproxy", card.url) if channels_text.is_link_url(card.url) else ""


def _section(text: str) -> Block:
    return {"type": "section", "text": _text(text)} if text else {}


def _text(text: str) -> Block:
    return {"type": "mrkdwn", "text": text}


def _button_elements(card: Card) -> list[Block]:
    """One element for each button; an action that is offered twice is told apart by its place."""
    elements: list[Block] = []
    used: set[str] = set()
    for place, button in enumerate(card.buttons[:MAX_BUTTONS]):
        action = f"{button.action}_{place}" if button.action in used else button.action
        used.add(action)
        text = {"type": "plain_text", "text": channels_text.one_line(button.text, BUTTON_LIMIT), "emoji": True}
        element: Block = {"type": "button", "action_id": action, "text": text, "value": button.value}
        elements.append(element | ({"style": "primary"} if button.action == "acknowledge" else {}))
    return elements
