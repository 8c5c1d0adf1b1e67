"""A card as Slack's Block Kit, within its limits.

Everything is escaped, so that no text from outside can ping anybody.
"""

from __future__ import annotations

from typing import Any

from amproxy.notify.channels.alert_lines import AlertLines, alert_lines
from amproxy.notify.channels.text import (
    card_heading,
    card_links,
    card_pictures,
    clean_text,
    clip_text,
    describe_state,
    entry_lines,
    hidden_labels,
    is_link_url,
    one_line,
    shared_labels,
)
from amproxy.notify.message import Card

# Characters of the text beside the blocks: above the first, Slack answers msg_too_long.
MESSAGE_LIMIT = 4000
TITLE_LIMIT = 800  # of that text, for the title
REASON_LIMIT = 600  # for the state, and for the reason
SUMMARY_LIMIT = 1000  # for the card's text
ALERTS_LIMIT = 1200  # for its alerts
ENTRIES_LIMIT = 900  # for the incidents of a bundle, before they are escaped

HEADER_LIMIT = 150  # characters, plain text
SECTION_LIMIT = 3000  # characters after escaping, as for all limits below
FIELD_LIMIT = 2000
LINK_LIMIT = 1500
ENTRY_LINK_LIMIT = 300  # of one incident of a bundle: they share the blocks of a message
BUTTON_LIMIT = 75
MAX_BUTTONS = 25

Block = dict[str, Any]


def render_blocks(card: Card, *, buttons: bool = True) -> list[Block]:
    """A card's blocks: header, state, text, labels, alerts, pictures, links, buttons.

    There are no buttons once it is resolved.
    """
    text = clean_text(card.text[: SECTION_LIMIT * 2])
    blocks = [
        _header(card),
        _section(_state(card)),
        _section(escape_mrkdwn(text, SECTION_LIMIT)),
        *_entries(card),
        _labels(card),
        _section(_alerts(alert_lines(card), SECTION_LIMIT)),
        *_pictures(card),
        _links(card),
    ]
    if buttons and card.state != "resolved" and card.buttons:
        blocks.append({"type": "actions", "elements": _button_elements(card)})
    return [block for block in blocks if block]


def without_pictures(blocks: list[Block]) -> list[Block]:
    """The blocks but those that Slack refuses where it cannot fetch their address."""
    return [block for block in blocks if block["type"] != "image"]


def fallback_text(card: Card) -> str:
    """The text for the lock screen of a phone, and for a message whose blocks are refused.

    At most MESSAGE_LIMIT characters.
    """
    head = escape_mrkdwn(" ".join(filter(None, card_heading(card))), TITLE_LIMIT)
    text = card.text
    if card.entries:
        text = "\n".join((text, *(one.text for one in entry_lines(card, ENTRIES_LIMIT))))
    state, link = _state(card, REASON_LIMIT), _incident_link(card)
    # Escaping makes five characters of one: the text gets the room that the others leave, and the
    # alerts what the text leaves.
    room = MESSAGE_LIMIT - sum(len(shown) + 1 for shown in (head, state, link))
    text = escape_mrkdwn(clean_text(text[:SUMMARY_LIMIT]), min(SUMMARY_LIMIT, room))
    alerts = _alerts(alert_lines(card), min(ALERTS_LIMIT, room - len(text) - 1))
    return "\n".join(filter(None, (head, state, text, alerts, link)))


def escape_mrkdwn(text: str, limit: int = FIELD_LIMIT) -> str:
    """Plain text escaped for mrkdwn, then at most `limit` characters long; no entity is cut."""
    text = clip_text(text, limit)
    while len(escaped := _escape(text)) > limit:
        # A fifth of the surplus: no character becomes more than five, so this never cuts too much.
        text = clip_text(text, len(text) - max(1, (len(escaped) - limit) // 5))
    return escaped


def mrkdwn_link(text: str, url: str) -> str:
    """A link in mrkdwn; "" where it would be too long.

    Characters that end an address in mrkdwn are percent-encoded.
    """
    address = url.replace("<", "%3C").replace(">", "%3E").replace("|", "%7C").replace("&", "&amp;")
    label = escape_mrkdwn(text).replace("|", "¦")  # a bar parts the address from the text
    return f"<{address}|{label}>" if len(address) <= LINK_LIMIT else ""


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _header(card: Card) -> Block:
    emoji, number, _ = card_heading(card)
    before = " ".join(filter(None, (emoji, number)))
    text = f"{before} {card_heading(card, HEADER_LIMIT - len(before) - 1)[2]}"
    # Plain text has no escapes: look-alikes of angle brackets mean nothing to Slack.
    text = clip_text(text.replace("<", "‹").replace(">", "›"), HEADER_LIMIT)
    return {"type": "header", "text": {"type": "plain_text", "text": text, "emoji": True}}


def _state(card: Card, limit: int = FIELD_LIMIT) -> str:
    """The state, and why this person is paged: each at most `limit` characters after escaping."""
    lines = filter(None, (describe_state(card), one_line(card.why, 250)))
    return "\n".join(escape_mrkdwn(line, limit) for line in lines)


def _entries(card: Card) -> list[Block]:
    """The incidents of a bundle, a line each, in as many sections as they need."""
    sections: list[str] = []
    for one in entry_lines(card):
        linked = is_link_url(one.url) and len(one.url) <= ENTRY_LINK_LIMIT
        number = mrkdwn_link(one.number, one.url) if linked else one.number
        text = f"{number} {escape_mrkdwn(one.title)}"
        if sections and len(sections[-1]) + 1 + len(text) <= SECTION_LIMIT:
            sections[-1] += f"\n{text}"
        else:
            sections.append(text)
    return [_section(text) for text in sections]


def _alerts(lines: AlertLines, limit: int) -> str:
    """As many whole alerts as fit into `limit` characters once they are escaped."""
    escaped = lines._replace(shown=[_escape(one) for one in lines.shown])
    return "\n".join(escaped.fit(limit))


def _labels(card: Card) -> Block:
    fields = [
        _text(f"*{escape_mrkdwn(name)}*\n{escape_mrkdwn(value)}")
        for name, value in shared_labels(card)
    ]
    if more := hidden_labels(card):
        fields.append(_text(more))
    return {"type": "section", "fields": fields} if fields else {}


def _pictures(card: Card) -> list[Block]:
    return [
        {"type": "image", "image_url": picture.url, "alt_text": picture.text}
        for picture in card_pictures(card)
    ]


def _links(card: Card) -> Block:
    links = filter(None, (mrkdwn_link(text, url) for text, url in card_links(card)))
    elements = [_text(link) for link in links]
    return {"type": "context", "elements": elements} if elements else {}


def _incident_link(card: Card) -> str:
    return mrkdwn_link("Open in amproxy", card.url) if is_link_url(card.url) else ""


def _section(text: str) -> Block:
    return {"type": "section", "text": _text(text)} if text else {}


def _text(text: str) -> Block:
    return {"type": "mrkdwn", "text": text}


def _button_elements(card: Card) -> list[Block]:
    """One element for each button; an action that is offered twice gets its place as a suffix."""
    elements: list[Block] = []
    used: set[str] = set()
    for place, button in enumerate(card.buttons[:MAX_BUTTONS]):
        action = f"{button.action}_{place}" if button.action in used else button.action
        used.add(action)
        text = {"type": "plain_text", "text": one_line(button.text, BUTTON_LIMIT), "emoji": True}
        element: Block = {
            "type": "button",
            "action_id": action,
            "text": text,
            "value": button.value,
        }
        if button.action == "acknowledge":
            element["style"] = "primary"
        elements.append(element)
    return elements
