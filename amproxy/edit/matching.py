"""Which entry of a list, or pair of a map, becomes which one of another: what decides where comments go. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from amproxy.config.layout import Data

# Where a new key goes: after the last one that is there and comes before it here. Keys that are not listed go last.
_ORDER: Final = (
    *("name", "full_name", "team", "timezone", "role", "contacts", "notification_rules", "quiet_hours", "notices", "absences", "members"),
    *("repeat", "acknowledge_timeout", "acknowledge_reminder", "after_snooze", "auto_resolve", "reopen_within", "flapping", "storm"),
    *("notify", "wait", "wait_until", "wait_for_alerts", "webhook", "forward", "resolve", "if_nobody", "matchers"),
    *("schedule", "users", "receiver", "position", "pick", "urgency", "rotation", "every", "start", "end", "advance", "reason"),
    *("active_time_intervals", "mute_time_intervals", "layers", "overrides", "steps"),
)
_RANK: Final = {key: rank for rank, key in enumerate(_ORDER)}


def matched(old: Sequence[Data], new: Sequence[Data]) -> list[tuple[int, Data]]:
    """Each new entry with the position of the old one that it is, or that it was changed from; -1 for one that is new.

    Equal ones first, then those with the same name, then those that differ in the name but not in all, then those of the same kind.
    """
    free = dict(enumerate(old))
    found = [-1] * len(new)
    for same in (_equal, _same_name, _renamed, _same_kind):
        for place, data in enumerate(new):
            if found[place] < 0:
                near = (place, *free)
                position = next((at for at in near if at in free and same(free[at], data)), -1)
                found[place] = position
                free.pop(position, None)
    return list(zip(found, new, strict=True))


def _equal(old: Data, new: Data) -> bool:
    return bool(old == new)


def _same_name(old: Data, new: Data) -> bool:
    return isinstance(old, dict) and isinstance(new, dict) and "name" in old and old["name"] == new.get("name")


def _renamed(old: Data, new: Data) -> bool:
    if not isinstance(old, dict) or not isinstance(new, dict) or "name" not in old or "name" not in new:
        return False
    return any(key != "name" and old.get(key) == value for key, value in new.items())


def _same_kind(old: Data, new: Data) -> bool:
    """Of two maps: what they are is said by their first key, a name apart."""
    if not isinstance(old, dict) or not isinstance(new, dict) or not old or not new:
        return False
    return "name" not in new and next(iter(old)) in new


def placed(old: Sequence[str], new: Sequence[str]) -> list[str]:
    """The keys of a map in the order in which they are to stand: those that stay keep theirs."""
    keys = [key for key in old if key in new or key == "<<"]
    for key in new:
        if key not in keys:
            rank = _RANK.get(key, len(_RANK))
            before = [place for place, there in enumerate(keys) if _RANK.get(there, -1 if there == "<<" else len(_RANK)) <= rank]
            keys.insert(max(before, default=-1) + 1, key)
    return keys
