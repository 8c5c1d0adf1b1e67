"""When in a person's life a page comes: by day, in the night, at the weekend."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

Daytime = Literal["day", "night", "weekend"]

DAYTIMES: tuple[Daytime, ...] = ("day", "night", "weekend")
NIGHT_BEGINS, NIGHT_ENDS = 22, 6  # hours on the person's clock
_SATURDAY = 5


def daytime(at: datetime, zone: ZoneInfo) -> Daytime:
    """Which it is at a moment (aware) on the clock of `zone`. The weekend is Saturday and Sunday, and wins over the night."""
    shown = at.astimezone(zone)
    if shown.weekday() >= _SATURDAY:
        return "weekend"
    return "day" if NIGHT_ENDS <= shown.hour < NIGHT_BEGINS else "night"


def night(at: datetime, zone: ZoneInfo) -> date | None:
    """The day on which the night of a moment began, at the weekend too; None = it is not night."""
    shown = at.astimezone(zone)
    if NIGHT_ENDS <= shown.hour < NIGHT_BEGINS:
        return None
    return shown.date() if shown.hour >= NIGHT_BEGINS else shown.date() - timedelta(days=1)
