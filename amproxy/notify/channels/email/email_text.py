"""What a mail says: subject, plain text and HTML of a card. Nothing here knows about SMTP or MIME."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files

from jinja2 import Environment

from amproxy.notify.channels.text import alerts, clean, clip, entries, heading, labels, line, links, state, web
from amproxy.notify.message import Card

_LONGEST_TEXT = 8000  # characters
_COLOURS = {"triggered": "#c62828", "firing": "#c62828", "acknowledged": "#9a6700", "snoozed": "#6247aa", "resolved": "#2e7d32"}
_TEMPLATE = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(
    files(__package__).joinpath("email.html").read_text("utf-8")
)


def subject(card: Card) -> str:
    """One line: "[#42 triggered] HighCPU on eu1"; of a notice the title alone."""
    _, number, title = heading(card)
    mark = " ".join(part for part in (number, "" if card.state == "notice" else card.state) if part)
    return f"[{mark}] {title}" if mark else title


def plain_text(card: Card) -> str:
    """The text part, its lines as long as they come."""
    return "\n\n".join("\n".join(block) for block in _blocks(card) if block) + "\n"


def html(card: Card) -> str:
    """The HTML part; every text in it is escaped."""
    return _TEMPLATE.render(
        subject=subject(card),
        colour=_COLOURS.get(card.state, "#455a64"),
        card=card,
        heading=heading(card),
        state=state(card),
        why=line(card.why, 250),
        text=_text(card),
        entries=[(one.text, one.url if web(one.url) else "") for one in entries(card)],
        labels=labels(card),
        alerts=alerts(card),
        buttons=_buttons(card),
        links=links(card),
    )


def _blocks(card: Card) -> Iterator[list[str]]:
    yield [text for text in (subject(card), state(card), line(card.why, 250)) if text]
    yield [_text(card)] if card.text else []
    yield [one.text for one in entries(card)]
    yield [f"{name}: {value}" for name, value in labels(card)]
    yield alerts(card)
    yield [f"{text}: {url}" for text, url in _buttons(card)]
    yield [f"{text}: {url}" for text, url in links(card)]


def _text(card: Card) -> str:
    return clip(clean(card.text), _LONGEST_TEXT)


def _buttons(card: Card) -> list[tuple[str, str]]:
    """A mail carries no presses: only buttons that have a link are shown."""
    return [(line(button.text, 60), button.url) for button in card.buttons if web(button.url)]
