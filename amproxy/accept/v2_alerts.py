"""The raw door: `POST /api/v2/alerts` from vmalert, Prometheus and Grafana, alert by alert as Alertmanager treats them."""

from __future__ import annotations

import hashlib
import re
from functools import lru_cache

import msgspec

from amproxy.accept import posted
from amproxy.accept.posted import Posted, Unreadable
from amproxy.accept.times import BadTime, bounded, parse_time
from amproxy.correlate.ingest import Incoming
from amproxy.grouping.placement import Placement, Placer
from amproxy.model import Alert

_REQUEST_URI = re.compile(r"(?:/|[A-Za-z][A-Za-z0-9+.-]*:)[^\x00-\x20\x7f]*")


class Door(msgspec.Struct):
    """What a body came to: the alerts that are stored, and why others were refused."""

    alerts: list[Incoming]
    firing: int
    refused: list[str]


def read(body: bytes, placer: Placer, *, now_ns: int, resolve_timeout: float, source: str) -> Door:
    """Decode a body. Raises Unreadable where the body as a whole is refused."""
    timeout_ns = int(resolve_timeout * 10**9)
    door = Door([], 0, [])
    alerts = posted.read(body)
    for index, alert in enumerate(alerts):
        times = _times(alert, now_ns, timeout_ns)
        incoming = _incoming(index, alert, times, placer, source)
        if isinstance(incoming, str):
            door.refused.append(incoming)
            continue
        door.alerts.append(incoming)
        door.firing += incoming.ends_ns > now_ns
    return door


class _Times(msgspec.Struct, frozen=True):
    starts_ns: int
    starts_offset: int
    ends_ns: int
    ends_offset: int
    timeout: bool


def _times(alert: Posted, now_ns: int, timeout_ns: int) -> _Times:
    """startsAt unset: now, or the end where one is given; endsAt unset: now plus resolve_timeout."""
    try:
        starts, ends = parse_time(alert.startsAt), parse_time(alert.endsAt)
    except BadTime as error:
        raise Unreadable(400, 400, f'parsing alerts body from "" failed, because {error}') from None
    starts, ends = bounded(starts), bounded(ends)
    if starts is None:
        starts = ends if ends is not None else (now_ns, 0)
    if ends is None:
        return _Times(*starts, now_ns + timeout_ns, 0, True)
    return _Times(*starts, *ends, False)


def _incoming(index: int, alert: Posted, times: _Times, placer: Placer, source: str) -> Incoming | str:
    """The alert, or why it is refused while its neighbours are kept."""
    raw = bytes(alert.labels)
    placement, labels = placer.known(raw), None
    if placement is None:
        if raw == b"null":
            raise Unreadable(422, 602, f"{index}.labels in body is required")
        labels = _labels(alert)
        if refusal := _refusal(alert, labels):
            return refusal
        placement = placer.place(labels, raw)
    if times.starts_ns > times.ends_ns:
        return "start time must be before end time"
    if alert.generatorURL and not _is_request_uri(alert.generatorURL):
        raise Unreadable(422, 601, f"{index}.generatorURL in body must be of type uri: {alert.generatorURL!r}")
    return Incoming(
        placement=placement,
        starts_ns=times.starts_ns,
        ends_ns=times.ends_ns,
        timeout=times.timeout,
        lapses_ns=0,
        content=hashlib.blake2b(bytes(alert.annotations) + alert.generatorURL.encode(), digest_size=8).digest(),
        make=lambda: _alert(alert, _labels(alert) if labels is None else labels, times, placement, source),
    )


def _labels(alert: Posted) -> dict[str, str]:
    """Labels with empty values count as absent."""
    return {name: value for name, value in posted.read_map(alert.labels).items() if value}


def _refusal(alert: Posted, labels: dict[str, str]) -> str:
    """Why an alert is refused; "" = it is not."""
    if not labels:
        return "at least one label pair required"
    if "" in labels:
        return 'invalid label set: invalid name ""'
    if b'""' in bytes(alert.annotations) and "" in _annotations(alert):
        return 'invalid annotations: invalid name ""'
    return ""


def _annotations(alert: Posted) -> dict[str, str]:
    raw = bytes(alert.annotations)
    return {} if raw in (b"{}", b"null") else posted.read_map(alert.annotations)


def _alert(alert: Posted, labels: dict[str, str], times: _Times, placement: Placement, source: str) -> Alert:
    return Alert(
        fingerprint=placement.fingerprint,
        labels=labels,
        annotations=_annotations(alert),
        starts_ns=times.starts_ns,
        starts_offset=times.starts_offset,
        ends_ns=times.ends_ns,
        ends_offset=times.ends_offset,
        timeout=times.timeout,
        generator_url=alert.generatorURL,
        source=source,
    )


@lru_cache(maxsize=4096)
def _is_request_uri(text: str) -> bool:
    """What Go's request-URI parser takes: anything without blanks and control characters that is absolute or has a scheme."""
    return _REQUEST_URI.fullmatch(text) is not None
