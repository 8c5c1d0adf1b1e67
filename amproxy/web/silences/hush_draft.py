"""What somebody is writing into the form of a silence or window: from an address or a form, and on to the API's bodies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec

from amproxy.clock import utc
from amproxy.web.silences.asked_window import WindowBody, zone
from amproxy.web.silences.bodies import SilenceBody
from amproxy.web.silences.hushes import Hush, Kind

LENGTHS = ("1h", "2h", "4h", "8h", "1d", "3d", "1w")
MONDAY, ENDLESS = "monday", "endless"  # until next Monday 9:00; of a window that recurs: no end
DAWN = 9  # the hour at which people are back
DAYS = 7
LONGEST = 4000  # characters of all matchers


class Draft(msgspec.Struct, kw_only=True, frozen=True):
    """The fields as they were written."""

    kind: Kind
    name: str = ""
    matchers: str = ""  # a line for each
    start: str = ""  # "" = now, or as it is
    for_: str = ""  # one of LENGTHS, MONDAY, ENDLESS; "" = as it is
    until: str = ""  # goes before `for_`
    intervals: tuple[str, ...] = ()
    timezone: str = "UTC"
    comment: str = ""
    user: str = ""

    @property
    def lines(self) -> list[str]:
        return [line for line in self.matchers[:LONGEST].splitlines() if line.strip()]

    def silence(self, now: float) -> SilenceBody:
        return SilenceBody(
            matchers=self.lines, start=self.start or None, end=self._end(now), for_=self._for(), timezone=self.timezone,
            comment=self.comment,
        )  # fmt: skip

    def window(self, now: float) -> WindowBody:
        return WindowBody(
            name=self.name or None, matchers=self.lines, start=self.start or None, end=self._end(now), for_=self._for(),
            active_time_intervals=list(self.intervals), timezone=self.timezone, comment=self.comment,
        )  # fmt: skip

    def _end(self, now: float) -> str | None:
        return self.until or (monday(now, self.timezone) if self.for_ == MONDAY else None)

    def _for(self) -> str | None:
        return self.for_ or None if not self.until and self.for_ not in (MONDAY, ENDLESS) else None


def written(fields: Mapping[str, Sequence[str]], kind: Kind, timezone: str) -> Draft:
    """A draft out of the fields of a form or an address. `label` are matchers, too: what a link from an alert carries.

    timezone: where none is written. Raises HTTPException 422 for one that there is not.
    """

    def last(name: str) -> str:
        return (fields.get(name) or [""])[-1].strip()

    lines = [*fields.get("label", ()), *last("matchers").splitlines()]
    return Draft(
        kind=kind, name=last("name"), matchers="\n".join(line.strip() for line in lines if line.strip()), start=last("start"),
        for_=last("for"), until=last("until"), intervals=tuple(name for name in fields.get("interval", ()) if name),
        timezone=zone(last("timezone") or timezone), comment=last("comment"), user=last("user"),
    )  # fmt: skip


def of(hush: Hush, timezone: str) -> Draft:
    """What the form of one that is there already begins with."""
    return Draft(
        kind=hush.kind, name=hush.name, matchers="\n".join(str(matcher) for matcher in hush.sets[0]), intervals=hush.intervals,
        timezone=hush.timezone if hush.kind == "maintenance" else timezone, comment=hush.comment,
    )  # fmt: skip


def monday(now: float, timezone: str) -> str:
    """The next Monday, 9:00 on the clock of a zone, as a wall-clock time."""
    local = utc(now).astimezone(ZoneInfo(timezone)).replace(tzinfo=None)
    morning = datetime(local.year, local.month, local.day, DAWN) + timedelta(days=-local.weekday() % DAYS)  # noqa: DTZ001 wall clock
    return (morning if morning > local else morning + timedelta(days=DAYS)).isoformat(timespec="minutes")
