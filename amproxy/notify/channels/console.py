"""The console: pages printed on the terminal of the service, for a first look and for developing.

The last few are stored for the web page, where a newcomer sees what a phone would show.
"""

from __future__ import annotations

import re
import sys
from collections import deque
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from amproxy import clock
from amproxy.config.channels import ChannelKind
from amproxy.config.structs import Global
from amproxy.errors import DeliveryError
from amproxy.notify.channels.alert_lines import describe_alerts
from amproxy.notify.channels.text import (
    card_links,
    card_pictures,
    clean_text,
    clip_text,
    describe_state,
    entry_lines,
    heading_title,
    hidden_labels,
    is_link_url,
    one_line,
    shared_labels,
)
from amproxy.notify.message import Card
from amproxy.notify.permit import obtain_permit
from amproxy.store.outbox import RateLimit
from amproxy.text import phrase

CONSOLE: Final = ChannelKind(
    channel="amproxy.notify.channels.console:ConsoleChannel", addresses_people=False
)
MAX_PRINTED = 12  # texts that are stored

# ANSI; other states stay plain.
_COLOURS = {"triggered": 31, "firing": 31, "acknowledged": 33, "snoozed": 35, "resolved": 32}
_COLOUR_CODE = re.compile("\x1b\\[[0-9;]*m")
_RULE_WIDTH = 72  # columns
_LONGEST_TEXT = 4000  # characters


class PrintedMessage(NamedTuple):
    at: float  # Unix seconds
    text: str  # may have several lines; what came from alerts is not escaped


class Console:
    """A terminal that remembers its last texts; its `write` is for ConsoleChannel."""

    def __init__(
        self, terminal: Callable[[str], object], now: Callable[[], float] = clock.now
    ) -> None:
        self._terminal, self._now = terminal, now
        self._printed: deque[PrintedMessage] = deque(maxlen=MAX_PRINTED)

    def write(self, text: str) -> None:
        """Store the text, then print it; errors of the terminal pass through."""
        plain = _COLOUR_CODE.sub("", text).strip("\n\a")
        self._printed.append(PrintedMessage(self._now(), plain))
        self._terminal(text)

    def recent(self) -> list[PrintedMessage]:
        """The last MAX_PRINTED texts, newest first."""
        return list(reversed(self._printed))


class ConsoleChannel:
    """Prints each page as a framed block, each change of it as one line.

    Its settings are the contact's text, shown as it is.
    """

    name = "console"
    threads = False

    def __init__(
        self, write: Callable[[str], object] | None = None, *, colours: bool | None = None
    ) -> None:
        """write: takes the text; None = standard error. colours: None = if that is a terminal."""
        self._write = write or sys.stderr.write
        self._colours = (write is None and sys.stderr.isatty()) if colours is None else colours

    def person(self, global_: Global, address: str) -> str:
        """Any text is good as an address."""
        return address

    def rate_limit(self, settings: str) -> RateLimit:
        """None: each message is tried again by itself."""
        return RateLimit()

    async def send(self, settings: str, card: Card) -> dict[str, str]:
        """Print the page; the terminal rings for one that nobody has answered yet."""
        await obtain_permit()
        bell = "\a" if card.state == "triggered" else ""
        self._print(bell + "\n".join(self._block(settings, card)))
        return {"shown": card.state}

    async def edit(self, settings: str, ref: dict[str, str], card: Card) -> dict[str, str]:
        """Print the last change as one line; nothing where there is none."""
        await obtain_permit()
        if card.news or ref.get("shown") != card.state:
            heading, title = self._coloured(_heading(card), card), heading_title(card)
            news = one_line(card.news or card.state_text or card.state, 250)
            self._print(f"{heading} {title}: {news}")
        return {"shown": card.state}

    async def close(self) -> None:
        """Nothing to end."""

    def _block(self, address: str, card: Card) -> Iterator[str]:
        head = f"{_heading(card)} "
        yield "┌─ " + self._coloured(head, card) + "─" * max(3, _RULE_WIDTH - len(head))
        for shown in _content_lines(address, card):
            yield "│ " + shown
        yield "└" + "─" * (_RULE_WIDTH + 2)

    def _coloured(self, text: str, card: Card) -> str:
        colour = _COLOURS.get(card.state)
        return f"\x1b[1;{colour}m{text}\x1b[0m" if self._colours and colour else text

    def _print(self, text: str) -> None:
        try:
            self._write(text + "\n")
        except (OSError, ValueError) as error:  # ValueError: the stream is closed
            words = phrase("failure.said", service="console", said=str(error))
            raise DeliveryError(words, permanent=True) from None


def _heading(card: Card) -> str:
    return f"#{card.number} {card.state}" if card.number else card.state


def _content_lines(address: str, card: Card) -> Iterator[str]:
    yield heading_title(card)
    for text in (describe_state(card), one_line(card.why, 250)):
        if text:
            yield text
    if address:
        yield f"to {one_line(address, 100)}"
    if card.text:
        yield from clip_text(clean_text(card.text), _LONGEST_TEXT).split("\n")
    for one in entry_lines(card):
        yield one.text
    if shown := shared_labels(card):
        yield " ".join((*(f"{name}={value}" for name, value in shown), hidden_labels(card))).strip()
    for alert in describe_alerts(card):
        yield from alert.split("\n")
    for button in card.buttons[:1]:  # the others are one click away, and signed links are long
        label = one_line(button.text, 60)
        yield f"{label}: {button.url}" if is_link_url(button.url) else f"[{label}]"
    for picture in card_pictures(card):
        yield f"{picture.text}: {picture.url}"
    for text, url in card_links(card):
        yield f"{text}: {url}"
