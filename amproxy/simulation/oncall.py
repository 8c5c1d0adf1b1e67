"""`amproxy oncall`: who is on call at a moment, and who is next.

`amproxy quality`: how good a schedule is, as JSON (the API's too) and for people.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from amproxy.clock import rfc3339
from amproxy.config.read.cursor import hint
from amproxy.config.structs import Config
from amproxy.errors import NotFound
from amproxy.oncall.hours import Hours
from amproxy.oncall.quality import PersonLoad, ScheduleQuality, TimePeriod
from amproxy.oncall.quality import assess_quality as judge
from amproxy.oncall.roster import OnCall, Roster
from amproxy.simulation import terminal
from amproxy.times import format_duration, resolve_command_time


def oncall_reports(config: Config, roster: Roster, schedule: str | None, at: datetime) -> list[dict[str, Any]]:
    """The JSON of the command: one entry for the named schedule, or one for each.

    at: a moment, or a naive wall-clock time, which is then of each schedule's own zone. Raises NotFound.
    """
    return [
        {
            "schedule": found.schedule,
            "at": rfc3339(found.at.timestamp()),
            "users": list(found.users),
            "until": rfc3339(found.until.timestamp()) if found.until else None,
            "next": list(found.next),
            "reason": found.reason,
        }
        for found in _oncall_of_schedules(config, roster, schedule, at)
    ]


def oncall_text(config: Config, roster: Roster, schedule: str | None, at: datetime) -> str:
    """The same as a table for people, on the clock of each schedule's zone. Raises NotFound."""
    found = _oncall_of_schedules(config, roster, schedule, at)
    if not found:
        return "The file has no schedules."
    return terminal.render_table([("SCHEDULE", "ON CALL", "UNTIL", "NEXT"), *(_oncall_row(config, one) for one in found)], wrap=(1, 3))


def _oncall_of_schedules(config: Config, roster: Roster, schedule: str | None, at: datetime) -> list[OnCall]:
    if schedule is not None and schedule not in config.schedules:
        raise NotFound(f"there is no schedule {schedule!r}{hint(schedule, config.schedules)}")
    names = config.schedules if schedule is None else (schedule,)
    return [roster.on_call(name, resolve_command_time(at, config.schedules[name].timezone)) for name in names]


def _oncall_row(config: Config, found: OnCall) -> tuple[str, str, str, str]:
    zone = config.schedules[found.schedule].timezone
    who = terminal.people_names(config, found.users) or f"nobody ({found.reason.removeprefix('nobody: ')})"
    if found.until is None:
        return found.schedule, who, "no change within a year", "-"
    return (
        found.schedule,
        who,
        f"{terminal.zoned_time_text(found.until, zone)} {zone}",
        terminal.people_names(config, found.next) or "nobody",
    )


DEFAULT_REPORT_PERIOD = timedelta(days=90)  # unless asked otherwise
MAX_REPORT_PERIOD = timedelta(days=366)
MAX_LINES_OF_KIND = 5  # lines of one kind in the text

JSON = dict[str, Any]


def quality_reports(config: Config, roster: Roster, schedule: str | None, start: datetime, seconds: float | None) -> list[JSON]:
    """The JSON of the command: one report for the named schedule, or one for each.

    start: a moment, or a naive wall-clock time of each schedule's own zone. Raises NotFound, ValueError for a time that is too long.
    """
    return [quality_report(found) for found in _judge_schedules(config, roster, schedule, start, seconds)]


def quality_text(config: Config, roster: Roster, schedule: str | None, start: datetime, seconds: float | None) -> str:
    """The same for people, on the clock of each schedule's zone. Raises NotFound, ValueError."""
    found = _judge_schedules(config, roster, schedule, start, seconds)
    return "\n\n".join("\n".join(_quality_lines(config, one)) for one in found) or "The file has no schedules."


def quality_report(found: ScheduleQuality) -> JSON:
    """One report as JSON. Hours and shares are rounded for reading."""
    return {
        "schedule": found.schedule,
        **_period_report((found.start, found.end)),
        "score": found.score,
        "coverage": round(found.coverage * 100, 2),
        "balance": round(found.balance * 100, 2),
        "gaps": [{**_period_report((gap.start, gap.end)), "reason": gap.reason} for gap in found.gaps],
        "hidden": [
            {**_period_report((one.start, one.end)), "users": list(one.users), "reason": one.reason, "on_call": list(one.on_call)}
            for one in found.hidden
        ],
        "doubles": [{**_period_report((one.start, one.end)), "user": one.user, "schedule": one.schedule} for one in found.doubles],
        "people": [_person_report(one) for one in found.people],
    }


