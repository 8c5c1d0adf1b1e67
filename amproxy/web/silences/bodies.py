"""Request bodies of silences and maintenance windows, and the silence or window of a body.

The API and the page's form share them.
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
from amproxy.text import Phrase
from amproxy.times import parse_duration
from amproxy.web.http.request import field_name, invalid, parse_time_param
from amproxy.web.silences.preview import parse_matcher_texts


class MaintenanceWindowRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Times without offset are wall-clock times of `timezone`. None leaves a value as it is."""

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
    """Exactly one of `until` and `for`."""

    until: str | None = None
    for_: str | None = msgspec.field(name="for", default=None)
    user: str | None = None


class EditSilenceRequest(msgspec.Struct, kw_only=True):
    """Times without offset are wall-clock times of `timezone`. None leaves a value as it is."""

    matchers: list[str] | None = None
    start: str | None = None
    end: str | None = None
    for_: str | None = None
    timezone: str = "UTC"
    comment: str | None = None


def new_window(body: MaintenanceWindowRequest, by: str) -> Maintenance:
    """A window to begin with. by: a user of the file, or ""."""
    return Maintenance(name="", matchers=parse_matcher_texts(body.matchers or []), created_by=by)


def window_from_request(
    context: Context, old: Maintenance, body: MaintenanceWindowRequest
) -> Maintenance:
    """A window with the values of a body. Raises HTTPException 422."""
    timezone = old.timezone if body.timezone is None else parse_zone(body.timezone)
    start = old.start if body.start is None else parse_time_param(body.start, "start", timezone)
    changes: dict[str, object] = {"start": start, "timezone": timezone}
    if body.matchers is not None:
        changes["matchers"] = parse_matcher_texts(body.matchers)
    changes["end"] = _window_end(context, old.end, start, body, timezone)
    if body.name is not None:
        changes["name"] = body.name.strip()
    if body.active_time_intervals is not None:
        changes["active_time_intervals"] = tuple(body.active_time_intervals)
    if body.comment is not None:
        changes["comment"] = body.comment.strip()
    return msgspec.structs.replace(old, **changes)


def _window_end(
    context: Context,
    old: datetime | None,
    start: datetime | None,
    body: MaintenanceWindowRequest,
    timezone: str,
) -> datetime | None:
    if body.end is not None and body.for_ is not None:
        raise invalid(Phrase("refusal.end_or_for"))
    if body.for_ is None:
        return old if body.end is None else parse_time_param(body.end, "end", timezone)
    # A length counts from the start, but from now for a window that is open and keeps its start.
    now = utc(context.now())
    begin = start if start and (body.start is not None or start > now) else now
    return add_time(begin, parse_positive_duration(body.for_))


def silence_from_request(
    context: Context, old: Silence | None, body: EditSilenceRequest, by: str
) -> Silence:
    """A silence with the values of a body; old None = a new one, made by `by`.

    Raises HTTPException 422.
    """
    now_ns, timezone = int(context.now() * 10**9), parse_zone(body.timezone)
    if body.start is not None:
        start_ns = _to_ns(parse_time_param(body.start, "start", timezone))
    else:
        start_ns = old.starts_ns if old else now_ns
    if old and body.matchers is None:
        matcher_sets = old.matcher_sets
    else:
        matcher_sets = [list(parse_matcher_texts(body.matchers or []))]
    old_comment = old.comment if old else ""
    return Silence(
        id=old.id if old else "",
        matcher_sets=matcher_sets,
        starts_ns=start_ns,
        ends_ns=_silence_end(old, start_ns, body, now_ns, timezone),
        created_by=by or (old.created_by if old else ""),
        comment=old_comment if body.comment is None else body.comment.strip(),
        annotations=old.annotations if old else {},
    )


def parse_extended_end(old: Silence, body: ExtendRequest, timezone: str | None = None) -> int:
    """The new end of a silence in nanoseconds. Raises HTTPException 422."""
    until, by = parse_extension(body, timezone)
    if until:
        return _to_ns(until)
    return min(old.ends_ns + int(by.total_seconds()) * 10**9, FOREVER_NS)


def _silence_end(
    old: Silence | None, start_ns: int, body: EditSilenceRequest, now_ns: int, timezone: str
) -> int:
    if body.end is not None and body.for_ is not None:
        raise invalid(Phrase("refusal.end_or_for"))
    if body.end is not None:
        return _to_ns(parse_time_param(body.end, "end", timezone))
    if body.for_ is not None:
        begin = utc(max(start_ns, now_ns) / 10**9)
        return _to_ns(add_time(begin, parse_positive_duration(body.for_)))
    if old is None:
        raise invalid(Phrase("refusal.until_when"))
    return old.ends_ns


def _to_ns(at: datetime) -> int:
    return min(int(at.timestamp()) * 10**9, FOREVER_NS)


def parse_extension(
    body: ExtendRequest, timezone: str | None = None
) -> tuple[datetime | None, timedelta]:
    """The new end, or the time to add where that is None. Raises HTTPException 422.

    timezone: of a time without offset.
    """
    if (body.until is None) == (body.for_ is None):
        raise invalid(Phrase("refusal.either_until_or_for"))
    until = parse_time_param(body.until, "until", timezone) if body.until is not None else None
    return until, parse_positive_duration(body.for_) if body.for_ is not None else timedelta()


def parse_positive_duration(text: str) -> timedelta:
    """A duration above zero. Raises HTTPException 422."""
    try:
        seconds = parse_duration(text)
    except ValueError:
        raise invalid(
            Phrase("refusal.field_duration", {"field": field_name("for"), "text": text[:60]})
        ) from None
    if not seconds:
        raise invalid(Phrase("refusal.field_positive", {"field": field_name("for")}))
    return timedelta(seconds=seconds)


def parse_zone(name: str) -> str:
    """The name of a time zone, unchanged. Raises HTTPException 422 for an unknown one."""
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # unknown; not a name; a folder such as "Europe"
        raise invalid(Phrase("refusal.no_zone", {"zone": name[:60]})) from None
    return name
