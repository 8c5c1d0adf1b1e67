"""`amproxy oncall` and `amproxy quality`, as JSON (the API's too) and for a terminal.

The first reports who is on call at a time and who is next, the second how good a schedule is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec

from amproxy.clock import Timestamp, rfc3339
from amproxy.config.read.cursor import hint
from amproxy.config.structs import Config
from amproxy.errors import NotFound
from amproxy.oncall.hours import Hours
from amproxy.oncall.quality import PersonLoad, ScheduleQuality, TimePeriod, assess_quality
from amproxy.oncall.roster import OnCall, Roster, gap_reason
from amproxy.simulation.terminal import (
    people_names,
    person_name,
    reason_text,
    render_table,
    wrap_hanging,
    zoned_time_text,
)
from amproxy.text import Words
from amproxy.text.render import arguments_of, code_of, in_english
from amproxy.times import format_duration, resolve_command_time

DEFAULT_REPORT_PERIOD: Final = timedelta(days=90)
MAX_REPORT_PERIOD: Final = timedelta(days=366)
MAX_LINES_OF_KIND: Final = 5  # lines of one kind in the text

JSON = dict[str, Any]


class OnCallView(msgspec.Struct, kw_only=True):
    """The people on call for a schedule at a time."""

    schedule: str
    at: Timestamp
    users: list[str]
    until: Timestamp | None
    next: list[str]
    reason: str
    code: str | None  # null where an earlier version stored the reason's text alone
    arguments: dict[str, Any] | None


class PeriodView(msgspec.Struct, kw_only=True):
    start: Timestamp
    end: Timestamp


class HoursWorkedView(msgspec.Struct, kw_only=True):
    """Hours by kind, rounded for reading, and the numbers of nights and weekends."""

    hours: float
    night_hours: float
    weekend_hours: float
    day_hours: float
    nights: int
    weekends: int


class CoverageGapView(PeriodView, kw_only=True):
    reason: str
    code: str | None
    arguments: dict[str, Any] | None


class HiddenShiftView(PeriodView, kw_only=True):
    users: tuple[str, ...]
    reason: str
    code: str | None
    arguments: dict[str, Any] | None
    on_call: tuple[str, ...]


class DoubleBookingView(PeriodView, kw_only=True):
    user: str
    schedule: str


class _LoadView(HoursWorkedView, kw_only=True):
    share: float
    shifts: int
    overloaded: bool
    idle: bool
    longest: PeriodView | None
    shortest_rest: PeriodView | None


# A field by place goes before those by keyword: the name first.
class PersonLoadView(_LoadView):
    user: str


class QualityView(msgspec.Struct, kw_only=True):
    """The quality of the plan of a schedule; shares are of 100."""

    schedule: str
    start: Timestamp
    end: Timestamp
    score: int
    coverage: float
    balance: float
    gaps: list[CoverageGapView]
    hidden: list[HiddenShiftView]
    doubles: list[DoubleBookingView]
    people: list[PersonLoadView]


def oncall_reports(
    config: Config, roster: Roster, schedule: str | None, at: datetime
) -> list[JSON]:
    """Return the JSON of the command: one entry for the named schedule, or one for each.

    at: aware, or naive as the wall-clock time of each schedule's own zone. Raises NotFound.
    """
    found = _on_call_now(config, roster, schedule, at)
    return [msgspec.to_builtins(on_call_view(one)) for one in found]


def reason_fields(reason: Words) -> dict[str, Any]:
    """The fields of a reason: in words, and for programs."""
    text = in_english(reason)
    return {"reason": text, "code": code_of(reason), "arguments": arguments_of(reason)}


def on_call_view(value: OnCall) -> OnCallView:
    return OnCallView(
        schedule=value.schedule,
        at=rfc3339(value.at.timestamp()),
        users=list(value.users),
        until=rfc3339(value.until.timestamp()) if value.until else None,
        next=list(value.next),
        **reason_fields(value.reason),
    )


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
        who = f"nobody ({reason_text(config, gap_reason(on_call.reason))})"
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
    return [msgspec.to_builtins(quality_view(quality)) for quality in assessed]


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


def quality_view(quality: ScheduleQuality) -> QualityView:
    """One report; hours and shares are rounded for reading."""
    return QualityView(
        schedule=quality.schedule,
        start=rfc3339(quality.start.timestamp()),
        end=rfc3339(quality.end.timestamp()),
        score=quality.score,
        coverage=round(quality.coverage * 100, 2),
        balance=round(quality.balance * 100, 2),
        gaps=[
            CoverageGapView(**_bounds((gap.start, gap.end)), **reason_fields(gap.reason))
            for gap in quality.gaps
        ],
        hidden=[
            HiddenShiftView(
                **_bounds((hidden.start, hidden.end)),
                users=hidden.users,
                **reason_fields(hidden.reason),
                on_call=hidden.on_call,
            )
            for hidden in quality.hidden
        ],
        doubles=[
            DoubleBookingView(
                **_bounds((double.start, double.end)), user=double.user, schedule=double.schedule
            )
            for double in quality.doubles
        ],
        people=[_person_load_view(load) for load in quality.people],
    )


def hours_worked(hours: Hours) -> dict[str, Any]:
    """The fields of HoursWorkedView, for a struct that has more of them."""
    return msgspec.structs.asdict(
        HoursWorkedView(
            hours=_rounded_hours(hours.total),
            night_hours=_rounded_hours(hours.night),
            weekend_hours=_rounded_hours(hours.weekend),
            day_hours=_rounded_hours(hours.day),
            nights=hours.nights,
            weekends=hours.weekends,
        )
    )


def _person_load_view(load: PersonLoad) -> PersonLoadView:
    return PersonLoadView(
        user=load.user,
        **hours_worked(load.hours),
        share=round(load.share * 100, 2),
        shifts=load.shifts,
        overloaded=load.overloaded,
        idle=load.idle,
        longest=PeriodView(**_bounds(load.longest)) if load.longest else None,
        shortest_rest=PeriodView(**_bounds(load.shortest_rest)) if load.shortest_rest else None,
    )


def _bounds(period: TimePeriod) -> dict[str, Any]:
    return {"start": rfc3339(period[0].timestamp()), "end": rfc3339(period[1].timestamp())}


def _rounded_hours(seconds: float) -> float:
    return round(seconds / 3600, 4)


def _quality_lines(config: Config, quality: ScheduleQuality) -> Iterator[str]:
    zone = config.schedules[quality.schedule].timezone
    start, end = zoned_time_text(quality.start, zone), zoned_time_text(quality.end, zone)
    yield from wrap_hanging(f"{quality.schedule}: ", f"{start} to {end} {zone}")
    mean = f"coverage ({quality.coverage:.1%}) and balance ({quality.balance:.0%})"
    yield from wrap_hanging("  score     ", f"{quality.score} of 100: the mean of {mean}")
    gaps = [
        f"{_period_text(gap.start, gap.end, zone)}: {reason_text(config, gap.reason)}"
        for gap in quality.gaps
    ]
    yield from _first_lines("gap", gaps)
    hidden = [
        f"{_period_text(one.start, one.end, zone)}: {people_names(config, one.users)}"
        f" ({reason_text(config, one.reason)}) beneath {people_names(config, one.on_call)}"
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
