"""Times at which nobody would be on call, found before they come: warnings of `amproxy check`."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from amproxy.config.structs import Schedule
from amproxy.errors import ConfigProblem
from amproxy.oncall.roster import Roster, Shift
from amproxy.times import format_duration

AHEAD = timedelta(days=30)


def coverage_warnings(roster: Roster, now: datetime) -> list[ConfigProblem]:
    """A warning of kind `gap` for each schedule that leaves time uncovered in the 30 days from `now`, at the schedule's place."""
    warnings = []
    for position, (name, schedule) in enumerate(roster.config.schedules.items()):
        gaps = [shift for shift in roster.shifts(name, now, now + AHEAD) if not shift.users]
        if gaps:
            place, path = schedule.place, f"schedules[{position}]"
            text = _text(schedule, gaps)
            warnings.append(ConfigProblem(text, file=place.file, line=place.line, column=place.column, path=path, kind="gap"))
    return warnings


def _text(schedule: Schedule, gaps: list[Shift]) -> str:
    zone = ZoneInfo(schedule.timezone)
    end = gaps[0].end
    for gap in gaps:  # nobody for one reason and then for another is still one gap
        end = gap.end if gap.start <= end else end
    first, last = (at.astimezone(zone).strftime("%Y-%m-%d %H:%M") for at in (gaps[0].start, end))
    total = format_duration(sum(round((gap.end - gap.start).total_seconds()) for gap in gaps))
    why = gaps[0].reason.removeprefix("nobody: ")
    return (
        f"nobody is on call for schedule {schedule.name!r} from {first} to {last} ({schedule.timezone}; {why}): "
        f"uncovered for {total} of the next {format_duration(AHEAD.total_seconds())}"
    )
