"""Sections of alertmanager.yml that load and change nothing here: templates, tracing, event_recorder."""

from __future__ import annotations

from typing import Final

from amproxy.config.read.cursor import Cursor, Reader, Section
from amproxy.config.read.http import http_config, tls_config
from amproxy.config.read.pieces import filled
from amproxy.config.read.quantities import boolean, duration, fraction, integer
from amproxy.config.read.values import choice, file, list_of, map_of, secret, secret_url, section_of, text

_TRACING: Final[dict[str, Reader]] = {
    "client_type": choice("http", "grpc"),
    "endpoint": text,
    "sampling_fraction": fraction,
    "insecure": boolean,
    "tls_config": tls_config,
    "headers": map_of(section_of({"values": list_of(text), "secrets": list_of(secret), "files": list_of(file)})),
    "compression": choice("", "gzip"),
    "timeout": duration,
}
_WEBHOOK: Final[dict[str, Reader]] = {
    "url": secret_url,
    "http_config": http_config,
    **dict.fromkeys(("timeout", "retry_backoff", "batch_flush_interval"), duration),
    **dict.fromkeys(("workers", "max_retries", "batch_max_events", "batch_max_bytes"), integer(0)),
    "batch": boolean,
}
_KAFKA: Final[dict[str, Reader]] = {
    "brokers": list_of(text),
    "topic": text,
    "client_id": text,
    "format": choice("", "json", "protobuf"),
    "acks": choice("", "none", "leader", "all"),
    "compression": choice("", "none", "gzip", "snappy", "lz4", "zstd"),
    "buffer_size": integer(0),
    "tls_config": tls_config,
}


def templates(at: Cursor) -> list[str] | None:
    """Globs of files with Go templates."""
    found: list[str] | None = list_of(text)(at)
    if found:
        at.warn("unused", "these hold Go templates, which amproxy does not run: it draws its own messages")
    return found


def tracing(at: Cursor) -> Section:
    """Where Alertmanager sends traces of itself."""
    section = at.section(_TRACING)
    section.require("endpoint")
    at.warn("unused", "amproxy sends no traces yet: tracing has no effect")
    return section


def event_recorder(at: Cursor) -> Section:
    """Where Alertmanager writes what it does."""
    section = at.section(
        {
            "file_outputs": list_of(filled({"path": text}, "path")),
            "webhook_outputs": list_of(filled(_WEBHOOK, "url")),
            "kafka_outputs": list_of(filled(_KAFKA, "brokers", "topic")),
            "stdout_outputs": list_of(section_of({})),
        }
    )
    at.warn("unused", "amproxy keeps the timeline of each incident instead: event_recorder has no effect")
    return section
