"""Load routes.yaml: all its problems at once, or a Config and its warnings.

A first pass collects the names that each section defines, so that the second one can check each
reference where it stands.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from amproxy.config.files import read_text
from amproxy.config.go_templates import read_templates
from amproxy.config.identities import check_identities
from amproxy.config.read import policies, routing, schedules, service, sign_in
from amproxy.config.read.cursor import ConfigDocument, Cursor, Reader, Section
from amproxy.config.read.events import build_event_recorder, read_event_recorder
from amproxy.config.read.global_ import build_global, read_global
from amproxy.config.read.http import read_headers, read_tls_config
from amproxy.config.read.people import read_team, read_user
from amproxy.config.read.routing import build_root_route, check_root_route, read_route
from amproxy.config.read.service import read_maintenance_window
from amproxy.config.read.values import (
    ENVIRONMENT_VARIABLE,
    TRUE_WORDS,
    boolean,
    choice,
    duration,
    fraction,
    list_of,
    text,
)
from amproxy.config.status import render_original
from amproxy.config.structs import Config, StoreSettings, Web
from amproxy.config.yaml import MappingNode, ScalarNode, SequenceNode, YamlNode, compose
from amproxy.errors import ConfigError, ConfigProblem
from amproxy.labels.matchers import MatcherMode, use_mode
from amproxy.text import Phrase

# Which grammar `amproxy serve --enable-feature` asked for; the processes that it starts inherit it.
MATCHER_MODE_VARIABLE: Final = "AMPROXY_MATCHER_MODE"
MAX_ERRORS: Final = 1000  # of one file that are told

ALERTMANAGER_SECTIONS: Final = frozenset(
    (
        *("global", "route", "receivers", "inhibit_rules", "templates"),
        *("mute_time_intervals", "time_intervals", "tracing", "event_recorder"),
    )
)
# Section → the name space it fills: the two lists of time intervals share one.
_NAME_SPACES: Final = {
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


@dataclass(frozen=True)
class LoadedConfig:
    """A configuration that can take effect, and its warnings in the file's order."""

    config: Config
    warnings: list[ConfigProblem]


def load(path: str | Path, env: Mapping[str, str] = os.environ) -> LoadedConfig:
    """Read and check a file.

    Raises ConfigError with all its problems; a file that cannot be read is such a problem too.
    """
    # Every process reads the file before anything else: workers, and the one beside the service.
    use_mode(_matcher_mode(env.get(MATCHER_MODE_VARIABLE, "")))
    path = Path(path)
    try:
        text = read_text(path)
    except ConfigProblem as problem:
        raise ConfigError([problem]) from None
    return load_text(text, str(path), env, path.parent)


def _matcher_mode(text: str) -> MatcherMode:
    return "classic" if text == "classic" else "utf8" if text == "utf8" else "fallback"


def source_lines(path: str | Path) -> list[str]:
    """The lines of a file, to show problems in; [] where it cannot be read."""
    try:
        return read_text(Path(path)).split("\n")
    except ConfigProblem:
        return []


def load_text(
    text: str, file: str = "routes.yaml", env: Mapping[str, str] = os.environ, folder: Path = Path()
) -> LoadedConfig:
    """Check a text as `load` does a file.

    `file` is its name in problems; paths of `*_file` keys start at `folder`.
    """
    try:
        node = compose(text, file)
    except ConfigProblem as problem:
        raise ConfigError([problem]) from None
    document = ConfigDocument(file, folder, env if _replaces_variables(node) else None)
    root = _read_sections(document, node)
    _raise_errors(document)
    config = _build_config(root, document, _digest(text, document))
    return LoadedConfig(config, sorted(document.warnings, key=_line_and_column))


