"""A card as Telegram's HTML, at most 4,096 characters, and the same as plain text.

It is built from pieces of plain text and their tags. What is too long is shortened in the plain text of a piece, before it is
escaped, so that no tag and no entity is ever cut.
"""

from __future__ import annotations

from urllib.parse import urlsplit

import msgspec

from amproxy.notify.channels import text as channels_text
from amproxy.notify.message import Card

MESSAGE_LIMIT = 4096  # characters of a message after its entities are parsed
MAX_URL_BYTES = 2000  # of one address; together with the next line it keeps the raw text under Telegram's 32,768 bytes
MAX_URLS_BYTES = 6000  # of all addresses of a message
ALERTS_SHARE = 1000  # characters that a long text leaves to the alerts
LINKS_SHARE = 600  # characters of links, after which no more are added


class TelegramFragment(msgspec.Struct, frozen=True):
    """Plain text between two tags; `plain` is shown instead where there are no tags."""

    text: str
    before: str = ""
    after: str = ""
    plain: str = ""


def render_card(card: Card) -> tuple[str, str]:
    """Return a card as HTML and as plain text, each within Telegram's limits."""
    pieces = _build_fragments(card)
    html = "".join(f"{piece.before}{escape_html(piece.text)}{piece.after}" for piece in pieces)
    return html, clip_plain_text("".join(piece.plain or piece.text for piece in pieces))


def clip_plain_text(text: str) -> str:
    """Plain text cut to what one message holds."""
    return channels_text.clip_text(text, MESSAGE_LIMIT)


def escape_html(text: str) -> str:
    """Text for HTML mode, between tags."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _escape_attribute(url: str) -> str:
    return escape_html(url).replace('"', "&quot;")


def _build_fragments(card: Card) -> list[TelegramFragment]:
    head = _heading_fragments(card)
    shared = [
        piece
        for name, value in channels_text.shared_labels(card)
        for piece in (TelegramFragment(f"\n{name}: "), TelegramFragment(value, "<b>", "</b>"))
    ]
    foot = _link_fragments(card)
    room = MESSAGE_LIMIT - sum(len(piece.text) for piece in (*head, *shared, *foot)) - 6  # three blank lines
    alerts = channels_text.describe_alerts(card)
    wanted = sum(len(entry) + 1 for entry in alerts)
    text = channels_text.clip_text(channels_text.clean_text(card.text[: MESSAGE_LIMIT * 4]), room - min(wanted, ALERTS_SHARE))
    lines = _fit_lines(alerts, room - len(text))
    named = _entry_fragments(channels_text.entry_lines(card, room - len(text) - 2)) if card.entries else []
    sections = ([TelegramFragment(text)] if text else [], shared, named, [TelegramFragment("\n".join(lines))] if lines else [], foot)
    return head + [piece for section in sections if section for piece in _after_blank_line(section)]


def _after_blank_line(section: list[TelegramFragment]) -> list[TelegramFragment]:
    """A section after a blank line, whether or not its first piece starts with a line break."""
    first = section[0]
    return [TelegramFragment("\n" if first.text.startswith("\n") else "\n\n"), *section]


def _fit_lines(lines: list[str], room: int) -> list[str]:
    """As many whole entries as there is room for."""
    kept: list[str] = []
    for entry in lines:
        room -= len(entry) + 1
        if room < 0:
            break
        kept.append(entry)
    return kept


def _entry_fragments(named: list[channels_text.EntryLine]) -> list[TelegramFragment]:
    """The incidents of a bundle, a line each; their numbers are links as long as the addresses are not too much for one message."""
    linked = sum(len(_escape_attribute(one.url).encode()) for one in named) <= MAX_URLS_BYTES
    pieces: list[TelegramFragment] = []
    for one in named:
        if linked and is_linkable(one.url):
            anchor, rest = (one.number, f" {one.title}") if one.number else (one.title, "")
            pieces += [
                TelegramFragment("\n"),
                TelegramFragment(anchor, f'<a href="{_escape_attribute(one.url)}">', "</a>"),
                TelegramFragment(rest),
            ]
        else:
            pieces.append(TelegramFragment(f"\n{one.text}"))
    return pieces


def _heading_fragments(card: Card) -> list[TelegramFragment]:
    emoji, number, title = channels_text.card_heading(card)
    pieces = [TelegramFragment(f"{emoji} ")]
    if number:
        pieces += [_anchor(number, card.url) if is_linkable(card.url) else TelegramFragment(number), TelegramFragment(" ")]
    pieces.append(TelegramFragment(title, "<b>", "</b>"))
    if state := channels_text.describe_state(card):
        pieces.append(TelegramFragment(f"\n{state}"))
    if why := channels_text.one_line(card.why, 250):
        pieces += [TelegramFragment("\n"), TelegramFragment(why, "<i>", "</i>")]
    return pieces


def _link_fragments(card: Card) -> list[TelegramFragment]:
    """The links that the number does not carry already; an address that Telegram would not link is shown as it is."""
    pieces: list[TelegramFragment] = []
    left = MAX_URLS_BYTES
    for text, url in channels_text.card_links(card):
        left -= len(_escape_attribute(url).encode())
        shown = sum(len(piece.text) for piece in pieces)
        if left < 0 or shown > LINKS_SHARE or (url == card.url and card.number and is_linkable(url)):
            continue
        if is_linkable(url):
            pieces += [TelegramFragment(" · " if pieces else "\n"), _anchor(text, url)]
        elif len(url) <= 300:
            pieces.append(TelegramFragment(f"\n{text}: {url}"))
    return pieces


def _anchor(text: str, url: str) -> TelegramFragment:
    return TelegramFragment(text, f'<a href="{_escape_attribute(url)}">', "</a>", plain=f"{text} {url}")


def is_linkable(url: str) -> bool:
    """Whether Telegram makes a link or a button of an address: it wants a dot in the host, so not for localhost."""
    return (
        channels_text.is_link_url(url)
        and "." in (urlsplit(url).hostname or "").strip(".")
        and len(_escape_attribute(url).encode()) <= MAX_URL_BYTES
    )
