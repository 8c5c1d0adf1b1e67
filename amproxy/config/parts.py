"""A loaded configuration in parts, to be handed from one process to another.

To unpickle a large one at once would keep a process busy for a third of a second.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, Final

from msgspec import structs

from amproxy.config.loader import LoadedConfig
from amproxy.config.structs import Config

_PART_SIZE: Final = 250  # entries of a section
_ROUTES: Final = "route"


def split_loaded(loaded: LoadedConfig) -> Iterator[Any]:
    """The configuration without the entries of its sections, then these in parts."""
    config = loaded.config
    sections = {
        name: section
        for name in Config.__struct_fields__
        if isinstance(section := getattr(config, name), dict)
    }
    none: dict[str, Any] = {name: {} for name in sections}
    empty = structs.replace(config, route=structs.replace(config.route, routes=()), **none)
    yield LoadedConfig(empty, loaded.warnings)
    for name, section in sections.items():
        entries = iter(section.items())
        while part := dict(islice(entries, _PART_SIZE)):
            yield name, part
    routes = config.route.routes
    for start in range(0, len(routes), _PART_SIZE):
        yield _ROUTES, routes[start : start + _PART_SIZE]


def join_loaded(parts: Sequence[Any]) -> LoadedConfig:
    """The configuration of which these are the parts."""
    loaded: LoadedConfig = parts[0]
    sections: dict[str, dict[str, Any]] = {}
    routes: list[Any] = []
    for name, part in parts[1:]:
        if name == _ROUTES:
            routes += part
        else:
            sections.setdefault(name, {}).update(part)
    route = structs.replace(loaded.config.route, routes=tuple(routes))
    return LoadedConfig(structs.replace(loaded.config, route=route, **sections), loaded.warnings)
