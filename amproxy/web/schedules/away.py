"""Rows of a timeline below the layers: who is away, and whose country has a holiday. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from amproxy.config.holidays import public_holidays
from amproxy.oncall.roster import Roster
from amproxy.times import local_to_utc
from amproxy.web.schedules.timeline import (
    BandPeriod,
    ScheduleTimelineEntry,
    TimelineTrack,
    midnight,
)


def away_tracks(
    roster: Roster, people: Iterable[str], period: BandPeriod, language: str
) -> list[TimelineTrack]:
    """Absences and holidays of these people; names that are not in the file have none."""
    known = [name for name in people if name in roster.config.users]
    absences = [one for name in known for one in _absences(roster, name, period)]
    return [
        TimelineTrack("absences", "", absences),
        TimelineTrack("holidays", "", _holidays(roster, known, period, language)),
    ]


def _absences(roster: Roster, name: str, period: BandPeriod) -> Iterable[ScheduleTimelineEntry]:
    user = roster.config.users[name]
    zone = ZoneInfo(user.timezone)
    for one in (*user.absences, *roster.absences.get(name, ())):
        start, end = local_to_utc(one.start, zone), local_to_utc(one.end, zone)
        if start < period.end and period.start < end:
            yield ScheduleTimelineEntry(start, end, (name,), one.reason, "absence")


def _holidays(
    roster: Roster, people: Iterable[str], period: BandPeriod, language: str
) -> list[ScheduleTimelineEntry]:
    """An entry for each holiday, with all whom it concerns, on the clock of those people."""
    found: dict[tuple[datetime, datetime, str], list[tuple[str, str]]] = {}
    for name in people:
        user = roster.config.users[name]
        if not user.holidays:
            continue
        zone = ZoneInfo(user.timezone)
        first, last = (at.astimezone(zone).date() for at in period)
        for year in range(first.year, last.year + 1):
            for day, title in public_holidays(user.holidays, year, language).items():
                start, end = midnight(day, zone), midnight(day + timedelta(days=1), zone)
                if start < period.end and period.start < end:
                    found.setdefault((start, end, title), []).append((name, user.holidays))
    return [
        ScheduleTimelineEntry(
            *(start, end, tuple(name for name, _ in whose), title, "holiday"),
            ", ".join(dict.fromkeys(country for _, country in whose)),
        )
        for (start, end, title), whose in sorted(found.items())
    ]
