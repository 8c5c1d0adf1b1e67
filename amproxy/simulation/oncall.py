"""`amproxy oncall` and `amproxy quality`, as JSON (the API's too) and for a terminal.

The first reports who is on call at a time and who is next, the second how good a schedule is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from amproxy.clock import rfc3339
from amproxy.config.read.cursor import hint
from amproxy.config.structs import Config
from amproxy.errors import NotFound
from amproxy.oncall.hours import Hours
from amproxy.oncall.quality import PersonLoad, ScheduleQuality, TimePeriod, assess_quality
from amproxy.oncall.roster import OnCall, Roster
from amproxy.simulation.terminal import (
    people_names,
    person_name,
    render_table,
    wrap_hanging,
    zoned_time_text,
)
from amproxy.times import format_duration, resolve_command_time

DEFAULT_REPORT_PERIOD: Final = timedelta(days=90)
MAX_REPORT_PERIOD: Final = timedelta(days=366)
MAX_LINES_OF_KIND: Final = 5  # lines of one kind in the text

JSON = dict[str, Any]


def oncall_reports(
    config: Config, roster: Roster, schedule: str | None, at: datetime
) -> list[JSON]:
    """Return the JSON of the command: one entry for the named schedule, or one for each.

    at: aware, or naive as the wall-clock time of each schedule's own zone. Raises NotFound.
    """
    return [
        {
            "schedule": on_call.schedule,
            "at": rfc3339(on_call.at.timestamp()),
            "users": list(on_call.users),
            "until": rfc3339(on_call.until.timestamp()) if on_call.until else None,
            "next": list(on_call.next),
            "reason": on_call.reason,
        }
        for on_call in _on_call_now(config, roster, schedule, at)
    ]


def oncall_text(config: Config, roster: Roster, schedule: str | None, at: datetime) -> str:
    """Return the same as a table, on the clock of each schedule's zone. Raises NotFound."""
    rows = [_oncall_row(config, one) for one in _on_call_now(config, roster, schedule, at)]
    if not rows:
        return "The file has no schedules."
    return render_table([("SCHEDULE", "ON CALL", "UNTIL", "NEXT"), *rows], wrap=(1, 3))


def _on_call_now(
    config: Config, roster: Roster, schedule: str | None, at: datetime
) -> list[OnCall]:
    return [
        roster.on_call(name, resolve_command_time(at, config.schedules[name].timezone))
        for name in _schedule_names(config, schedule)
    ]


def _schedule_names(config: Config, schedule: str | None) -> Iterable[str]:
    """Return the named schedule, or all. Raises NotFound."""
    if schedule is None:
        return config.schedules
    if schedule not in config.schedules:
        raise NotFound(f"there is no schedule {schedule!r}{hint(schedule, config.schedules)}")
    return (schedule,)


def _oncall_row(config: Config, on_call: OnCall) -> tuple[str, str, str, str]:
    zone = config.schedules[on_call.schedule].timezone
    who = people_names(config, on_call.users)
    if not who:
        who = f"nobody ({on_call.reason.removeprefix('nobody: ')})"
    if on_call.until is None:
        return on_call.schedule, who, "no change within a year", "-"
    until = f"{zoned_time_text(on_call.until, zone)} {zone}"
    return on_call.schedule, who, until, people_names(config, on_call.next) or "nobody"


def quality_reports(
    config: Config, roster: Roster, schedule: str | None, start: datetime, seconds: float | None
) -> list[JSON]:
    """Return the JSON of the command: one report for the named schedule, or one for each.

    start: aware, or naive as the wall-clock time of each schedule's own zone. seconds: None =
    DEFAULT_REPORT_PERIOD. Raises NotFound, and ValueError for a period that is too long.
    """
    assessed = _assess_schedules(config, roster, schedule, start, seconds)
    return [quality_report(quality) for quality in assessed]


def quality_text(
    config: Config, roster: Roster, schedule: str | None, start: datetime, seconds: float | None
) -> str:
    """Return the same in words, on the clock of each schedule's zone.

    Raises NotFound, ValueError.
    """
    assessed = _assess_schedules(config, roster, schedule, start, seconds)
    texts = ["\n".join(_quality_lines(config, quality)) for quality in assessed]
    return "\n\n".join(texts) or "The file has no schedules."


def _assess_schedules(
    config: Config, roster: Roster, schedule: str | None, start: datetime, seconds: float | None
) -> list[ScheduleQuality]:
    names = _schedule_names(config, schedule)
    if seconds is not None and not 0 < seconds <= MAX_REPORT_PERIOD.total_seconds():
        raise ValueError(
            f"a report covers more than nothing, and {MAX_REPORT_PERIOD.days} days at most"
        )
    period = DEFAULT_REPORT_PERIOD if seconds is None else timedelta(seconds=seconds)
    starts = {name: resolve_command_time(start, config.schedules[name].timezone) for name in names}
    return [assess_quality(roster, name, at, at + period) for name, at in starts.items()]


