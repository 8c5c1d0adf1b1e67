"""What a schedule's page shows: the view, from which day on, on which clock; as an address says it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Final, Literal, NamedTuple
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from amproxy.web.schedules.timeline import Span, midnight

View = Literal["day", "weeks", "month"]
VIEWS: Final[tuple[View, ...]] = ("day", "weeks", "month")

_DAYS: Final = {"day": 1, "weeks": 14}
_EARLIEST, _LATEST = date(1990, 1, 1), date(2200, 1, 1)  # far from where dates overflow


class Shown(NamedTuple):
    """`first` is the first day that is shown."""

    view: View
    first: date
    zone: str

    @property
    def last(self) -> date:
        """The day after those that are shown."""
        if self.view != "month":
            return self.first + timedelta(days=_DAYS[self.view])
        return _month(self.first, 1)

    @property
    def span(self) -> Span:
        clock = ZoneInfo(self.zone)
        return Span(midnight(self.first, clock), midnight(self.last, clock))

    @property
    def previous(self) -> Shown:
        return self._replace(first=_month(self.first, -1) if self.view == "month" else self.first - (self.last - self.first))

    @property
    def next(self) -> Shown:
        return self._replace(first=self.last)

    def as_view(self, view: View, today: date) -> Shown:
        """Another view of the same time: around today where that is shown, else from the same day on."""
        day = today if self.first <= today < self.last else self.first
        return starting(view, day, self.zone)

    @property
    def query(self) -> str:
        """The part of an address that shows this again."""
        return urlencode({"view": self.view, "from": self.first.isoformat(), "zone": self.zone})


def starting(view: View, day: date, zone: str) -> Shown:
    """What a view shows of a day: the day, two weeks from its Monday on, its month."""
    first = {"day": day, "weeks": day - timedelta(days=day.weekday()), "month": day.replace(day=1)}[view]
    return Shown(view, first, zone)


def shown(query: Mapping[str, str], zone: str, now: datetime) -> Shown:
    """What an address asks for; what it leaves out is two weeks around now, on the clock of `zone`.

    Raises ValueError with words for people.
    """
    zone = known_zone(query.get("zone") or zone)
    wanted = query.get("view") or "weeks"
    view = next((one for one in VIEWS if one == wanted), None)
    if view is None:
        raise ValueError(f"view is one of {', '.join(VIEWS)}, not {wanted[:60]!r}")
    text = query.get("from") or ""
    try:
        day = date.fromisoformat(text[:10]) if text else now.astimezone(ZoneInfo(zone)).date()
    except ValueError:
        raise ValueError(f"from is a day such as 2026-12-01, not {text[:60]!r}") from None
    if not _EARLIEST <= day < _LATEST:
        raise ValueError(f"from lies between {_EARLIEST.year} and {_LATEST.year}")
    return starting(view, day, zone)


def known_zone(name: str) -> str:
    """The name of a zone. Raises ValueError for one that there is not."""
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # not there, no name at all, or a folder
        raise ValueError(f"there is no zone {name[:60]!r}") from None
    return name


def _month(day: date, months: int) -> date:
    count = day.year * 12 + day.month - 1 + months
    return date(count // 12, count % 12 + 1, 1)
