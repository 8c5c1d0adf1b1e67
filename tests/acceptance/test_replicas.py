"""Two processes on one Redis send one notification, also when one of them dies in between."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from tests.support.acceptance.catcher import Catcher, Late
from tests.support.acceptance.house import alert, file, heard
from tests.support.acceptance.pushing import alert as posted
from tests.support.acceptance.pushing import call, fires, metric, push, resolves, silence
from tests.support.acceptance.stage import ALL, FIRST, NEW
from tests.support.servers import Server, Servers, needs
from tests.support.standins.webhook import Answer
from tests.support.waiting import until

pytestmark = [pytest.mark.clock, needs("redis-server")]


class Pair(NamedTuple):
    catcher: Catcher
    one: Server
    other: Server

    def push_to_both(self, instance: str) -> None:
        """As a Prometheus does that knows both."""
        now = time.time()
        for amproxy in (self.one, self.other):
            push(amproxy.url, posted(alert(instance), starts=now, ends=now + 600))


@pytest.fixture
def pair(servers: Servers) -> Iterator[Pair]:
    with Catcher() as catcher:
        redis = servers.redis_server().url
        text = file(catcher, group_interval="500ms")
        yield Pair(
            catcher, servers.amproxy(text, redis_url=redis), servers.amproxy(text, redis_url=redis)
        )
        assert catcher.problems == []


GROUPS = 40


def test_each_of_many_groups_pushed_to_both_is_told_once(pair: Pair) -> None:
    now = time.time()
    alerts = [
        posted(alert("a", f"Disk{number}"), starts=now, ends=now + 600) for number in range(GROUPS)
    ]
    push(pair.one.url, *alerts)
    push(pair.other.url, *alerts)
    until(lambda: len(pair.catcher.came("one")) >= GROUPS)
    time.sleep(1.2)
    names = [request.payload["groupLabels"]["alertname"] for request in pair.catcher.came("one")]
    assert sorted(names) == sorted(f"Disk{number}" for number in range(GROUPS))


def test_an_alert_pushed_to_both_is_told_once_at_each_stage_of_its_life(pair: Pair) -> None:
    pair.push_to_both("a")
    until(lambda: heard(pair.catcher))
    pair.push_to_both("b")
    until(lambda: len(heard(pair.catcher)) == 2)
    for amproxy in (pair.one, pair.other):
        resolves(amproxy.url, alert("a"), alert("b"))
    until(lambda: len(heard(pair.catcher)) == 3)
    assert heard(pair.catcher) == [("a", FIRST), ("a b", NEW), ("-a -b", ALL)]


def test_a_silence_made_at_one_holds_at_the_other_at_once(pair: Pair) -> None:
    held = silence(pair.one.url, 600, alertname="Disk")
    pair.push_to_both("a")
    time.sleep(1.4)
    assert heard(pair.catcher) == []
    assert call("DELETE", f"{pair.other.url}/api/v2/silence/{held}").status == 200
    until(lambda: heard(pair.catcher) == [("a", FIRST)])


def test_an_alert_taken_by_a_process_that_dies_before_telling_is_told_by_the_other(
    pair: Pair,
) -> None:
    fires(pair.one.url, alert("a"))
    pair.one.kill()
    until(lambda: heard(pair.catcher))
    time.sleep(1.2)
    assert heard(pair.catcher) == [("a", FIRST)]


def test_a_process_that_dies_after_telling_leaves_the_other_quiet(pair: Pair) -> None:
    pair.push_to_both("a")
    until(lambda: heard(pair.catcher))
    for amproxy in (pair.one, pair.other):  # the log is written
        until(lambda url=amproxy.url: metric(url, "amproxy_outbox_depth") == 0)
    pair.one.kill()
    time.sleep(1.0)
    assert heard(pair.catcher) == [("a", FIRST)]
    fires(pair.other.url, alert("b"))
    until(lambda: heard(pair.catcher)[1:] == [("a b", NEW)])


def test_a_message_in_the_hands_of_a_process_that_dies_is_sent_again_by_the_other_and_counted(
    pair: Pair,
) -> None:
    pair.catcher.answers_at("one", [Late(before=2.0), Answer()])
    pair.push_to_both("a")
    until(lambda: heard(pair.catcher))
    sender = pair.catcher.came("one")[0].payload["externalURL"]
    dying, living = (pair.one, pair.other) if sender == pair.one.url else (pair.other, pair.one)
    dying.kill()
    until(lambda: len(heard(pair.catcher)) == 2)
    time.sleep(1.0)
    assert heard(pair.catcher) == [("a", FIRST), ("a", FIRST)]
    assert metric(living.url, "amproxy_deliveries_repeated_total", channel="webhook") == 1