def quality_report(quality: ScheduleQuality) -> JSON:
    """Return one report as JSON; hours and shares are rounded for reading."""
    return {
        "schedule": quality.schedule,
        **_period_report((quality.start, quality.end)),
        "score": quality.score,
        "coverage": round(quality.coverage * 100, 2),
        "balance": round(quality.balance * 100, 2),
        "gaps": [
            {**_period_report((gap.start, gap.end)), "reason": gap.reason} for gap in quality.gaps
        ],
        "hidden": [
            {
                **_period_report((hidden.start, hidden.end)),
                "users": list(hidden.users),
                "reason": hidden.reason,
                "on_call": list(hidden.on_call),
            }
            for hidden in quality.hidden
        ],
        "doubles": [
            {
                **_period_report((double.start, double.end)),
                "user": double.user,
                "schedule": double.schedule,
            }
            for double in quality.doubles
        ],
        "people": [_person_report(load) for load in quality.people],
    }


def hours_report(hours: Hours) -> JSON:
    """Return hours by kind, and the numbers of nights and weekends."""
    return {
        "hours": _rounded_hours(hours.total),
        "night_hours": _rounded_hours(hours.night),
        "weekend_hours": _rounded_hours(hours.weekend),
        "day_hours": _rounded_hours(hours.day),
        "nights": hours.nights,
        "weekends": hours.weekends,
    }


def _person_report(load: PersonLoad) -> JSON:
    return {
        "user": load.user,
        **hours_report(load.hours),
        "share": round(load.share * 100, 2),
        "shifts": load.shifts,
        "overloaded": load.overloaded,
        "idle": load.idle,
        "longest": load.longest and _period_report(load.longest),
        "shortest_rest": load.shortest_rest and _period_report(load.shortest_rest),
    }


def _period_report(period: TimePeriod) -> JSON:
    return {"start": rfc3339(period[0].timestamp()), "end": rfc3339(period[1].timestamp())}


def _rounded_hours(seconds: float) -> float:
    return round(seconds / 3600, 4)


def _quality_lines(config: Config, quality: ScheduleQuality) -> Iterator[str]:
    zone = config.schedules[quality.schedule].timezone
    start, end = zoned_time_text(quality.start, zone), zoned_time_text(quality.end, zone)
    yield from wrap_hanging(f"{quality.schedule}: ", f"{start} to {end} {zone}")
    mean = f"coverage ({quality.coverage:.1%}) and balance ({quality.balance:.0%})"
    yield from wrap_hanging("  score     ", f"{quality.score} of 100: the mean of {mean}")
    gaps = [f"{_period_text(gap.start, gap.end, zone)}: {gap.reason}" for gap in quality.gaps]
    yield from _first_lines("gap", gaps)
    hidden = [
        f"{_period_text(one.start, one.end, zone)}: {people_names(config, one.users)}"
        f" ({one.reason}) beneath {people_names(config, one.on_call)}"
        for one in quality.hidden
    ]
    yield from _first_lines("hidden", hidden)
    doubles = [
        f"{_period_text(one.start, one.end, zone)}: {person_name(config, one.user)}"
        f" is also on call for {one.schedule}"
        for one in quality.doubles
    ]
    yield from _first_lines("double", doubles)
    if quality.people:
        yield ""
        rows = [
            ("PERSON", "HOURS", "SHARE", "NIGHTS", "WEEKENDS", "SHIFTS", "LONGEST", "REST", "LOAD"),
            *(_person_row(config, load) for load in quality.people),
        ]
        yield render_table(rows, wrap=(0,))


def _first_lines(kind: str, texts: Sequence[str]) -> Iterator[str]:
    """The first few of a kind, and the number of the others."""
    for position, text in enumerate(texts[:MAX_LINES_OF_KIND]):
        yield from wrap_hanging(f"  {kind if not position else '':<10}", text)
    if len(texts) > MAX_LINES_OF_KIND:
        yield f"  {'':<10}and {len(texts) - MAX_LINES_OF_KIND} more"


def _period_text(start: datetime, end: datetime, zone: str) -> str:
    return f"{zoned_time_text(start, zone)} for {_duration_text((start, end))}"


def _duration_text(period: TimePeriod | None) -> str:
    return format_duration(round((period[1] - period[0]).total_seconds())) if period else "-"


def _person_row(config: Config, load: PersonLoad) -> tuple[str, ...]:
    return (
        person_name(config, load.user),
        f"{load.hours.total / 3600:.0f}",
        f"{load.share:.0%}",
        str(load.hours.nights),
        str(load.hours.weekends),
        str(load.shifts),
        _duration_text(load.longest),
        _duration_text(load.shortest_rest),
        "overloaded" if load.overloaded else "idle" if load.idle else "fair",
    )
