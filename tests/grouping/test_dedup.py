"""When a group is notified again, and why."""

from __future__ import annotations

import json
from typing import Any

import pytest

from amproxy.grouping.dedup import notification_reason
from amproxy.model import LogEntry
from tests.support.cases import ALERTMANAGER

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
