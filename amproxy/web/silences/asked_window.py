"""Maintenance windows as somebody asks for them: what a body or a form says becomes a window. The same for the API and the page."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec

from amproxy.clock import utc
from amproxy.config.structs import Maintenance
from amproxy.context import Context
from amproxy.respond.maintenance import later
from amproxy.times import parse_duration
from amproxy.web.http.request import invalid, time
from amproxy.web.silences import preview


class WindowBody(msgspec.Struct, forbid_unknown_fields=True):
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


class ExtendBody(msgspec.Struct, forbid_unknown_fields=True):
    """Exactly one of the two."""

    until: str | None = None
    for_: str | None = msgspec.field(name="for", default=None)
    user: str | None = None


def new(body: WindowBody, by: str) -> Maintenance:
    """What a new window begins with. by: a user of the file, or ""."""
    return Maintenance(name="", matchers=preview.matchers(body.matchers or []), created_by=by)


def with_body(context: Context, old: Maintenance, body: WindowBody) -> Maintenance:
    """A window with what the body says of it. Raises HTTPException 422."""
    timezone = old.timezone if body.timezone is None else zone(body.timezone)
    start = old.start if body.start is None else time(body.start, "start", timezone)
    return msgspec.structs.replace(
        old,
        name=old.name if body.name is None else body.name.strip(),
        matchers=old.matchers if body.matchers is None else preview.matchers(body.matchers),
        start=start,
        end=_end(context, old.end, start, body, timezone),
        timezone=timezone,
        active_time_intervals=old.active_time_intervals if body.active_time_intervals is None else tuple(body.active_time_intervals),
        comment=old.comment if body.comment is None else body.comment.strip(),
    )


def extension(body: ExtendBody, timezone: str | None = None) -> tuple[datetime | None, timedelta]:
    """Until when, or by how much something is prolonged. timezone: of a time without offset. Raises HTTPException 422."""
    if (body.until is None) == (body.for_ is None):
        raise invalid("give either until or for")
    until = time(body.until, "until", timezone) if body.until is not None else None
    return until, span(body.for_) if body.for_ is not None else timedelta()


def span(text: str) -> timedelta:
    """A length of time, longer than none. Raises HTTPException 422."""
    try:
        seconds = parse_duration(text)
    except ValueError as error:
        raise invalid(f"for: {str(error)[:200]}") from None
    if not seconds:
        raise invalid("for: must be longer than 0")
    return timedelta(seconds=seconds)


def zone(name: str) -> str:
    """The name of a time zone that there is. Raises HTTPException 422."""
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # unknown; not a name at all; a folder of the database, such as "Europe"
        raise invalid(f"there is no time zone {name[:60]!r}") from None
    return name


def _end(context: Context, old: datetime | None, start: datetime | None, body: WindowBody, timezone: str) -> datetime | None:
    if body.end is not None and body.for_ is not None:
        raise invalid("give either end or for, not both")
    if body.for_ is None:
        return old if body.end is None else time(body.end, "end", timezone)
    now = utc(context.now())
    begins = start if start and (body.start is not None or start > now) else now
    return later(begins, span(body.for_))
