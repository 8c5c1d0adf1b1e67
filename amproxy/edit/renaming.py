"""What else of a file changes when a schedule or a policy gets another name. Pure."""

from __future__ import annotations

from typing import Final

from amproxy.config.layout import Data

_REFERENCES: Final[dict[str, tuple[tuple[str, ...], ...]]] = {  # section → the ways to where its names stand, through lists on the way
    "escalation_policies": (
        ("receivers", "oncall_configs", "escalation_policy"),
        ("escalation_policies", "steps", "forward"),
    ),
    "schedules": (("escalation_policies", "steps", "notify", "schedule"),),
}


def renamed(data: Data, section: str, old: str, new: str) -> Data:
    """The whole of a file's data with every reference to an entry of `section` renamed. Data of sections without references stays."""
    for way in _REFERENCES.get(section, ()):
        data = _followed(data, way, old, new)
    return data


def _followed(data: Data, way: tuple[str, ...], old: str, new: str) -> Data:
    if isinstance(data, list):
        return [_followed(item, way, old, new) for item in data]
    if not way:
        return new if data == old else data
    if not isinstance(data, dict) or way[0] not in data:
        return data
    return {**data, way[0]: _followed(data[way[0]], way[1:], old, new)}
