"""Sources, heartbeats, maintenance windows, the service and what it asks or calls by itself."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Final

from amproxy.config.read.cursor import Cursor, Reader, Section
from amproxy.config.read.http import build_http_settings, read_http_config
from amproxy.config.read.kinds import with_file_key
from amproxy.config.read.receivers import jinja_fault
from amproxy.config.read.routing import read_matchers
from amproxy.config.read.values import (
    boolean,
    choice,
    date_time,
    host_port,
    interval_names,
    label_name,
    list_of,
    map_of,
    name,
    positive_duration,
    raw,
    secret,
    secret_url,
    size,
    text,
    timezone,
    to_wall_clock,
    url,
    written_value,
)
from amproxy.config.structs import (
    DeadMansSwitch,
    Heartbeat,
    Maintenance,
    MetricsServer,
    Source,
    SourceMapping,
    StoreSettings,
    Web,
)
from amproxy.config.yaml import MappingNode
from amproxy.secret import Secret
from amproxy.text import Phrase

# Names of sources and heartbeats stand in the URLs that senders call.
_URL_PATH_SEGMENT = re.compile(r"[^\x00-\x20\x7f/?#%]+")
_HOST = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_.])?")
_REDIS_URL = re.compile(r"(?:unix|rediss?(?:\+(?:sentinel|cluster))?)://.+", re.DOTALL)


def _url_path_name(at: Cursor) -> str | None:
    found = name(at)
    if found is not None and (not _URL_PATH_SEGMENT.fullmatch(found) or found in (".", "..")):
        at.error("problem.url_path_name", value=written_value(at))
        return None
    return found


def _path_or_template(at: Cursor) -> str | None:
    found = raw(at)
    if found is None:
        return None
    if not found.strip():
        at.error("problem.empty_mapping_value")
    elif fault := jinja_fault(found):
        at.error("problem.no_template", fault=fault)
    return found.strip()


def _path(at: Cursor) -> str | None:
    found = _path_or_template(at)
    if found is not None and ("{" in found or len(found.split()) > 1 or "|" in found):
        at.error("problem.expected_path")
    return found


_MAPPING: Final[dict[str, Reader]] = {
    "each": _path,
    **dict.fromkeys(("identity", "title", "text", "state"), _path_or_template),
    **dict.fromkeys(("severity", "link", "image"), _path_or_template),
    "labels": map_of(_path_or_template, key=label_name),
}


def _read_mapping(at: Cursor) -> SourceMapping | None:
    if isinstance(at.node, MappingNode) and not at.node.pairs:
        at.error("problem.empty_mapping", keys=", ".join(_MAPPING))
        return None
    return SourceMapping(**at.section(_MAPPING))


_SOURCE: Final[dict[str, Reader]] = {
    "name": _url_path_name,
    **with_file_key("token"),
    **with_file_key("hmac_secret"),
    "expire_after": positive_duration,
    "mapping": _read_mapping,
}
_HEARTBEAT: Final[dict[str, Reader]] = {
    "name": _url_path_name,
    "every": positive_duration,
    **with_file_key("token"),
    "labels": map_of(text, key=label_name),
    "annotations": map_of(text, key=label_name),
    "matchers": read_matchers,
}


def read_source(at: Cursor) -> Source:
    """One source: a sender that may push."""
    section = at.section(_SOURCE)
    section.require("name")
    _read_shown_secrets(section, "token", "hmac_secret")
    if not section.given("token", "token_file", "hmac_secret", "hmac_secret_file"):
        # Not an error: the source may be reachable only from a trusted network.
        section.cursor.warn("no_token", Phrase("problem.open_source"))
    if "expire_after" in section:
        section["expire_after"] = float(section["expire_after"])
    section.setdefault("name", "")
    return Source(**section, place=at.place)


def _read_shown_secrets(section: Section, *keys: str) -> None:
    """Check the secrets of a door: one form of each, and none that an empty variable opens."""
    for key in keys:
        section.exclusive(key, f"{key}_file")
        for given in (key, f"{key}_file"):
            if section.get(given) == "":
                section.error(given, "problem.empty_secret")


def read_heartbeat(at: Cursor) -> Heartbeat:
    """One heartbeat: a sign of life that must come again and again."""
    section = at.section(_HEARTBEAT)
    section.require("name")
    _read_shown_secrets(section, "token")
    section.require("every", why=Phrase("problem.why_silent"))
    return Heartbeat(
        name=section.get("name", ""),
        every=float(section.get("every", 0)),
        **section.pick("token", "token_file"),
        labels=section.get("labels", {}),
        annotations=section.get("annotations", {}),
        matchers=tuple(section.get("matchers", ())),
        place=at.place,
    )


def read_dead_mans_switch(at: Cursor) -> DeadMansSwitch:
    """The outside address that amproxy calls while all is well."""
    section = at.section({**with_file_key("url", secret_url), "every": positive_duration})
    section.require("url", "url_file", why=Phrase("problem.why_address"))
    section.exclusive("url", "url_file")
    if "every" in section:
        section["every"] = float(section["every"])
    return DeadMansSwitch(**section)


def read_metrics(at: Cursor) -> MetricsServer:
    """The metrics server of pictures."""
    keys: dict[str, Reader] = {
        "url": secret_url,
        "vmalert_url": secret_url,
        "http_config": read_http_config,
        "range": positive_duration,
    }
    section = at.section(keys)
    section.require("url", why=Phrase("problem.why_metrics"))
    section.setdefault("url", Secret(""))
    http = build_http_settings(section.pop("http_config", None))
    if "range" in section:
        section["range"] = float(section["range"])
    return MetricsServer(**section, http=http)


def _redis_url(at: Cursor) -> str | None:
    found = secret(at)
    if found is None or found == "embedded" or _REDIS_URL.fullmatch(found):
        return None if found is None else found.reveal()
    # The text is not quoted: a URL of Redis may hold a password.
    at.error("problem.expected_redis")
    return None


def _host(at: Cursor) -> str | None:
    found = name(at)
    if found is not None and not _HOST.fullmatch(found):
        at.error("problem.expected_host", value=written_value(at))
        return None
    return found.lower().rstrip(".") if found else None


def read_web(at: Cursor) -> Web:
    """The address of the service, and its limits."""
    keys: dict[str, Reader] = {
        "listen": host_port,
        "external_url": url,
        "hosts": list_of(_host),
        "max_body": size,
        "allow_unauthenticated": boolean,
    }
    section = at.section(keys)
    return Web(**{**section, "hosts": tuple(section.get("hosts", ()))})


def read_store(at: Cursor) -> StoreSettings:
    """The Redis that holds the state."""
    section = at.section(
        {"redis": _redis_url, "retention": positive_duration, "fsync": choice("always", "everysec")}
    )
    if "retention" in section:
        section["retention"] = float(section["retention"])
    return StoreSettings(**section)


_MAINTENANCE_WINDOW_KEYS: Final[dict[str, Reader]] = {
    "name": name,
    "matchers": read_matchers,
    "start": date_time,
    "end": date_time,
    "timezone": timezone,
    "active_time_intervals": interval_names,
    "comment": text,
}


def read_maintenance_window(at: Cursor) -> Maintenance:
    """One window: from `start` to `end`, or by time intervals, or both."""
    section = at.section(_MAINTENANCE_WINDOW_KEYS)
    section.require("name")
    section.require("matchers", why=Phrase("problem.why_alerts"))
    if section.get("matchers") == []:
        section.error("matchers", "problem.window_without_matchers")
    if not section.get("active_time_intervals"):
        for key in ("start", "end"):
            section.require(key, why=Phrase("problem.why_window_bound"))
    zone = section.get("timezone", "UTC")
    start, end = _window_bound(section, "start", zone), _window_bound(section, "end", zone)
    if start and end and end <= start:
        section.error("end", "problem.end_before_start")
    return Maintenance(
        name=section.get("name", ""),
        matchers=tuple(section.get("matchers", ())),
        start=start,
        end=end,
        timezone=zone,
        active_time_intervals=tuple(section.get("active_time_intervals", ())),
        comment=section.get("comment", ""),
        place=at.place,
    )


def _window_bound(section: Section, key: str, zone: str) -> datetime | None:
    return to_wall_clock(section[key], zone) if key in section else None
