"""The first pass over a file: which names each section defines, so that a reference can be checked where it stands."""

from __future__ import annotations

import re
from typing import Final

from amproxy.config.read.cursor import Cursor
from amproxy.config.yaml import Mapping, Scalar, Sequence

_SECTIONS: Final = {  # section → the name space it fills
    "receivers": "receivers",
    "mute_time_intervals": "time_intervals",
    "time_intervals": "time_intervals",
    "users": "users",
    "teams": "teams",
    "schedules": "schedules",
    "escalation_policies": "escalation_policies",
    "maintenance_windows": "maintenance_windows",
    "sources": "sources",
    "heartbeats": "heartbeats",
}
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


def collect_names(root: Cursor) -> None:
    """Fill `document.names`; a name that its name space has already is an error."""
    for section, space in _SECTIONS.items():
        known = root.document.names.setdefault(space, {})
        if not isinstance(root.node, Mapping) or section not in root.node.pairs:
            continue
        at = root.to(root.node.pairs[section][1], section)
        for position, item in enumerate(at.node.items if isinstance(at.node, Sequence) else ()):
            pair = item.pairs.get("name") if isinstance(item, Mapping) else None
            if pair is None or not isinstance(pair[1], Scalar) or pair[1].null:
                continue
            node = pair[1]
            name = _VARIABLE.sub(lambda found: root.document.env.get(found[1], ""), node.text)
            if name in known:
                at.to(item, position).to(node, "name").error(f"the name {name!r} is taken already, in line {known[name]}")
            elif name:
                known[name] = node.line