def _digest(text: str, document: ConfigDocument) -> str:
    """SHA-256 of the file, and of the templates that it names."""
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass"))
    for template in document.templates:
        digest.update(f"\0{template.path}\0{template.text}".encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


def _replaces_variables(node: YamlNode | None) -> bool:
    """Tell whether `${NAME}` is a variable in this file: it says so itself, or is amproxy's.

    In a file of Alertmanager's sections alone it is text, as Alertmanager takes it.
    """
    pairs = node.pairs if isinstance(node, MappingNode) else {}
    if "environment" in pairs and isinstance(said := pairs["environment"][1], ScalarNode):
        return said.text in TRUE_WORDS
    return not ALERTMANAGER_SECTIONS.issuperset(pairs)


def _line_and_column(problem: ConfigProblem) -> tuple[int, int]:
    return problem.line, problem.column


def _raise_errors(document: ConfigDocument) -> None:
    errors = sorted(document.errors, key=_line_and_column)
    if len(errors) > MAX_ERRORS:
        more = Phrase("problem.more_errors", {"count": len(errors) - MAX_ERRORS})
        errors[MAX_ERRORS:] = [ConfigProblem(more, file=document.file)]
    if errors:
        raise ConfigError(errors)


def _read_sections(document: ConfigDocument, node: YamlNode | None) -> Section:
    """Every section by its key; `global` always, with its defaults."""
    cursor = Cursor(document, node or MappingNode(line=1, column=1))
    collect_names(cursor)
    pairs = node.pairs if isinstance(node, MappingNode) else {}
    # Before the other sections: receivers are filled in from `global`, and their texts use the
    # templates of the files.
    given = pairs.get("global")
    global_node = given[1] if given else MappingNode(line=1, column=1)
    defaults = read_global(cursor.child(global_node, "global"))
    if globs := pairs.get("templates"):
        document.templates = read_templates(cursor.child(globs[1], "templates"))
    root = cursor.section(
        {
            "global": lambda at: defaults,
            "receivers": lambda at: routing.read_receivers(at, defaults),
            **_SECTION_READERS,
        }
    )
    sign_in.refuse_empty_sign_in(cursor)
    if "users" in root:
        check_identities(
            root.cursors["users"], root["users"], with_sign_in=root.given("sign_in") != ""
        )
    root.require("route", why=Phrase("problem.why_route"))
    root["global"] = defaults
    if "route" in root:
        check_root_route(root["route"])
    return root


def _build_config(root: Section, document: ConfigDocument, digest: str) -> Config:
    intervals = [*root.get("mute_time_intervals", ()), *root.get("time_intervals", ())]
    return Config(
        path=document.file,
        digest=digest,
        templates=document.templates,
        original=render_original(root),
        global_=build_global(root["global"]),
        route=build_root_route(root["route"]),
        receivers=_by_name(map(routing.build_receiver, root.get("receivers", ()))),
        inhibit_rules=tuple(map(routing.build_inhibit_rule, root.get("inhibit_rules", ()))),
        time_intervals=routing.build_time_intervals(intervals),
        users=_by_name(root.get("users", ())),
        teams=_by_name(root.get("teams", ())),
        schedules=_by_name(root.get("schedules", ())),
        policies=_by_name(root.get("escalation_policies", ())),
        sources=_by_name(root.get("sources", ())),
        maintenance=_by_name(root.get("maintenance_windows", ())),
        heartbeats=_by_name(root.get("heartbeats", ())),
        dead_mans_switch=root.get("dead_mans_switch"),
        metrics=root.get("metrics"),
        web=root.get("web", Web()),
        sign_in=root.get("sign_in"),
        store=root.get("store", StoreSettings()),
        event_recorder=build_event_recorder(root.get("event_recorder")),
    )


def _by_name(items: Iterable[Any]) -> dict[str, Any]:
    return {item.name: item for item in items}


def collect_names(root: Cursor) -> None:
    """Fill `document.names`; a name given twice in one name space is an error."""
    env = root.document.env
    for section, space in _NAME_SPACES.items():
        known = root.document.names.setdefault(space, {})
        if not isinstance(root.node, MappingNode) or section not in root.node.pairs:
            continue
        at = root.child(root.node.pairs[section][1], section)
        for position, item in enumerate(at.node.items if isinstance(at.node, SequenceNode) else ()):
            pair = item.pairs.get("name") if isinstance(item, MappingNode) else None
            if pair is None or not isinstance(pair[1], ScalarNode) or pair[1].null:
                continue
            node = pair[1]
            # An unset variable is an error of the second pass, not of this one.
            name = node.text
            if env is not None:
                name = ENVIRONMENT_VARIABLE.sub(lambda found: env.get(found[1], ""), name)
            if name in known:
                at.child(item, position).child(node, "name").error(
                    "problem.name_taken", name=name, line=known[name]
                )
            elif name:
                known[name] = node.line


# A section of alertmanager.yml that loads, so that a drop-in file does, and changes nothing here.
_TRACING_KEYS: Final[dict[str, Reader]] = {
    "client_type": choice("http", "grpc"),
    "endpoint": text,
    "sampling_fraction": fraction,
    "insecure": boolean,
    "tls_config": read_tls_config,
    "headers": read_headers,
    "compression": choice("", "gzip"),
    "timeout": duration,
}


def read_tracing(at: Cursor) -> Section:
    """`tracing`: Alertmanager's traces of itself."""
    section = at.section(_TRACING_KEYS)
    section.require("endpoint")
    at.warn("unused", Phrase("problem.unused_tracing"))
    return section


_SECTION_READERS: Final[dict[str, Reader]] = {
    "route": read_route,
    "inhibit_rules": routing.read_inhibit_rules,
    "mute_time_intervals": routing.read_time_intervals,
    "time_intervals": routing.read_time_intervals,
    "templates": list_of(text),
    "tracing": read_tracing,
    "event_recorder": read_event_recorder,
    "users": list_of(read_user),
    "teams": list_of(read_team),
    "schedules": list_of(schedules.read_schedule),
    "escalation_policies": list_of(policies.read_policy),
    "maintenance_windows": list_of(read_maintenance_window),
    "sources": list_of(service.read_source),
    "heartbeats": list_of(service.read_heartbeat),
    "dead_mans_switch": service.read_dead_mans_switch,
    "metrics": service.read_metrics,
    "environment": boolean,
    "web": service.read_web,
    "sign_in": sign_in.read_sign_in,
    "store": service.read_store,
}
