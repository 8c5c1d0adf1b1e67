"""`amproxy oncall`: who is on call at a moment, and who is next."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from amproxy.clock import rfc3339
from amproxy.config.read.cursor import hint
from amproxy.config.structs import Config
from amproxy.errors import NotFound
from amproxy.moment import fixed
from amproxy.oncall.roster import OnCall, Roster
from amproxy.simulation import terminal


def oncall(config: Config, roster: Roster, schedule: str | None, at: datetime) -> list[dict[str, Any]]:
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
        for found in _asked(config, roster, schedule, at)
    ]


def oncall_text(config: Config, roster: Roster, schedule: str | None, at: datetime) -> str:
    """The same as a table for people, on the clock of each schedule's zone. Raises NotFound."""
    found = _asked(config, roster, schedule, at)
    if not found:
        return "The file has no schedules."
    return terminal.table([("SCHEDULE", "ON CALL", "UNTIL", "NEXT"), *(_row(config, one) for one in found)], wrap=(1, 3))


def _asked(config: Config, roster: Roster, schedule: str | None, at: datetime) -> list[OnCall]:
    if schedule is not None and schedule not in config.schedules:
        raise NotFound(f"there is no schedule {schedule!r}{hint(schedule, config.schedules)}")
    names = config.schedules if schedule is None else (schedule,)
    return [roster.on_call(name, fixed(at, config.schedules[name].timezone)) for name in names]


def _row(config: Config, found: OnCall) -> tuple[str, str, str, str]:
    zone = config.schedules[found.schedule].timezone
    who = terminal.people(config, found.users) or f"nobody ({found.reason.removeprefix('nobody: ')})"
    if found.until is None:
        return found.schedule, who, "no change within a year", "-"
    return found.schedule, who, f"{terminal.when(found.until, zone)} {zone}", terminal.people(config, found.next) or "nobody"
