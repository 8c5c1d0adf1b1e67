"""Delivery under trouble: one chat hangs, one is flooded, answers are lost. Nobody else waits, and nobody is told too often.

All of it happens at once, over two replicas: each test looks at the people of its own trouble.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, get_args

import pytest

from tests.support.e2e.crowd import HANDOVER, Crowd, repeated
from tests.support.e2e.stories import metric, post, text
from tests.support.servers import Server, Servers
from tests.support.standins.flood import FloodLimits
from tests.support.standins.telegram import Loss, TelegramStandIn
from tests.support.standins.webhook import Answer, Request, WebhookServer
from tests.support.waiting import until

pytestmark = [pytest.mark.clock, pytest.mark.timeout(240)]

# More keys of a policy whose pages go out one by one, whatever the default says of storms.
SINGLE: dict[str, Any] = {"storm": "off"}
BUNDLED: dict[str, Any] = {"storm": {"more_than": 1, "within": "1s"}}

STUCK, HELPED, FLOODED = 2500, 20, 40  # incidents of those whose chat hangs, or is limited
OTHERS = [f"hook{number}" for number in range(8)], [f"chat{number}" for number in range(8)]
SOON = 15.0  # seconds; the aim is 2, a busy machine takes its time, unfair delivery minutes
COPIES = 3  # of one message whose answer was lost
LOSSES: tuple[Loss, ...] = get_args(Loss)
WHAT = ("page", "bundle", "notice")
# A call that gets no answer ends after ten seconds, and three of them come one after the other.
TIMED_OUT = 90.0
CALLS = 32  # sends that one process has under way at most
STOPS = (14.0,)  # seconds: far longer than a process's beat holds; bench/fairness.py has others


@dataclass
class House:
    crowd: Crowd
    limits: FloodLimits
    replicas: list[Server]


class AnyHook(WebhookServer):
    """Takes whatever comes after a pause of so many seconds; its path says whose it is."""

    def __init__(self, pause: float = 0.0) -> None:
        super().__init__()
        self.pause = pause

    def answer(self, request: Request) -> Answer:
        return Answer(hang=self.pause)

    def problem(self, request: Request) -> str:
        return ""  # bundles have a key of their own, which Alertmanager would not send


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("fair")
    with TelegramStandIn() as telegram, AnyHook() as hook, Servers(folder) as servers:
        crowd = Crowd(telegram, hook)
        telegram.limits = FloodLimits()
        for name, channels in {
            "stuck": ("telegram",),
            "helped": ("telegram", "webhook"),
            "flooded": ("telegram",),
            **dict.fromkeys(OTHERS[0], ("webhook",)),
            **dict.fromkeys(OTHERS[1], ("telegram",)),
        }.items():
            crowd.add(name, *channels, **SINGLE)
        for name in ("stuck", "helped"):
            telegram.hang_chat(crowd.chat(name))
        for loss in LOSSES:
            for what in WHAT:
                chat = crowd.add(
                    f"{what}{loss}",
                    *("telegram", "webhook"),
                    notices=what == "notice",
                    **(BUNDLED if what == "bundle" else SINGLE),
                )
                telegram.lose_answers(chat, loss)
        redis = servers.redis_server().url
        replicas = [servers.amproxy(crowd.routes(), redis_url=redis) for _ in range(2)]
        one, two = (replica.url for replica in replicas)
        crowd.push(one, "stuck", STUCK)
        # What is judged is delivery, not how fast a busy machine opens incidents.
        until(lambda: _waiting(replicas[0]) >= STUCK, why="the incidents were not opened")
        crowd.push(two, "helped", HELPED)
        crowd.push(two, "flooded", FLOODED)
        for loss in LOSSES:
            crowd.push(one, f"page{loss}")
            crowd.push(two, f"bundle{loss}", 4)
        crowd.ask_for_a_swap(one)
        # Over some time, so that the calls to the chat that hangs have filled what they can fill.
        for hooked, chatting in zip(*OTHERS, strict=True):
            crowd.push(one, hooked)
            crowd.push(two, chatting)
            time.sleep(0.4)
        yield House(crowd, telegram.limits, replicas)


@pytest.mark.parametrize("names", OTHERS, ids=["webhook", "telegram"])
def test_pages_for_others_leave_while_2500_wait_for_a_chat_that_hangs(
    house: House, names: list[str]
) -> None:
    def delays() -> list[float]:
        return [delay for name in names for delay in house.crowd.delays(name)]

    until(lambda: len(delays()) == len(names), why="a page for somebody else did not leave")
    assert max(delays()) <= SOON


def test_after_three_time_outs_a_person_is_told_over_the_next_contact(house: House) -> None:
    told = until(
        lambda: len(found := house.crowd.by_webhook("helped")) == HELPED and found,
        seconds=TIMED_OUT,
        why="the next contact was not used for each",
    )
    assert set(told.values()) == {1}


def test_40_incidents_to_one_limited_chat_wait_as_long_as_telegram_says(house: House) -> None:
    until(
        lambda: len(house.crowd.by_telegram("flooded")) == FLOODED,
        seconds=TIMED_OUT,
        why="an incident was not told",
    )
    answers = [a for a in house.limits.answers if a.chat == house.crowd.chat("flooded")]
    assert not [answer for answer in answers if answer.early]
    assert len(answers) <= 3
    assert set(house.crowd.by_telegram("flooded").values()) == {1}


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("what", ["page", "bundle"])
def test_a_page_whose_answer_is_lost_comes_three_times_at_most_then_over_the_next_contact(
    house: House, what: str, loss: Loss
) -> None:
    name, crowd = f"{what}{loss}", house.crowd
    wanted = {title for title in crowd.pushed if title.startswith(f"{name}-")}
    until(
        lambda: set(crowd.by_webhook(name)) == wanted,
        seconds=TIMED_OUT,
        why="the next contact was not used",
    )
    time.sleep(1.0)  # nothing more may come
    copies = crowd.by_telegram(name)
    assert copies and max(copies.values()) <= COPIES
    assert set(crowd.by_webhook(name).values()) == {1}


@pytest.mark.parametrize("loss", LOSSES)
def test_a_notice_whose_answer_is_lost_comes_three_times_at_most_then_over_the_next_contact(
    house: House, loss: Loss
) -> None:
    crowd, name = house.crowd, f"notice{loss}"

    def over_webhook() -> list[Request]:
        return [
            request
            for request in list(crowd.hook.requests)
            if request.path.endswith(f"/{name}") and HANDOVER in request.body.decode()
        ]

    until(over_webhook, seconds=TIMED_OUT, why="the next contact was not used")
    time.sleep(1.0)  # nothing more may come
    copies = [m for m in crowd.telegram.sent(crowd.chat(name)) if HANDOVER in m.text]
    assert 1 <= len(copies) <= COPIES
    assert len(over_webhook()) == 1


def test_a_replica_that_stood_still_in_a_storm_repeats_only_sends_under_way(
    servers: Servers,
) -> None:
    people, storm = [f"p{number}" for number in range(40)], 400
    with TelegramStandIn() as telegram, AnyHook(pause=0.5) as hook:
        crowd = Crowd(telegram, hook)
        for name in people:
            crowd.add(name, "webhook", **SINGLE)
        redis = servers.redis_server().url
        one, two = (servers.amproxy(crowd.routes(), redis_url=redis) for _ in range(2))

        def told() -> Counter[str]:
            return sum((crowd.by_webhook(name) for name in people), Counter())

        for standstill in STOPS:
            before = len(hook.requests)
            for name in people:
                crowd.push(two.url, name, storm // len(people))
            until(lambda: len(hook.requests) >= before + storm // 8, why="nothing was sent")  # noqa: B023
            os.kill(one.pid, signal.SIGSTOP)
            try:
                time.sleep(standstill)
            finally:
                os.kill(one.pid, signal.SIGCONT)
            until(lambda: len(told()) == len(crowd.pushed), why="a page was lost")
        until(lambda: not _waiting(two), why="a message is left")
        twice = told().total() - len(crowd.pushed)
        assert twice <= CALLS * len(STOPS)
        # A process may be stopped between the permit to send and the first byte of it.
        assert abs(repeated(one, two) - twice) <= max(5, 0.1 * twice)


class HeldHook(AnyHook):
    """Answers nothing before `go`."""

    def __init__(self) -> None:
        super().__init__()
        self.go = threading.Event()

    def answer(self, request: Request) -> Answer:
        self.go.wait(60)
        return Answer()


def test_what_was_answered_while_a_process_stood_still_is_not_sent_again(
    servers: Servers,
) -> None:
    with HeldHook() as hook:
        amproxy = servers.amproxy(
            f"""
route: {{receiver: hook, group_by: [alertname], group_wait: 0s}}
receivers: [{{name: hook, webhook_configs: [{{url: '{hook.url}', timeout: 5s}}]}}]
"""
        )
        names = [f"held-{number}" for number in range(20)]
        alerts = [{"labels": {"alertname": name}} for name in names]
        assert post(f"{amproxy.url}/api/v2/alerts", alerts) == 200
        until(lambda: len(hook.requests) == len(names), why="not all are under way")
        os.kill(amproxy.pid, signal.SIGSTOP)
        try:
            hook.go.set()
            time.sleep(6.0)  # over the time-out of the webhook
        finally:
            os.kill(amproxy.pid, signal.SIGCONT)
        until(lambda: not _waiting(amproxy), why="a message is left")
        told = Counter(request.payload["groupLabels"]["alertname"] for request in hook.requests)
        assert told == dict.fromkeys(names, 1)


def _waiting(replica: Server) -> float:
    return metric(text(f"{replica.url}/metrics"), "amproxy_outbox_depth")
