"""When a group is notified again, and why."""

from __future__ import annotations

import json
from typing import Any

import pytest

from amproxy.config.structs import Integration, Receiver
from amproxy.grouping.dedup import notification_reason
from amproxy.grouping.flush import decide_flush
from amproxy.grouping.muting import Muting
from amproxy.model import Alert, Group, LoadedGroup, LogEntry
from tests.support.cases import ALERTMANAGER
from tests.support.oncall.rosters import roster

CASES = json.loads((ALERTMANAGER / "dedup.json").read_text("utf-8"))["cases"]
NOW = 1_767_600_000.0
REASONS = {
    "new alerts in group": "new alerts added",
    "new resolved alerts": "some alerts resolved",
}  # as the webhook spells them


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_a_group_is_notified_as_alertmanager_does(case: dict[str, Any]) -> None:
    entry = None
    if told := case["entry"]:
        at = 0.0 if told["age_s"] is None else NOW - told["age_s"]
        entry = LogEntry(
            firing=[str(hash) for hash in told["firing"]],
            resolved=[str(hash) for hash in told["resolved"]],
            at=at,
        )
    reason = notification_reason(
        entry,
        {str(hash) for hash in case["firing"]},
        {str(hash) for hash in case["resolved"]},
        send_resolved=case["send_resolved"],
        repeat_interval=case["repeat_s"] or 0.0,
        now=NOW,
    )
    assert reason == REASONS.get(case["reason_since_0_32"], case["reason_since_0_32"])
    assert (reason is not None) is case["notify"]


def test_resolutions_alone_do_not_open_a_group() -> None:
    assert (
        notification_reason(None, set(), {"a"}, send_resolved=True, repeat_interval=60.0, now=NOW)
        is None
    )


def test_the_end_of_a_group_is_noted_even_where_resolutions_are_not_sent() -> None:
    entry = LogEntry(firing=["a"], at=NOW)
    assert (
        notification_reason(entry, set(), {"a"}, send_resolved=False, repeat_interval=60.0, now=NOW)
        == "all alerts resolved"
    )


def test_a_resolution_says_nothing_where_resolutions_are_not_sent() -> None:
    entry = LogEntry(firing=["a", "b"], at=NOW)
    assert (
        notification_reason(entry, {"a"}, {"b"}, send_resolved=False, repeat_interval=60.0, now=NOW)
        is None
    )


def test_a_repeat_comes_only_once_the_interval_has_passed() -> None:
    entry = LogEntry(firing=["a"], at=NOW - 60.0)
    assert (
        notification_reason(entry, {"a"}, set(), send_resolved=True, repeat_interval=60.0, now=NOW)
        is None
    )
    assert (
        notification_reason(
            entry, {"a"}, set(), send_resolved=True, repeat_interval=60.0, now=NOW + 0.001
        )
        == "repeat interval elapsed"
    )


def flushed(log: dict[str, LogEntry], *, over: bool) -> LogEntry:
    """The log entry of a flush of a group with one alert."""
    alert = Alert(
        fingerprint="a",
        labels={"alertname": "Disk"},
        starts_ns=int((NOW - 600) * 10**9),
        ends_ns=int((NOW - 1) * 10**9) if over else 0,
    )
    group = Group(id="g", key="{}:{}", receiver="chat", route_key="{}")
    loaded = LoadedGroup(group, "1", "1", [alert], {"a": b""}, log, 0.0, None)
    slack = Integration(kind="slack", index=0, send_resolved=True, settings={})
    receiver = Receiver(name="chat", integrations=(slack,))
    decision = decide_flush(
        loaded, group, receiver, roster(), Muting({}, {}, {}), now=NOW, tick=NOW
    )
    [due] = decision.notifications
    return due.log_entry


def test_later_notifications_know_the_first_message_until_the_group_begins_anew() -> None:
    ref = {"channel": "C1", "ts": "1.2"}
    told = LogEntry(firing=["a"], at=NOW - 60, ref=ref)
    assert flushed({"slack/0": told}, over=True).ref == ref
    over = LogEntry(resolved=["a"], at=NOW - 60, ref=ref)
    assert flushed({"slack/0": over}, over=False).ref == {}
    assert flushed({}, over=False).ref == {}
