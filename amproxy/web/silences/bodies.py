"""Silences as people ask for them: what the page's form says becomes a silence, and how one is prolonged."""

from __future__ import annotations

from datetime import datetime

import msgspec

from amproxy.clock import utc
from amproxy.context import Context
from amproxy.grouping.silences import FOREVER_NS
from amproxy.model import Silence
from amproxy.respond.maintenance import later
from amproxy.web.http.request import invalid, time
from amproxy.web.silences import preview
from amproxy.web.silences.asked_window import ExtendBody, extension, span, zone


class SilenceBody(msgspec.Struct, kw_only=True):
    """As WindowBody: times without offset are wall-clock times of `timezone`. What is left out stays as it is."""

    matchers: list[str] | None = None
    start: str | None = None
    end: str | None = None
    for_: str | None = None
    timezone: str = "UTC"
    comment: str | None = None


def wanted(context: Context, old: Silence | None, body: SilenceBody, by: str) -> Silence:
    """A silence with what the body says of it; old None = a new one, made by `by`. Raises HTTPException 422."""
    now_ns, timezone = int(context.now() * 10**9), zone(body.timezone)
    start_ns = _ns(time(body.start, "start", timezone)) if body.start is not None else old.starts_ns if old else now_ns
    kept = old.matcher_sets if old and body.matchers is None else None
    comment = (old.comment if old else "") if body.comment is None else body.comment.strip()
    return Silence(
        id=old.id if old else "", matcher_sets=kept or [list(preview.matchers(body.matchers or []))], starts_ns=start_ns,
        ends_ns=_end(old, start_ns, body, now_ns, timezone),
        created_by=by or (old.created_by if old else ""), comment=comment,
        annotations=old.annotations if old else {},
    )  # fmt: skip


def extended(old: Silence, body: ExtendBody, timezone: str | None = None) -> int:
    """The end, in nanoseconds, that a silence is to have. Raises HTTPException 422."""
    until, by = extension(body, timezone)
    return _ns(until) if until else min(old.ends_ns + int(by.total_seconds()) * 10**9, FOREVER_NS)


def _end(old: Silence | None, start_ns: int, body: SilenceBody, now_ns: int, timezone: str) -> int:
    if body.end is not None and body.for_ is not None:
        raise invalid("give either end or for, not both")
    if body.end is not None:
        return _ns(time(body.end, "end", timezone))
    if body.for_ is not None:
        return _ns(later(utc(max(start_ns, now_ns) / 10**9), span(body.for_)))
    if old is None:
        raise invalid("say until when: end, or for")
    return old.ends_ns


def _ns(at: datetime) -> int:
    return min(int(at.timestamp()) * 10**9, FOREVER_NS)
