"""What a policy waits for, which steps it skips, and how its rounds repeat."""

from __future__ import annotations

from typing import Any

import pytest

from amproxy.config.structs import NotifyStep, ResolveStep, Wait, WaitUntilStep, WebhookStep
from amproxy.machine.events import Acknowledge
from tests.support.machine.incidents import Drive

BOB, EVE = NotifyStep(users=("bob",)), NotifyStep(users=("eve",))


def test_wait_until_goes_on_when_the_interval_opens() -> None:
    drive = Drive(WaitUntilStep(interval="noon"), BOB)
    drive.until(86400)
    assert drive.who == [(3 * 3600, "bob")]


def test_wait_until_goes_on_at_once_in_an_interval_that_holds() -> None:
    assert Drive(WaitUntilStep(interval="morning"), BOB).who == [(0, "bob")]


def test_only_a_wait_is_cut_short_when_nobody_can_be_reached() -> None:
    drive = Drive(BOB, WaitUntilStep(interval="noon"), EVE)
    drive.until(5)
    drive.fail("bob", "telegram")
    drive.until(86400)
    assert drive.who == [(0, "bob"), (3 * 3600, "eve")]


@pytest.mark.parametrize(
    ("condition", "why"),
    [
        ({"matchers": ('severity="critical"', 'team="db"')}, 'team="db" does not match'),
        ({"active_time_intervals": ("noon",)}, "outside time interval noon"),
        ({"mute_time_intervals": ("noon", "morning")}, "muted by time interval morning"),
        (
            {"active_time_intervals": ("morning",), "mute_time_intervals": ("morning",)},
            "muted by time interval morning",
        ),
    ],
)
@pytest.mark.parametrize("kind", [NotifyStep, WebhookStep, ResolveStep])
def test_a_step_whose_condition_does_not_hold_is_skipped_with_its_reason(
    kind: Any, condition: dict[str, Any], why: str
) -> None:
    target = {NotifyStep: {"users": ("ann",)}, WebhookStep: {"receiver": "repair"}}.get(kind, {})
    drive = Drive(
        kind(**target, **condition), BOB, incident={"common_labels": {"severity": "critical"}}
    )
    assert drive.who == [(0, "bob")]
    assert drive.said(f"Step 1 skipped: {why}")


def test_a_step_whose_condition_holds_runs() -> None:
    step = NotifyStep(
        users=("eve",),
        matchers=('severity=~"crit.*"',),
        active_time_intervals=("morning",),
        mute_time_intervals=("noon",),
    )
    assert Drive(step, incident={"common_labels": {"severity": "critical"}}).who == [(0, "eve")]


def test_rounds_may_begin_at_a_later_step() -> None:
    drive = Drive(EVE, Wait(seconds=60), BOB, Wait(seconds=60), repeat=2, repeat_from=3)
    drive.until(3600)
    assert drive.who == [(0, "eve"), (60, "bob"), (120, "bob"), (180, "bob")]
    assert drive.said("the steps from 3 on run again (round 3 of 3)")
    assert drive.said("no further step")


def test_rounds_without_a_wait_are_a_minute_apart() -> None:
    drive = Drive(Wait(seconds=600), BOB, repeat=2, repeat_from=2)
    drive.until(3600)
    assert drive.who == [(600, "bob"), (660, "bob"), (720, "bob")]


def test_a_webhook_step_calls_each_webhook_once_and_tells_it_nothing_more() -> None:
    drive = Drive(WebhookStep(receiver="repair"), Wait(seconds=60), BOB)
    assert drive.pages == [(0, "repair", "webhook")]
    drive.arrive()
    drive.do(Acknowledge(user="bob", via="web"))
    assert [message.kind for _, message in drive.sent] == ["page"]


def test_a_webhook_step_without_a_webhook_says_so() -> None:
    assert Drive(WebhookStep(receiver="chat"), BOB).said("receiver chat has no webhook")
    drive = Drive(WebhookStep(receiver="gone"), BOB)
    assert drive.said("receiver gone is not in the file any more; paging eve instead")


def test_a_resolve_step_ends_the_incident() -> None:
    drive = Drive(BOB, Wait(seconds=60), ResolveStep(), EVE)
    drive.until(3600)
    assert (drive.incident.state, drive.incident.resolved_by) == ("resolved", "policy")
    assert drive.who == [(0, "bob")]
    assert drive.said("Resolved by step 3 of policy main")