def hours_report(found: Hours) -> JSON:
    """Hours by kind, and on how many nights and weekends."""
    return {
        "hours": _rounded_hours(found.total),
        "night_hours": _rounded_hours(found.night),
        "weekend_hours": _rounded_hours(found.weekend),
        "day_hours": _rounded_hours(found.day),
        "nights": found.nights,
        "weekends": found.weekends,
    }


def _person_report(found: PersonLoad) -> JSON:
    return {
        "user": found.user,
        **hours_report(found.hours),
        "share": round(found.share * 100, 2),
        "shifts": found.shifts,
        "overloaded": found.overloaded,
        "idle": found.idle,
        "longest": found.longest and _period_report(found.longest),
        "shortest_rest": found.shortest_rest and _period_report(found.shortest_rest),
    }


def _period_report(span: TimePeriod) -> JSON:
    return {"start": rfc3339(span[0].timestamp()), "end": rfc3339(span[1].timestamp())}


def _rounded_hours(seconds: float) -> float:
    return round(seconds / 3600, 4)


def _judge_schedules(config: Config, roster: Roster, schedule: str | None, start: datetime, seconds: float | None) -> list[ScheduleQuality]:
    if schedule is not None and schedule not in config.schedules:
        raise NotFound(f"there is no schedule {schedule!r}{hint(schedule, config.schedules)}")
    if seconds is not None and not 0 < seconds <= MAX_REPORT_PERIOD.total_seconds():
        raise ValueError(f"a report covers more than nothing, and {MAX_REPORT_PERIOD.days} days at most")
    names = config.schedules if schedule is None else (schedule,)
    starts = {name: resolve_command_time(start, config.schedules[name].timezone) for name in names}
    span = DEFAULT_REPORT_PERIOD if seconds is None else timedelta(seconds=seconds)
    return [judge(roster, name, at, at + span) for name, at in starts.items()]


# ------------------------------------------------------------------------------------------------------ for people


def _quality_lines(config: Config, found: ScheduleQuality) -> Iterable[str]:
    zone = config.schedules[found.schedule].timezone
    yield from terminal.wrap_hanging(
        f"{found.schedule}: ", f"{terminal.zoned_time_text(found.start, zone)} to {terminal.zoned_time_text(found.end, zone)} {zone}"
    )
    yield from terminal.wrap_hanging(
        "  score     ",
        f"{found.score} of 100: the mean of coverage ({found.coverage:.1%}) and balance ({found.balance:.0%})",
    )
    yield from _first_lines("gap", [_gap_text(gap.start, gap.end, gap.reason, zone) for gap in found.gaps])
    hidden = (
        f"{terminal.people_names(config, one.users)} ({one.reason}) beneath {terminal.people_names(config, one.on_call)}"
        for one in found.hidden
    )
    yield from _first_lines(
        "hidden", [f"{_period_text(one.start, one.end, zone)}: {text}" for one, text in zip(found.hidden, hidden, strict=True)]
    )
    yield from _first_lines(
        "double",
        [
            f"{_period_text(one.start, one.end, zone)}: {terminal.person_name(config, one.user)} is also on call for {one.schedule}"
            for one in found.doubles
        ],
    )
    if found.people:
        yield ""
        rows = [
            ("PERSON", "HOURS", "SHARE", "NIGHTS", "WEEKENDS", "SHIFTS", "LONGEST", "REST", "LOAD"),
            *(_person_row(config, one) for one in found.people),
        ]
        yield terminal.render_table(rows, wrap=(0,))


def _first_lines(what: str, texts: Sequence[str]) -> Iterable[str]:
    """The first few of a kind, and how many more there are."""
    for position, text in enumerate(texts[:MAX_LINES_OF_KIND]):
        yield from terminal.wrap_hanging(f"  {what if not position else '':<10}", text)
    if len(texts) > MAX_LINES_OF_KIND:
        yield f"  {'':<10}and {len(texts) - MAX_LINES_OF_KIND} more"


def _gap_text(start: datetime, end: datetime, reason: str, zone: str) -> str:
    return f"{_period_text(start, end, zone)}: {reason}"


def _period_text(start: datetime, end: datetime, zone: str) -> str:
    return f"{terminal.zoned_time_text(start, zone)} for {_duration_text((start, end))}"


def _duration_text(span: TimePeriod | None) -> str:
    return format_duration(round((span[1] - span[0]).total_seconds())) if span else "-"


def _person_row(config: Config, found: PersonLoad) -> tuple[str, ...]:
    judged = "overloaded" if found.overloaded else "idle" if found.idle else "fair"
    return (
        terminal.person_name(config, found.user), f"{found.hours.total / 3600:.0f}", f"{found.share:.0%}", str(found.hours.nights),
        str(found.hours.weekends), str(found.shifts), _duration_text(found.longest), _duration_text(found.shortest_rest), judged,
    )  # fmt: skip
