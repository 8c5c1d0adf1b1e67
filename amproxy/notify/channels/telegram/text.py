"""A card as Telegram's HTML, at most 4,096 characters, and the same as plain text.

It is built from pieces of plain text and their tags. What is too long is shortened in the plain text of a piece, before it is
escaped, so that no tag and no entity is ever cut.
"""

from __future__ import annotations

from urllib.parse import urlsplit

import msgspec

from amproxy.notify.channels import text as channels_text
from amproxy.notify.message import Card

LIMIT = 4096  # characters of a message after its entities are parsed
URL_BYTES = 2000  # of one address; together with the next line it keeps the raw text under Telegram's 32,768 bytes
URLS_BYTES = 6000  # of all addresses of a message
ALERTS_SHARE = 1000  # characters that a long text leaves to the alerts
LINKS_SHARE = 600  # characters of links, after which no more are added


class Piece(msgspec.Struct, frozen=True):
    """Plain text between two tags; `plain` is shown instead where there are no tags."""

    text: str
    before: str = ""
    after: str = ""
    plain: str = ""


def render(card: Card) -> tuple[str, str]:
    """Return a card as HTML and as plain text, each within Telegram's limits."""
    pieces = _pieces(card)
    html = "".join(f"{piece.before}{escape(piece.text)}{piece.after}" for piece in pieces)
    return html, plain("".join(piece.plain or piece.text for piece in pieces))


def plain(text: str) -> str:
    """Plain text cut to what one message holds."""
    return channels_text.clip(text, LIMIT)


def escape(text: str) -> str:
    """Text for HTML mode, between tags."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _attribute(url: str) -> str:
    return escape(url).replace('"', "&quot;")


def _pieces(card: Card) -> list[Piece]:
    head = _head(card)
    shared = [piece for name, value in channels_text.labels(card) for piece in (Piece(f"\n{name}: "), Piece(value, "<b>", "</b>"))]
    foot = _links(card)
    room = LIMIT - sum(len(piece.text) for piece in (*head, *shared, *foot)) - 6  # three blank lines
    alerts = channels_text.alerts(card)
    wanted = sum(len(entry) + 1 for entry in alerts)
    text = channels_text.clip(channels_text.clean(card.text[: LIMIT * 4]), room - min(wanted, ALERTS_SHARE))
    lines = _fitting(alerts, room - len(text))
    named = _entries(channels_text.entries(card, room - len(text) - 2)) if card.entries else []
    sections = ([Piece(text)] if text else [], shared, named, [Piece("\n".join(lines))] if lines else [], foot)
    return head + [piece for section in sections if section for piece in _spaced(section)]


def _spaced(section: list[Piece]) -> list[Piece]:
    """A section after a blank line, whether or not its first piece starts with a line break."""
    first = section[0]
    return [Piece("\n" if first.text.startswith("\n") else "\n\n"), *section]


def _fitting(lines: list[str], room: int) -> list[str]:
    """As many whole entries as there is room for."""
    kept: list[str] = []
    for entry in lines:
        room -= len(entry) + 1
        if room < 0:
            break
        kept.append(entry)
    return kept


def _entries(named: list[channels_text.Named]) -> list[Piece]:
    """The incidents of a bundle, a line each; their numbers are links as long as the addresses are not too much for one message."""
    linked = sum(len(_attribute(one.url).encode()) for one in named) <= URLS_BYTES
    pieces: list[Piece] = []
    for one in named:
        if linked and linkable(one.url):
            anchor, rest = (one.number, f" {one.title}") if one.number else (one.title, "")
            pieces += [Piece("\n"), Piece(anchor, f'<a href="{_attribute(one.url)}">', "</a>"), Piece(rest)]
        else:
            pieces.append(Piece(f"\n{one.text}"))
    return pieces


def _head(card: Card) -> list[Piece]:
    emoji, number, title = channels_text.heading(card)
    pieces = [Piece(f"{emoji} ")]
    if number:
        pieces += [_anchor(number, card.url) if linkable(card.url) else Piece(number), Piece(" ")]
    pieces.append(Piece(title, "<b>", "</b>"))
    if state := channels_text.state(card):
        pieces.append(Piece(f"\n{state}"))
    if why := channels_text.line(card.why, 250):
        pieces += [Piece("\n"), Piece(why, "<i>", "</i>")]
    return pieces


def _links(card: Card) -> list[Piece]:
    """The links that the number does not carry already; an address that Telegram would not link is shown as it is."""
    pieces: list[Piece] = []
    left = URLS_BYTES
    for text, url in channels_text.links(card):
        left -= len(_attribute(url).encode())
        shown = sum(len(piece.text) for piece in pieces)
        if left < 0 or shown > LINKS_SHARE or (url == card.url and card.number and linkable(url)):
            continue
        if linkable(url):
            pieces += [Piece(" · " if pieces else "\n"), _anchor(text, url)]
        elif len(url) <= 300:
            pieces.append(Piece(f"\n{text}: {url}"))
    return pieces


def _anchor(text: str, url: str) -> Piece:
    return Piece(text, f'<a href="{_attribute(url)}">', "</a>", plain=f"{text} {url}")


def linkable(url: str) -> bool:
    """Whether Telegram makes a link or a button of an address: it wants a dot in the host, so not for localhost."""
    return channels_text.web(url) and "." in (urlsplit(url).hostname or "").strip(".") and len(_attribute(url).encode()) <= URL_BYTES
