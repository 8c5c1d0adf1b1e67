"""Words and lines for a terminal of 80 columns. Every line that leaves goes through `hanging` or `table`: labels are hostile."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import zip_longest
from zoneinfo import ZoneInfo

from amproxy.clock import utc
from amproxy.config.structs import Config
from amproxy.labels.matchers import Matcher
from amproxy.model import Page
from amproxy.simulation.incident import Fact

WIDTH = 80
_NARROWEST = 12  # columns that a cell of a table keeps


def plain(text: str) -> str:
    """Text from outside without what could steer a terminal or turn the line around; white space becomes a space."""
    return "".join(char if char.isprintable() else " " if char.isspace() else "" for char in text)


def hanging(prefix: str, text: str) -> list[str]:
    """`prefix` and then the text, wrapped under itself."""
    prefix = plain(prefix)
    indent = " " * len(prefix)
    return textwrap.wrap(plain(text), WIDTH, initial_indent=prefix, subsequent_indent=indent, break_on_hyphens=False) or [prefix.rstrip()]


def table(rows: Sequence[Sequence[str]], wrap: Sequence[int]) -> str:
    """Rows in aligned columns. Where they are too wide, the columns of `wrap` are wrapped first, the widest of them most."""
    cells = [[plain(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    room = WIDTH - 2 * (len(widths) - 1)
    while sum(widths) > room and max(widths) > _NARROWEST:
        soft = [column for column in wrap if widths[column] > _NARROWEST] or range(len(widths))
        widths[max(soft, key=lambda column: widths[column])] -= 1
    lines = []
    for row in cells:
        wrapped = [textwrap.wrap(cell, width, break_on_hyphens=False) for cell, width in zip(row, widths, strict=True)]
        for parts in zip_longest(*wrapped, fillvalue=""):
            lines.append("  ".join(part.ljust(width) for part, width in zip(parts, widths, strict=True)).rstrip())
    return "\n".join(lines)


def when(at: datetime | float, zone: str) -> str:
    """ "Mon 2026-01-05 09:00" on the clock of a zone."""
    return local(at, zone).strftime("%a %Y-%m-%d %H:%M")


def local(at: datetime | float, zone: str) -> datetime:
    """A moment (or Unix seconds) as the clock of a zone shows it."""
    return (at if isinstance(at, datetime) else utc(at)).astimezone(ZoneInfo(zone))


def elapsed(seconds: float) -> str:
    """ "+30s", "+5m00s", "+1d02h00m00s"."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    parts = [(days, "d"), (hours, "h"), (minutes, "m"), (rest, "s")]
    while len(parts) > 1 and not parts[0][0]:
        parts.pop(0)
    return "+" + f"{parts[0][0]}{parts[0][1]}" + "".join(f"{count:02}{unit}" for count, unit in parts[1:])


def labels(found: Mapping[str, str]) -> str:
    """Labels as matchers would have them: `{alertname="Down", team="a"}`."""
    return "{" + ", ".join(str(Matcher(name, "=", value)) for name, value in sorted(found.items())) + "}"


def person(config: Config, name: str) -> str:
    """How a user is called."""
    user = config.users.get(name)
    return user.full_name if user and user.full_name else name


def people(config: Config, names: Iterable[str]) -> str:
    return ", ".join(person(config, name) for name in names)


def page(config: Config, found: Page, whom: str = "", over: str = "") -> str:
    """ "Alice Ash over telegram (step 1: on call for platform: layer weekly)"; whom, over: of all that belong together."""
    whom, over = whom or recipient(config, found), over or found.channel
    if not found.step:
        return f"{whom} over {over} ({'reminder' if found.kind == 'reminder' else 'by hand'}: {found.reason})"
    again = f", round {found.round}" if found.round > 1 else ""
    return f"{whom} over {over} (step {found.step}{again}: {found.reason})"


def recipient(config: Config, found: Page) -> str:
    return person(config, found.user) if found.user else f"receiver {found.receiver}"


def story(config: Config, facts: Sequence[Fact]) -> list[tuple[float, str]]:
    """What happened, as Unix seconds and a text: what one step does at one moment stands together.

    A step that pages somebody at once is told by its pages alone.
    """
    together: dict[object, list[Fact]] = {}
    for number, fact in enumerate(facts):
        together.setdefault((fact.entry.at, fact.entry.step) if fact.entry.step else number, []).append(fact)
    return [told for group in together.values() for told in _told(config, group)]


def _told(config: Config, group: Sequence[Fact]) -> Iterator[tuple[float, str]]:
    pages = _pages(config, [fact.page for fact in group if fact.page])
    for entry, arrived in group:
        if arrived:
            if text := pages.get(arrived.id):
                yield entry.at, text
        elif entry.kind != "step" or entry.user or not pages:
            yield entry.at, entry.text


def _pages(config: Config, found: Sequence[Page]) -> dict[str, str]:
    """Pages in words, by the id of the first of each line: the channels of one person, people who are paged alike."""
    channels: dict[tuple[str, str], list[Page]] = {}
    for one in found:
        channels.setdefault((recipient(config, one), one.reason), []).append(one)
    alike: dict[tuple[str, str], list[tuple[str, Page]]] = {}
    for (whom, reason), pages in channels.items():
        alike.setdefault((", ".join(one.channel for one in pages), reason), []).append((whom, pages[0]))
    return {ones[0][1].id: page(config, ones[0][1], ", ".join(whom for whom, _ in ones), over) for (over, _), ones in alike.items()}
