"""Lanes: order, the budget in memory, and when a destination counts as hanging."""

from __future__ import annotations

import pytest

from amproxy.model import Group, OutgoingMessage
from amproxy.notify.lanes import (
    BUDGET,
    LONG_THROTTLE,
    PROBE_WAITS,
    TIMEOUTS_TO_STALL,
    Lane,
    LaneHealth,
    lane_key,
)
from amproxy.store.outbox import OutboxMessage


def queued(number: int, *, urgent: bool = False) -> OutboxMessage:
    message = OutgoingMessage(
        id=f"m{number}", kind="page", channel="chat", user="ann", urgent=urgent, due=0.0
    )
    return OutboxMessage(f"{number}-0", message, "me")


def emptied(lane: Lane) -> list[str]:
    return [one.entry for one in iter(lane.pop, None)]


async def test_urgent_messages_go_first_and_stay_in_order_among_themselves() -> None:
    lane = Lane("chat/ann")
    for one in (queued(1), queued(2, urgent=True), queued(3), queued(4, urgent=True)):
        lane.add(one)
    assert emptied(lane) == ["2-0", "4-0", "1-0", "3-0"]
    assert not lane


async def test_what_is_over_the_budget_is_kept_as_an_id_only_and_in_order() -> None:
    lane = Lane("chat/ann")
    for number in range(BUDGET + 50):
        lane.add(queued(number))
    taken = list(iter(lane.pop, None))
    assert [one.message is not None for one in taken] == [True] * BUDGET + [False] * 50
    assert [one.entry for one in taken] == [f"{number}-0" for number in range(BUDGET + 50)]


async def test_a_message_that_has_to_wait_is_the_next_again() -> None:
    lane = Lane("chat/ann")
    for number in range(3):
        lane.add(queued(number))
    one = lane.pop()
    assert one
    lane.put_back(one)
    assert emptied(lane) == ["0-0", "1-0", "2-0"]


async def test_what_was_kept_while_a_lane_stood_still_goes_before_what_came_later() -> None:
    lane = Lane("chat/ann")
    lane.add(queued(1))
    lane.add(queued(2))
    while one := lane.pop():
        lane.kept.append(one)
    assert lane, "kept messages keep a lane alive"
    lane.add(queued(3))
    lane.resume()
    assert emptied(lane) == ["1-0", "2-0", "3-0"]


def test_three_time_outs_in_a_row_stall_a_lane_and_one_answer_of_any_kind_ends_it() -> None:
    health, lane = LaneHealth(), "chat/ann"
    for second in range(TIMEOUTS_TO_STALL):
        assert not health.stalled(lane, second)
        health.record(lane, "timeout", second)
    assert str(health.stalled(lane, 3)) == "no answer 3 times in a row"
    assert (health.hanging("chat"), health.hanging("mail")) == (1, 0)
    assert not health.stalled("chat/bob", 3), "another person's chat is none of it"
    health.record(lane, "rate_limited", 4)
    assert not health.stalled(lane, 4) and not health.hanging("chat")


@pytest.mark.parametrize("answer", ["", "server_error", "network", "client_error"])
def test_time_outs_count_only_in_a_row(answer: str) -> None:
    health = LaneHealth()
    for outcome in ("timeout", "timeout", answer, "timeout", "timeout"):
        health.record("chat/ann", outcome, 0)
    assert not health.stalled("chat/ann", 0)


def test_probes_of_a_stalled_lane_grow_rarer_up_to_a_minute() -> None:
    health, now, waits = LaneHealth(), 0.0, list[float]()
    for _ in range(TIMEOUTS_TO_STALL + 6):
        health.record("chat/ann", "timeout", now)
        waits.append(health.probe_in("chat/ann", now))
        now += waits[-1]
        assert health.probe_in("chat/ann", now) == 0
    first, longest = PROBE_WAITS
    assert waits[:5] == [first, first, first, 2 * first, 4 * first]
    assert waits[-1] == longest


def test_a_long_throttle_stalls_a_lane_until_it_is_over_and_a_short_one_does_not() -> None:
    health = LaneHealth()
    health.throttle("chat/ann", 5, now=0)
    assert not health.stalled("chat/ann", 1)
    health.throttle("chat/ann", LONG_THROTTLE, now=0)
    assert health.stalled("chat/ann", 1) and health.probe_in("chat/ann", 1) == LONG_THROTTLE - 1
    assert not health.stalled("chat/ann", LONG_THROTTLE)


def test_each_person_and_each_chat_of_a_receiver_has_a_lane_of_its_own() -> None:
    group = Group(id="g", key="{}:{}", receiver="hook", route_key="{}")
    messages = [
        OutgoingMessage(id="1", kind="page", channel="chat", user="ann", due=0),
        OutgoingMessage(id="2", kind="page", channel="chat", user="bob", due=0),
        OutgoingMessage(id="3", kind="page", channel="chat", integration="ops/chat/0", due=0),
        OutgoingMessage(id="4", kind="page", channel="chat", integration="dev/chat/0", due=0),
        OutgoingMessage(
            id="5", kind="notification", channel="chat", integration="chat/0", group=group, due=0
        ),
    ]
    assert len({lane_key(message) for message in messages}) == len(messages)
