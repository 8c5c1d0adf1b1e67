"""Bodies of known senders: begun, ended, and what says nothing."""

from __future__ import annotations

import json
from typing import Any

import pytest

from amproxy.accept.shapes import SHAPES
from amproxy.accept.told import ToldAlert, tell
from tests.support.accept.senders import (
    CASES,
    datadog,
    elastalert,
    gitlab_job,
    gitlab_pipeline,
    icinga_host,
    kuma,
    nagios,
    zabbix,
)


def told(payload: dict[str, Any]) -> ToldAlert:
    [alert] = tell(payload, json.dumps(payload).encode(), "sender")
    return alert


@pytest.mark.parametrize("name", CASES)
def test_a_known_sender_is_told_in_its_own_words(name: str) -> None:
    case = CASES[name]
    alert = told(case.begins)
    assert (alert.sender, alert.state) == (case.sender, "firing")
    assert (alert.title, alert.text) == (case.title, case.text)
    assert (alert.severity, alert.link) == (case.severity, case.link)
    assert alert.labels.items() >= case.labels.items()


@pytest.mark.parametrize("name", [name for name in CASES if CASES[name].ends])
def test_the_end_of_a_known_sender_is_of_the_alert_that_began(name: str) -> None:
    case = CASES[name]
    assert case.ends
    alert = told(case.ends)
    assert (alert.state, alert.identity) == ("resolved", told(case.begins).identity)


@pytest.mark.parametrize("name", [name for name in CASES if CASES[name].says_nothing])
def test_what_is_neither_beginning_nor_end_changes_nothing(name: str) -> None:
    case = CASES[name]
    assert case.says_nothing
    assert told(case.says_nothing).state == "unchanged"


def test_two_things_of_one_sender_are_two_alerts() -> None:
    other_kuma = kuma(0, "timeout")
    other_kuma["monitor"] = {"id": 8, "name": "db"}
    pairs = [
        (kuma(0, "timeout"), other_kuma),
        (zabbix("1"), zabbix("1", 1002, "db2")),
        (elastalert(1), elastalert(2)),
        (nagios("PROBLEM", "CRITICAL"), icinga_host("PROBLEM", "DOWN")),
        (gitlab_pipeline(31, "failed"), gitlab_job("failed")),
        (datadog("Triggered", 1), {**datadog("Triggered", 1), "title": "[Triggered] Other"}),
    ]
    for one, other in pairs:
        assert told(one).identity != told(other).identity


def test_a_ping_of_github_brings_no_alert() -> None:
    ping = {"zen": "Keep it logically awesome.", "hook_id": 1, "hook": {"type": "Repository"}}
    assert told(ping).state == "unchanged"


def test_keys_of_a_sender_that_hold_anything_else_are_read_like_any_other() -> None:
    for shape in SHAPES:
        odd: dict[str, Any] = {}
        for part in shape.keys.split():
            at = odd
            *steps, last = part.partition("|")[0].split(".")
            for step in steps:
                at = at.setdefault(step, {})
                if not isinstance(at, dict):
                    break
            else:
                at[last] = [None, {"a": 1.5}, True]
        assert told({"title": "t", **odd}).title
