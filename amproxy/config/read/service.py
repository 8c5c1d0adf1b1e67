"""`sources`, `heartbeats`, `dead_mans_switch`, `web` and `store`: the doors, and the service itself.

`maintenance_windows`: alerts that are expected, once or again and again.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Final

from amproxy.config.read.cursor import Cursor, Reader, Section
from amproxy.config.read.kinds import pair
from amproxy.config.read.people import intervals
from amproxy.config.read.routing import matchers
from amproxy.config.read.values import (
    boolean,
    choice,
    host_port,
    label_name,
    map_of,
    moment,
    name,
    secret,
    secret_url,
    shown,
    size,
    span,
    text,
    timezone,
    url,
    wall,
)
from amproxy.config.structs import DeadMansSwitch, Heartbeat, Maintenance, Source, StoreSettings, Web

_IN_A_PATH = re.compile(r"[^\x00-\x20\x7f/?#%]+")
_REDIS = re.compile(r"(?:redis|rediss|unix|redis\+sentinel|redis\+cluster)://.+", re.DOTALL)


def _path_name(at: Cursor) -> str | None:
    found = name(at)
    if found is not None and (not _IN_A_PATH.fullmatch(found) or found in (".", "..")):
        at.error(f"{shown(at)} cannot stand in a URL: use letters, digits, dots, dashes and underscores")
        return None
    return found


_SOURCE: Final[dict[str, Reader]] = {"name": _path_name, **pair("token"), **pair("hmac_secret"), "expire_after": span}
_HEARTBEAT: Final[dict[str, Reader]] = {
    "name": _path_name,
    "every": span,
    "labels": map_of(text, key=label_name),
    "annotations": map_of(text, key=label_name),
    "matchers": matchers,
}


def source(at: Cursor) -> Source:
    """Who may push."""
    section = at.section(_SOURCE)
    section.require("name")
    section.exclusive("token", "token_file")
    section.exclusive("hmac_secret", "hmac_secret_file")
    if not section.given("token", "token_file", "hmac_secret", "hmac_secret_file"):
        section.cursor.warn("no_token", "without token_file or hmac_secret_file, anybody who reaches amproxy may push as this source")
    if "expire_after" in section:
        section["expire_after"] = float(section["expire_after"])
    section.setdefault("name", "")
    return Source(**section, place=at.place)


def heartbeat(at: Cursor) -> Heartbeat:
    """What must be heard of again and again."""
    section = at.section(_HEARTBEAT)
    section.require("name")
    section.require("every", why="how long may it be silent?")
    return Heartbeat(
        name=section.get("name", ""),
        every=float(section.get("every", 0)),
        labels=section.get("labels", {}),
        annotations=section.get("annotations", {}),
        matchers=tuple(section.get("matchers", ())),
        place=at.place,
    )


def dead_mans_switch(at: Cursor) -> DeadMansSwitch:
    """Whom amproxy tells that it is well."""
    section = at.section({**pair("url", secret_url), "every": span})
    section.require("url", "url_file", why="which address is called while all is well?")
    section.exclusive("url", "url_file")
    if "every" in section:
        section["every"] = float(section["every"])
    return DeadMansSwitch(**section)


def _redis(at: Cursor) -> str | None:
    found = secret(at)
    if found is None or found == "embedded" or _REDIS.fullmatch(found):
        return None if found is None else found.reveal()
    # The text is not quoted: a URL of Redis may hold a password.
    at.error("expected embedded, redis://, rediss://, unix://, redis+sentinel:// or redis+cluster://")
    return None


def web(at: Cursor) -> Web:
    """Where the service listens."""
    return Web(**at.section({"listen": host_port, "external_url": url, "max_body": size, "allow_unauthenticated": boolean}))


def store(at: Cursor) -> StoreSettings:
    """Where it remembers."""
    section = at.section({"redis": _redis, "retention": span, "fsync": choice("always", "everysec")})
    if "retention" in section:
        section["retention"] = float(section["retention"])
    return StoreSettings(**section)


_WINDOW: Final[dict[str, Reader]] = {
    "name": name,
    "matchers": matchers,
    "start": moment,
    "end": moment,
    "timezone": timezone,
    "active_time_intervals": intervals,
    "comment": text,
}


def maintenance_window(at: Cursor) -> Maintenance:
    """One window: from `start` to `end`, or by time intervals, or both."""
    section = at.section(_WINDOW)
    section.require("name")
    section.require("matchers", why="which alerts are expected?")
    if section.get("matchers") == []:
        section.error("matchers", "names no alerts: a window without matchers would hold back everything")
    if not section.get("active_time_intervals"):
        for key in ("start", "end"):
            section.require(key, why="or active_time_intervals, for a window that recurs")
    zone = section.get("timezone", "UTC")
    start, end = _bound(section, "start", zone), _bound(section, "end", zone)
    if start and end and end <= start:
        section.error("end", "the end must lie after the start")
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


def _bound(section: Section, key: str, zone: str) -> datetime | None:
    return wall(section[key], zone) if key in section else None
