"""`event_recorder`: Alertmanager's record of what happens to alerts, and where it is written."""

from __future__ import annotations

from typing import Any, Final

from amproxy.config.read.cursor import Cursor, Reader, Section
from amproxy.config.read.http import build_http_settings, read_http_config, read_tls_config
from amproxy.config.read.kinds import section_requiring
from amproxy.config.read.values import (
    boolean,
    choice,
    duration,
    integer,
    list_of,
    name,
    secret_url,
    text,
)
from amproxy.config.structs import EventBatch, EventFile, EventRecorderSettings, EventWebhook
from amproxy.secret import Secret
from amproxy.text import Phrase

_BATCH_KEYS: Final = ("batch_max_events", "batch_max_bytes", "batch_flush_interval")
_WEBHOOK_KEYS: Final[dict[str, Reader]] = {
    "name": name,
    "url": secret_url,
    "http_config": read_http_config,
    **dict.fromkeys(("timeout", "retry_backoff", "batch_flush_interval"), duration),
    **dict.fromkeys(("workers", "max_retries", "batch_max_events", "batch_max_bytes"), integer(0)),
    "batch": boolean,
}
_KAFKA_KEYS: Final[dict[str, Reader]] = {
    "name": name,
    "brokers": list_of(text),
    "topic": text,
    "client_id": text,
    "format": choice("", "json", "protobuf"),
    "acks": choice("", "none", "leader", "all"),
    "compression": choice("", "none", "gzip", "snappy", "lz4", "zstd"),
    "buffer_size": integer(0),
    "tls_config": read_tls_config,
}


def _path(at: Cursor) -> str | None:
    """The path of a file that is written, from the folder of the configuration."""
    found = text(at)
    if not found:
        return found
    path = at.document.folder / found
    if not path.parent.is_dir():
        at.warn("unreadable_file", Phrase("problem.no_folder", {"path": found}))
    return str(path)


def _outputs(table: dict[str, Reader], *required: str) -> Reader:
    """A list of outputs of one type: each has a name, which no other of its type has."""

    def read(at: Cursor) -> list[Section] | None:
        found: list[Section] | None = list_of(section_requiring(table, "name", *required))(at)
        lines: dict[str, int] = {}
        for output in found or ():
            if not (known := output.get("name")):
                continue
            if known in lines:
                output.error("name", "problem.name_taken", name=known, line=lines[known])
            lines.setdefault(known, output.cursor.node.line)
        return found

    return read


def _webhook_outputs(at: Cursor) -> list[Section] | None:
    found: list[Section] | None = _outputs(_WEBHOOK_KEYS, "url")(at)
    for output in found or ():
        given = [key for key in _BATCH_KEYS if output.get(key)]
        if given and not output.get("batch"):
            output.error(given[0], "problem.needs_batch", key=given[0])
    return found


def _kafka_outputs(at: Cursor) -> list[Section] | None:
    found: list[Section] | None = _outputs(_KAFKA_KEYS, "brokers", "topic")(at)
    if found:
        at.warn("unused", Phrase("problem.unused_kafka_outputs"))
    return found


def read_event_recorder(at: Cursor) -> Section:
    """The section, as Alertmanager 0.35 has it."""
    return at.section(
        {
            "file_outputs": _outputs({"name": name, "path": _path}, "path"),
            "webhook_outputs": _webhook_outputs,
            "kafka_outputs": _kafka_outputs,
            "stdout_outputs": _outputs({"name": name}),
        }
    )


def build_event_recorder(section: Section | None) -> EventRecorderSettings:
    """The struct of the section; None = it is not there."""
    if section is None:
        return EventRecorderSettings()
    files = [
        EventFile(name=output["name"], path=output.get("path", ""))
        for key in ("file_outputs", "stdout_outputs")
        for output in section.get(key) or ()
    ]
    webhooks = map(_build_webhook, section.get("webhook_outputs") or ())
    return EventRecorderSettings(files=tuple(files), webhooks=tuple(webhooks))


def _build_webhook(output: Section) -> EventWebhook:
    numbers: dict[str, Any] = {  # 0 is Alertmanager's word for the default
        key: output[key]
        for key in ("timeout", "workers", "max_retries", "retry_backoff")
        if output.get(key)
    }
    limits: dict[str, Any] = {
        key.removeprefix("batch_"): output[key] for key in _BATCH_KEYS if output.get(key)
    }
    return EventWebhook(
        name=output["name"],
        url=output.get("url", Secret("")),
        http=build_http_settings(output.get("http_config")),
        batch=EventBatch(**limits) if output.get("batch") else None,
        **numbers,
    )
