"""Maintenance windows as somebody asks for them: what a body or a form says becomes a window. The same for the API and the page.

Silences as people ask for them: what the page's form says becomes a silence, and how one is prolonged.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec

from amproxy.clock import utc
from amproxy.config.structs import Maintenance
from amproxy.context import Context
from amproxy.grouping.silences import FOREVER_NS
from amproxy.model import Silence
from amproxy.respond.muting import add_time
from amproxy.times import parse_duration
from amproxy.web.http.request import invalid, parse_time_param
from amproxy.web.silences import preview


class MaintenanceWindowRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Times without offset are wall-clock times of `timezone`. What is left out stays as it is."""

    name: str | None = None
    matchers: list[str] | None = None
    start: str | None = None
    end: str | None = None
    for_: str | None = msgspec.field(name="for", default=None)
    active_time_intervals: list[str] | None = None
    timezone: str | None = None
    comment: str | None = None
    user: str | None = None


class ExtendRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Exactly one of the two."""

    until: str | None = None
    for_: str | None = msgspec.field(name="for", default=None)
    user: str | None = None


def new_window(body: MaintenanceWindowRequest, by: str) -> Maintenance:
    """What a new window begins with. by: a user of the file, or ""."""
    return Maintenance(name="", matchers=preview.parse_matcher_texts(body.matchers or []), created_by=by)


def window_from_request(context: Context, old: Maintenance, body: MaintenanceWindowRequest) -> Maintenance:
    """A window with what the body says of it. Raises HTTPException 422."""
    timezone = old.timezone if body.timezone is None else parse_zone(body.timezone)
    start = old.start if body.start is None else parse_time_param(body.start, "start", timezone)
    return msgspec.structs.replace(
        old,
        name=old.name if body.name is None else body.name.strip(),
        matchers=old.matchers if body.matchers is None else preview.parse_matcher_texts(body.matchers),
        start=start,
        end=_window_end(context, old.end, start, body, timezone),
        timezone=timezone,
        active_time_intervals=old.active_time_intervals if body.active_time_intervals is None else tuple(body.active_time_intervals),
        comment=old.comment if body.comment is None else body.comment.strip(),
    )


def parse_extension(body: ExtendRequest, timezone: str | None = None) -> tuple[datetime | None, timedelta]:
    """Until when, or by how much something is prolonged. timezone: of a time without offset. Raises HTTPException 422."""
    if (body.until is None) == (body.for_ is None):
        raise invalid("give either until or for")
    until = parse_time_param(body.until, "until", timezone) if body.until is not None else None
    return until, parse_positive_duration(body.for_) if body.for_ is not None else timedelta()


def parse_positive_duration(text: str) -> timedelta:
    """A length of time, longer than none. Raises HTTPException 422."""
    try:
        seconds = parse_duration(text)
    except ValueError as error:
        raise invalid(f"for: {str(error)[:200]}") from None
    if not seconds:
        raise invalid("for: must be longer than 0")
    return timedelta(seconds=seconds)


def parse_zone(name: str) -> str:
    """The name of a time zone that there is. Raises HTTPException 422."""
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # unknown; not a name at all; a folder of the database, such as "Europe"
        raise invalid(f"there is no time zone {name[:60]!r}") from None
    return name


def _window_end(
    context: Context, old: datetime | None, start: datetime | None, body: MaintenanceWindowRequest, timezone: str
) -> datetime | None:
    if body.end is not None and body.for_ is not None:
        raise invalid("give either end or for, not both")
    if body.for_ is None:
        return old if body.end is None else parse_time_param(body.end, "end", timezone)
    now = utc(context.now())
    begins = start if start and (body.start is not None or start > now) else now
    return add_time(begins, parse_positive_duration(body.for_))


class EditSilenceRequest(msgspec.Struct, kw_only=True):
    """As WindowBody: times without offset are wall-clock times of `timezone`. What is left out stays as it is."""

    matchers: list[str] | None = None
    start: str | None = None
    end: str | None = None
    for_: str | None = None
    timezone: str = "UTC"
    comment: str | None = None


def silence_from_request(context: Context, old: Silence | None, body: EditSilenceRequest, by: str) -> Silence:
    """A silence with what the body says of it; old None = a new one, made by `by`. Raises HTTPException 422."""
    now_ns, timezone = int(context.now() * 10**9), parse_zone(body.timezone)
    start_ns = _to_ns(parse_time_param(body.start, "start", timezone)) if body.start is not None else old.starts_ns if old else now_ns
    kept = old.matcher_sets if old and body.matchers is None else None
    comment = (old.comment if old else "") if body.comment is None else body.comment.strip()
    return Silence(
        id=old.id if old else "", matcher_sets=kept or [list(preview.parse_matcher_texts(body.matchers or []))], starts_ns=start_ns,
        ends_ns=_silence_end(old, start_ns, body, now_ns, timezone),
        created_by=by or (old.created_by if old else ""), comment=comment,
        annotations=old.annotations if old else {},
    )  # fmt: skip


def parse_extended_end(old: Silence, body: ExtendRequest, timezone: str | None = None) -> int:
    """The end, in nanoseconds, that a silence is to have. Raises HTTPException 422."""
    until, by = parse_extension(body, timezone)
    return _to_ns(until) if until else min(old.ends_ns + int(by.total_seconds()) * 10**9, FOREVER_NS)


def _silence_end(old: Silence | None, start_ns: int, body: EditSilenceRequest, now_ns: int, timezone: str) -> int:
    if body.end is not None and body.for_ is not None:
        raise invalid("give either end or for, not both")
    if body.end is not None:
        return _to_ns(parse_time_param(body.end, "end", timezone))
    if body.for_ is not None:
        return _to_ns(add_time(utc(max(start_ns, now_ns) / 10**9), parse_positive_duration(body.for_)))
    if old is None:
        raise invalid("say until when: end, or for")
    return old.ends_ns


def _to_ns(at: datetime) -> int:
    return min(int(at.timestamp()) * 10**9, FOREVER_NS)
