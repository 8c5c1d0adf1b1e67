"""Silences and maintenance windows side by side, as pages list them: what is in force, what is planned, what is over."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, NamedTuple
from urllib.parse import quote

from amproxy.clock import utc
from amproxy.config.structs import Maintenance
from amproxy.context import Context
from amproxy.correlate.muting import identity
from amproxy.grouping import silences
from amproxy.grouping.maintenance import bounds, next_opening, open_at, state
from amproxy.model import Silence
from amproxy.respond import maintenance, muting
from amproxy.web.silences import preview
from amproxy.web.silences.preview import Sets
from amproxy.zones import EARLIEST, LATEST

Kind = Literal["silence", "maintenance"]
State = Literal["active", "pending", "closed", "expired"]  # closed: a window that recurs, between two openings
FOREVER = 4_000_000_000.0  # Unix seconds, in the year 2096: an end after that is none


class Hush(NamedTuple):
    """One silence or window. Times are Unix seconds; None = there is no such moment."""

    kind: Kind
    id: str
    name: str  # of a window
    sets: Sets
    state: State
    start: float | None
    end: float | None
    until: float | None  # of one in force: when that ends
    opens: float | None  # the next opening
    by: str
    comment: str
    intervals: tuple[str, ...]
    of_file: bool
    timezone: str

    @property
    def path(self) -> str:
        """Its page; a window of the file is called by its name, which may hold any character."""
        return f"/silences/windows/{quote(self.id, safe='')}" if self.kind == "maintenance" else f"/silences/{quote(self.id, safe='')}"

    @property
    def cause(self) -> str:
        """What the record of hidden alerts calls it."""
        return f"{self.kind}:{self.id}"

    @property
    def changeable(self) -> bool:
        return not self.of_file and self.state != "expired"


class Counted(NamedTuple):
    """One with the number of alerts that fire now and match."""

    hush: Hush
    alerts: int


def of_silence(silence: Silence, now: float) -> Hush:
    start, end = silence.starts_ns / 10**9, silence.ends_ns / 10**9
    bounded = end if end < FOREVER else None
    shown = silences.shown_state(silence, int(now * 10**9))
    return Hush(
        kind="silence",
        id=silence.id,
        name="",
        sets=silence.matcher_sets,
        state=shown,
        start=start,
        end=bounded,
        until=bounded if shown == "active" else None,
        opens=start if shown == "pending" else None,
        by=silence.created_by,
        comment=silence.comment,
        intervals=(),
        of_file=False,
        timezone="UTC",
    )


def of_window(context: Context, window: Maintenance) -> Hush:
    intervals, now = context.config.time_intervals, utc(context.now())
    until, known = open_at(window, intervals, now), state(window, intervals, now)
    start, end = bounds(window)
    return Hush(
        kind="maintenance",
        id=identity(window),
        name=window.name,
        sets=[window.matchers],
        state="active" if known == "open" else known,
        start=_moment(start),
        end=_moment(end),
        until=_moment(until),
        opens=_moment(next_opening(window, intervals, until or now)),
        by=window.created_by,
        comment=window.comment,
        intervals=window.active_time_intervals,
        of_file=not window.id,
        timezone=window.timezone,
    )


async def find(context: Context, kind: Kind, name: str) -> Hush:
    """Raises NotFound, StoreUnavailable."""
    if kind == "silence":
        return of_silence(await muting.find(context, name), context.now())
    return of_window(context, await maintenance.find(context, name))


async def every(context: Context) -> list[Hush]:
    """All that are known: those in force first (the soonest end first), then those to come, then what is over (the last end first)."""
    now = context.now()
    found = [of_silence(silence, now) for silence in (await muting.known(context)).values()]
    found += [of_window(context, window) for window in await maintenance.known(context)]
    return sorted(found, key=_rank)


async def counted(context: Context, found: list[Hush]) -> tuple[list[Counted], int]:
    """Each with the alerts that fire now and match, and how many alerts those in force hide together. Raises StoreUnavailable."""
    matching = await preview.matching(context, {one.cause: one.sets for one in found})
    held = set[str]().union(*(matching[one.cause] for one in found if one.state == "active"))
    return [Counted(one, len(matching[one.cause])) for one in found], len(held)


def _rank(one: Hush) -> tuple[int, float, str]:
    if one.state == "active":
        return 0, one.until or FOREVER, one.id
    if one.state == "expired":
        return 2, -(one.end or 0.0), one.id
    return 1, one.opens or FOREVER, one.id


def _moment(at: datetime | None) -> float | None:
    return None if at is None or at <= EARLIEST or at >= LATEST else at.timestamp()
