"""A sender's payloads in any order: the last word is the sender's, with one page a period."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

import tests.support.properties  # noqa: F401  # the settings of property tests
from amproxy.accept.webhook import parse_webhook
from amproxy.config.structs import Source
from amproxy.correlate.stated import follow, is_old
from amproxy.grouping.placement import Placer
from amproxy.store.stated import StatedRecord, decode_labels
from tests.support.accept.pushes import NOW, SECOND, config
from tests.support.acceptance.moments import rfc3339

ROUTED = Placer(config())


def stated(firing: dict[str, float], ended: dict[str, tuple[float, float]]) -> dict[str, Any]:
    """A payload of a group: its alerts' starts, and starts and ends; Unix seconds."""
    alerts = [
        {
            "status": "firing",
            "labels": {"alertname": "X", "instance": name},
            "startsAt": rfc3339(at),
        }
        for name, at in firing.items()
    ]
    alerts += [
        {
            "status": "resolved",
            "labels": {"alertname": "X", "instance": name},
            "startsAt": rfc3339(start),
            "endsAt": rfc3339(end),
        }
        for name, (start, end) in ended.items()
    ]
    status = "firing" if firing else "resolved"
    return {
        "version": "4",
        "status": status,
        "groupKey": "k",
        "truncatedAlerts": 0,
        "alerts": alerts,
    }


class Receiver:
    """What the door makes of payloads, without a store: open alerts, and the starts paged for."""

    def __init__(self) -> None:
        self.records: dict[str, StatedRecord] = {}
        self.named: set[str] = set()
        self.open: set[str] = set()
        self.pages: list[tuple[str, int]] = []
        self._now = NOW * SECOND

    def take(self, payload: dict[str, Any]) -> None:
        self._now += SECOND // 100
        request = parse_webhook(json.dumps(payload).encode(), Source(name="am"), ROUTED, self._now)
        group = request.stated
        assert group is not None
        ids = {one.id for one in request.alerts}  # type: ignore[attr-defined]
        omitted = self.named - ids if group.complete else set[str]()
        old = is_old(request.alerts, omitted, self.records, group, self._now)
        found = follow(request.alerts, omitted, self.records, (), group, ROUTED, self._now, old=old)
        self.records |= found.records
        self.named = (self.named | found.named) - found.gone
        for one in found.alerts:
            name = one.placement.fingerprint
            if one.ends_ns:
                self.open.discard(name)
            elif name not in self.open:
                self.open.add(name)
                self.pages.append((name, one.starts_ns))


@st.composite
def told(draw: st.DrawFn) -> tuple[list[dict[str, Any]], list[dict[str, Any]], set[str]]:
    """All payloads of a sender in their order, as they come, and what fires in the end."""
    firing: dict[str, float] = {}
    payloads, at = [], NOW - 5000.0
    for name in draw(st.lists(st.sampled_from("abc"), min_size=1, max_size=8)):
        at += draw(st.integers(1, 60))
        ended = {}
        if name in firing:
            ended[name] = firing.pop(name), at
        else:
            firing[name] = at
        payloads.append(stated(firing, ended))
    copies = draw(st.lists(st.sampled_from(payloads), max_size=6))
    return payloads, draw(st.permutations(payloads + copies)), set(firing)


def after(payloads: list[dict[str, Any]]) -> Receiver:
    receiver = Receiver()
    for payload in payloads:
        receiver.take(payload)
    return receiver


@settings(max_examples=60)
@given(told())
def test_any_order_ends_in_the_senders_final_state_with_one_page_a_period(
    sent: tuple[list[dict[str, Any]], list[dict[str, Any]], set[str]],
) -> None:
    _, coming, firing = sent
    receiver = after(coming)
    open_ = {
        decode_labels(record.labels)["instance"]
        for record in receiver.records.values()
        if not record.over
    }
    assert open_ == firing
    assert len(receiver.open) == len(firing)
    assert len(receiver.pages) == len(set(receiver.pages))
