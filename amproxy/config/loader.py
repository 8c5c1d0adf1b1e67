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

from amproxy.config.identities import check_identities
from amproxy.config.read import policies, routing, schedules, service, sign_in
from amproxy.config.read.cursor import ConfigDocument, Cursor, Reader, Section
from amproxy.config.read.global_ import build_global, read_global
from amproxy.config.read.http import read_headers, read_http_config, read_tls_config
from amproxy.config.read.kinds import section_requiring
from amproxy.config.read.people import read_team, read_user
from amproxy.config.read.routing import build_root_route, check_root_route, read_route
from amproxy.config.read.service import read_maintenance_window
from amproxy.config.read.values import (
    ENVIRONMENT_VARIABLE,
    boolean,
    choice,
    duration,
    fraction,
    integer,
    list_of,
    secret_url,
    section_of,
    text,
)
from amproxy.config.status import render_original
from amproxy.config.structs import Config, StoreSettings, Web
from amproxy.config.yaml import MappingNode, ScalarNode, SequenceNode, YamlNode, compose
from amproxy.errors import ConfigError, ConfigProblem
from amproxy.text import Phrase

MAX_FILE_BYTES: Final = 16 * 1024 * 1024  # the largest Alertmanager files known have one million
MAX_ERRORS: Final = 1000  # of one file that are told

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
    path = Path(path)
    try:
        text = read_text(path)
    except ConfigProblem as problem:
        raise ConfigError([problem]) from None
    return load_text(text, str(path), env, path.parent)


def read_text(path: Path, limit: int = MAX_FILE_BYTES) -> str:
    """The text of a file without a byte order mark.

    Raises ConfigProblem where it cannot be read, is no UTF-8, or has more than `limit` bytes.
    """
    return decode(read_bytes(path, limit), str(path))


def read_bytes(path: Path, limit: int = MAX_FILE_BYTES) -> bytes:
    """The bytes of a file. Raises ConfigProblem as `read_text` does, whatever its encoding."""
    try:
        # opened by its name each time: a ConfigMap is a symlink that is turned to another folder
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except (OSError, ValueError) as error:  # ValueError: a path with a null byte
        reason = error.strerror if isinstance(error, OSError) else ""
        words = Phrase("problem.unreadable", {"reason": reason or str(error)})
        raise ConfigProblem(words, file=str(path)) from None
    if len(data) > limit:
        raise ConfigProblem(
            Phrase("problem.too_large", {"most": f"{limit >> 10:,}"}), file=str(path)
        )
    return data


def file_size(path: Path) -> int:
    """The size of a file in bytes; 0 where there is none, as whoever reads it will notice."""
    try:
        return path.stat().st_size
    except (OSError, ValueError):
        return 0


def decode(data: bytes, file: str, *, mark: bool = False) -> str:
    """The text of a file's bytes, with a byte order mark only if asked for it.

    Raises ConfigProblem where it is no UTF-8.
    """
    try:
        return data.decode("utf-8" if mark else "utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start]
        line, column = before.count(b"\n") + 1, error.start - before.rfind(b"\n")
        words = Phrase("problem.wrong_encoding")
        raise ConfigProblem(words, file=file, line=line, column=column) from None


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
    document = ConfigDocument(file, folder, env)
    root = _read_sections(document, node)
    _raise_errors(document)
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    config = _build_config(root, file, digest)
    return LoadedConfig(config, sorted(document.warnings, key=_line_and_column))


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
    given = node.pairs.get("global") if isinstance(node, MappingNode) else None
    # Before the other sections: receivers are filled in from `global`.
    global_node = given[1] if given else MappingNode(line=1, column=1)
    defaults = read_global(cursor.child(global_node, "global"))
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


def _build_config(root: Section, file: str, digest: str) -> Config:
    intervals = [*root.get("mute_time_intervals", ()), *root.get("time_intervals", ())]
    return Config(
        path=file,
        digest=digest,
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
        web=root.get("web", Web()),
        sign_in=root.get("sign_in"),
        store=root.get("store", StoreSettings()),
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
            name = ENVIRONMENT_VARIABLE.sub(lambda found: env.get(found[1], ""), node.text)
            if name in known:
                at.child(item, position).child(node, "name").error(
                    "problem.name_taken", name=name, line=known[name]
                )
            elif name:
                known[name] = node.line


# Sections of alertmanager.yml that load, so that a drop-in file does, and change nothing here.
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
_EVENT_WEBHOOK_KEYS: Final[dict[str, Reader]] = {
    "url": secret_url,
    "http_config": read_http_config,
    **dict.fromkeys(("timeout", "retry_backoff", "batch_flush_interval"), duration),
    **dict.fromkeys(("workers", "max_retries", "batch_max_events", "batch_max_bytes"), integer(0)),
    "batch": boolean,
}
_EVENT_KAFKA_KEYS: Final[dict[str, Reader]] = {
    "brokers": list_of(text),
    "topic": text,
    "client_id": text,
    "format": choice("", "json", "protobuf"),
    "acks": choice("", "none", "leader", "all"),
    "compression": choice("", "none", "gzip", "snappy", "lz4", "zstd"),
    "buffer_size": integer(0),
    "tls_config": read_tls_config,
}


def read_template_globs(at: Cursor) -> list[str] | None:
    """`templates`: globs of files with Go templates."""
    found: list[str] | None = list_of(text)(at)
    if found:
        at.warn("unused", Phrase("problem.unused_templates"))
    return found


def read_tracing(at: Cursor) -> Section:
    """`tracing`: Alertmanager's traces of itself."""
    section = at.section(_TRACING_KEYS)
    section.require("endpoint")
    at.warn("unused", Phrase("problem.unused_tracing"))
    return section


def read_event_recorder(at: Cursor) -> Section:
    """`event_recorder`: Alertmanager's record of its events."""
    section = at.section(
        {
            "file_outputs": list_of(section_requiring({"path": text}, "path")),
            "webhook_outputs": list_of(section_requiring(_EVENT_WEBHOOK_KEYS, "url")),
            "kafka_outputs": list_of(section_requiring(_EVENT_KAFKA_KEYS, "brokers", "topic")),
            "stdout_outputs": list_of(section_of({})),
        }
    )
    at.warn("unused", Phrase("problem.unused_event_recorder"))
    return section


_SECTION_READERS: Final[dict[str, Reader]] = {
    "route": read_route,
    "inhibit_rules": routing.read_inhibit_rules,
    "mute_time_intervals": routing.read_time_intervals,
    "time_intervals": routing.read_time_intervals,
    "templates": read_template_globs,
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
    "web": service.read_web,
    "sign_in": sign_in.read_sign_in,
    "store": service.read_store,
}
