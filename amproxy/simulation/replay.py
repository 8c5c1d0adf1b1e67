"""`amproxy replay`: whom a changed file would have paged differently over an exported history."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from amproxy.clock import rfc3339, utc
from amproxy.config.structs import Config
from amproxy.oncall.daytime import night
from amproxy.oncall.roster import Roster
from amproxy.simulation.compare import Call, Compared, compare
from amproxy.simulation.history import History
from amproxy.simulation.recorded import Broken, Record
from amproxy.simulation.shares import Shares

_UTC = ZoneInfo("UTC")


class Load(msgspec.Struct, kw_only=True):
    """A person's pages."""

    before: int = 0
    now: int = 0
    night_before: int = 0
    night_now: int = 0


class Replay:
    """Runs when made."""

    def __init__(self, records: Sequence[Record], roster: Roster) -> None:
        """records: in order of their beginning."""
        history = History(records, roster)
        shares = Shares(history)
        self.config, self.turns = roster.config, bool(history.turns)
        self.incidents = [
            compare(record, lanes, shares, joined, history.end)
            for record, lanes, joined in zip(records, history.lanes, history.joined, strict=True)
        ]
        self.people = _people(roster.config, self.incidents)

    @property
    def different(self) -> list[Compared]:
        return [one for one in self.incidents if one.different]


def _people(config: Config, incidents: Iterable[Compared]) -> dict[str, Load]:
    loads: defaultdict[str, Load] = defaultdict(Load)
    zones = {name: ZoneInfo(user.timezone) for name, user in config.users.items()}
    for one in incidents:
        for call in (*one.same, *one.only_before):
            if call.user:
                loads[call.user].before += 1
                loads[call.user].night_before += _at_night(call, zones)
        for call in (*one.same, *one.only_now):
            if call.user:
                loads[call.user].now += 1
                loads[call.user].night_now += _at_night(call, zones)
    return {name: loads[name] for name in sorted(loads)}


def _at_night(call: Call, zones: Mapping[str, ZoneInfo]) -> bool:
    return night(utc(call.at), zones.get(call.user, _UTC)) is not None


def document(found: Replay, broken: Sequence[Broken]) -> dict[str, Any]:
    """The JSON of the command."""
    return {
        "incidents": [_shown(one) for one in found.incidents],
        "people": {name: msgspec.to_builtins(load) for name, load in found.people.items()},
        "differences": len(found.different),
        "broken": [msgspec.to_builtins(one) for one in broken],
    }


def _shown(one: Compared) -> dict[str, Any]:
    seen = one.record.incident
    return {
        "id": seen.id,
        "number": seen.number,
        "title": seen.title,
        "started_at": rfc3339(one.record.start),
        "before": msgspec.to_builtins(one.before),
        "now": [msgspec.to_builtins(way) for way in one.now],
        "part_of": one.part_of or None,
        "different": one.different,
        "reaches_nobody": one.lost,
        "only_before": [_call(call) for call in one.only_before],
        "only_now": [_call(call) for call in one.only_now],
        "same": [_call(call) for call in one.same],
        "uncertain": one.uncertain,
    }


def _call(call: Call) -> dict[str, Any]:
    return {**msgspec.to_builtins(call), "at": rfc3339(call.at)}
