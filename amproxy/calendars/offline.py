"""Calendars on the command line, where there is no Redis and nothing is fetched: those in files count, those at addresses say so."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import NamedTuple

from amproxy.calendars.files import read, window
from amproxy.calendars.sources import Source, sources
from amproxy.calendars.worker import worked_out
from amproxy.check.gaps import AHEAD, coverage_warnings
from amproxy.config.structs import Config
from amproxy.errors import BadCalendar, ConfigProblem
from amproxy.oncall.calendars import NOT_LOADED, Calendar, Calendars
from amproxy.oncall.roster import Roster


def roster(config: Config, at: datetime) -> Roster:
    """Who is on call by a file and the calendars in files beside it, around a moment."""
    return _read(config, at).roster


def warnings_ahead(config: Config, now: datetime) -> list[ConfigProblem]:
    """What `amproxy check` says of schedules, each warning at its schedule's place.

    `gap`: time without anybody in the next 30 days; `bad_calendar`: a file that cannot be used; `empty_shift`: an event of the next 30
    days that names nobody.
    """
    found = _read(config, now)
    warnings = coverage_warnings(found.roster, now)
    for source, error in found.bad:
        warnings.append(_warning(config, source.schedule, "bad_calendar", f"{source} cannot be used: {error}"))
    for name in config.schedules:
        empty = found.roster.empty_shifts(name, now, now + AHEAD)
        if empty:
            more = f" (and {len(empty) - 1} more)" if len(empty) > 1 else ""
            text = f"an event in the calendar of schedule {name!r} names nobody of the file, so it puts nobody on call"
            text += f": {empty[0].summary!r} on {empty[0].start:%Y-%m-%d %H:%M} UTC{more}"
            warnings.append(_warning(config, name, "empty_shift", text))
    return warnings


class _Found(NamedTuple):
    roster: Roster
    bad: list[tuple[Source, BadCalendar]]


def _read(config: Config, at: datetime) -> _Found:
    parts: dict[tuple[str, bool], Calendar] = {}
    missing, bad = dict[str, str](), list[tuple[Source, BadCalendar]]()
    for source in sources(config):
        why = f"{NOT_LOADED}: only the service reads its url" if source.url else ""
        if source.file:
            try:
                parts[source.schedule, source.is_override] = asyncio.run(worked_out(read(source.file), source.zone, *window(at)))
            except BadCalendar as error:
                bad.append((source, error))
                why = f"{NOT_LOADED}: {error}"
        missing.setdefault(source.schedule, why)
    calendars = {name: Calendars(parts.get((name, False)), parts.get((name, True)), why) for name, why in missing.items()}
    return _Found(Roster(config, calendars=calendars), bad)


def _warning(config: Config, schedule: str, kind: str, text: str) -> ConfigProblem:
    place, position = config.schedules[schedule].place, list(config.schedules).index(schedule)
    return ConfigProblem(text, file=place.file, line=place.line, column=place.column, path=f"schedules[{position}]", kind=kind)
