"""From the file to the configuration: all problems at once, or a Config and its warnings."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from amproxy.check.lint import lint
from amproxy.config import extras
from amproxy.config.names import collect_names
from amproxy.config.read import policies, routing, schedules, service, sign_in
from amproxy.config.read.config_routing import build_root, check_root, read_route
from amproxy.config.read.cursor import Cursor, Document, Reader, Section
from amproxy.config.read.global_ import global_settings, read_global
from amproxy.config.read.maintenance import maintenance_window
from amproxy.config.read.people import team, user
from amproxy.config.read.values import list_of
from amproxy.config.status import original
from amproxy.config.structs import Config, StoreSettings, Web
from amproxy.config.yaml import Mapping as MappingNode
from amproxy.config.yaml import Node, compose
from amproxy.errors import ConfigError, ConfigProblem

_TABLE: Final[dict[str, Reader]] = {
    "route": read_route,
    "inhibit_rules": routing.read_inhibit_rules,
    "mute_time_intervals": routing.read_time_intervals,
    "time_intervals": routing.read_time_intervals,
    "templates": extras.templates,
    "tracing": extras.tracing,
    "event_recorder": extras.event_recorder,
    "users": list_of(user),
    "teams": list_of(team),
    "schedules": list_of(schedules.schedule),
    "escalation_policies": list_of(policies.policy),
    "maintenance_windows": list_of(maintenance_window),
    "sources": list_of(service.source),
    "heartbeats": list_of(service.heartbeat),
    "dead_mans_switch": service.dead_mans_switch,
    "web": service.web,
    "sign_in": sign_in.sign_in,
    "store": service.store,
}


@dataclass(frozen=True)
class Loaded:
    """A configuration that can take effect, and what is doubtful about it, in the file's order."""

    config: Config
    warnings: list[ConfigProblem]


def load(path: str | Path, env: Mapping[str, str] = os.environ) -> Loaded:
    """Read and check a file. Raises ConfigError with everything that is wrong; a file that cannot be read is such a problem too."""
    path = Path(path)
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise ConfigError([ConfigProblem(f"cannot read the file: {error.strerror or error}", file=str(path))]) from None
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise ConfigError([ConfigProblem("not UTF-8", file=str(path), line=line, column=1)]) from None
    return load_text(text, str(path), env, path.parent)


def load_text(text: str, file: str = "routes.yaml", env: Mapping[str, str] = os.environ, folder: Path = Path()) -> Loaded:
    """Check a text as `load` does a file. `file` is its name in problems; paths of `*_file` keys start at `folder`."""
    try:
        node = compose(text, file)
    except ConfigProblem as problem:
        raise ConfigError([problem]) from None
    document = Document(file, folder, env)
    root = _read(document, node)
    _stop_at_errors(document)
    config = _build(root, file, hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest())
    document.warnings += lint(config)
    return Loaded(config, sorted(document.warnings, key=_position))


def _position(problem: ConfigProblem) -> tuple[int, int]:
    return problem.line, problem.column


def _stop_at_errors(document: Document) -> None:
    if document.errors:
        raise ConfigError(sorted(document.errors, key=_position))


def _read(document: Document, node: Node | None) -> Section:
    """Every section by its key; `global` always, with its defaults."""
    cursor = Cursor(document, node or MappingNode(line=1, column=1))
    collect_names(cursor)
    given = node.pairs.get("global") if isinstance(node, MappingNode) else None
    at = cursor.to(given[1], "global") if given else cursor.to(MappingNode(line=1, column=1), "global")
    defaults = read_global(at)
    root = cursor.section({"global": lambda at: defaults, "receivers": lambda at: routing.read_receivers(at, defaults), **_TABLE})
    sign_in.refuse_empty(cursor)
    root.require("route", why="where do alerts go?")
    root["global"] = defaults
    if "route" in root:
        check_root(root["route"])
    return root


def _build(root: Section, file: str, digest: str) -> Config:
    intervals = [*root.get("mute_time_intervals", ()), *root.get("time_intervals", ())]
    return Config(
        path=file,
        digest=digest,
        original=original(root),
        global_=global_settings(root["global"]),
        route=build_root(root["route"]),
        receivers=_by_name(map(routing.receiver, root.get("receivers", ()))),
        inhibit_rules=tuple(map(routing.inhibit_rule, root.get("inhibit_rules", ()))),
        time_intervals=routing.time_intervals(intervals),
        users=_by_name(root.get("users", ())),
        teams=_by_name(root.get("teams", ())),
        schedules=_by_name(root.get("schedules", ())),
        policies=_by_name(root.get("escalation_policies", ())),
        sources=_by_name(root.get("sources", ())),
        maintenance=_by_name(root.get("maintenance_windows", ())),
        heartbeats=_by_name(root.get("heartbeats", ())),
        dead_mans_switch=root.get("dead_mans_switch"),
        web=root.get("web", Web()),
        sign_in=root.get("sign_in"),
        store=root.get("store", StoreSettings()),
    )


def _by_name(items: Iterable[Any]) -> dict[str, Any]:
    return {item.name: item for item in items}
