"""`forward`: another policy takes over."""

from __future__ import annotations

from typing import Any

from amproxy.config.structs import ForwardStep, NotifyStep, Policy, Wait
from amproxy.machine.events import Acknowledge, Reopen, Resolve, TimerTick, Unacknowledge
from amproxy.machine.transition import next_due
from tests.support.machine.incidents import START, Drive

ANN, BOB, EVE = NotifyStep(users=("ann",)), NotifyStep(users=("bob",)), NotifyStep(users=("eve",))


def second(*steps: Any, **keys: Any) -> dict[str, Any]:
    return {"policies": {"second": Policy(name="second", steps=steps, **keys)}}


def test_the_steps_of_the_other_policy_run_and_those_below_do_not() -> None:
    drive = Drive(
        BOB, ForwardStep(policy="second"), ANN, config=second(Wait(seconds=60), EVE, team="ops")
    )
    drive.until(3600)
    assert drive.who == [(0, "bob"), (60, "eve")]
    assert (drive.incident.policy, drive.incident.team) == ("second", "ops")
    assert drive.said("Step 2: policy second takes over")


def test_rules_that_run_are_not_disturbed() -> None:
    drive = Drive(ANN, ForwardStep(policy="second"), config=second(ANN, Wait(seconds=60), EVE))
    drive.until(3600)
    assert drive.pages == [(0, "ann", "telegram"), (60, "eve", "email"), (300, "ann", "email")]


def test_its_own_repeat_and_timeout_hold_from_then_on() -> None:
    drive = Drive(
        ForwardStep(policy="second"),
        config=second(BOB, Wait(seconds=60), repeat=1, acknowledge_timeout=3600.0),
    )
    drive.until(600)
    assert drive.who == [(0, "bob"), (60, "bob")]
    drive.do(Acknowledge(user="bob", via="web"))
    assert drive.incident.acknowledge_due == START + 600 + 3600


def test_it_is_kept_as_it_was_when_the_incident_opened() -> None:
    drive = Drive(Wait(seconds=60), ForwardStep(policy="second"), config=second(EVE))
    drive.roster.config.policies["second"] = Policy(name="second", steps=(BOB,))
    drive.until(600)
    assert drive.who == [(60, "eve")]


def test_a_policy_that_was_never_there_is_said_and_the_next_step_runs() -> None:
    drive = Drive(ForwardStep(policy="gone"), BOB)
    assert drive.who == [(0, "bob")] and drive.said("there is no policy gone to hand over to")


def test_a_condition_may_keep_it_from_handing_over() -> None:
    drive = Drive(
        ForwardStep(policy="second", active_time_intervals=("noon",)), BOB, config=second(EVE)
    )
    assert drive.who == [(0, "bob")] and drive.incident.policy == "main"


def test_a_circle_without_waits_pages_each_once_a_minute() -> None:
    drive = Drive(EVE, ForwardStep(policy="second"), config=second(BOB, ForwardStep(policy="main")))
    assert drive.who == [(0, "eve"), (0, "bob")]
    drive.until(150)
    assert drive.who == [
        (0, "eve"),
        (0, "bob"),
        (60, "eve"),
        (60, "bob"),
        (120, "eve"),
        (120, "bob"),
    ]


def test_a_policy_that_hands_over_to_itself_does_so_once_a_minute() -> None:
    drive = Drive(NotifyStep(receiver="chat"), ForwardStep(policy="main"))
    assert drive.who == [(0, "chat")]
    drive.until(90)
    assert drive.who == [(0, "chat"), (60, "chat")]


def test_a_circle_with_a_wait_is_not_slowed_down() -> None:
    drive = Drive(
        EVE,
        Wait(seconds=300),
        ForwardStep(policy="second"),
        config=second(BOB, ForwardStep(policy="main")),
    )
    drive.until(650)
    assert drive.who == [(0, "eve"), (300, "bob"), (300, "eve"), (600, "bob"), (600, "eve")]


def test_an_answer_taken_back_begins_the_policy_that_took_over() -> None:
    drive = Drive(EVE, ForwardStep(policy="second"), config=second(BOB))
    drive.do(Acknowledge(user="bob", via="web"))
    drive.until(60)
    drive.do(Unacknowledge(user="bob", via="web"))
    assert drive.who == [(0, "eve"), (0, "bob"), (60, "bob")]


def test_what_comes_back_begins_with_the_policy_it_was_opened_with() -> None:
    drive = Drive(EVE, ForwardStep(policy="second"), config=second(BOB))
    drive.do(Resolve(user="bob", via="web"))
    drive.until(60)
    drive.come_back()
    assert drive.who[2:] == [(60, "eve"), (60, "bob")]
    drive.do(Resolve(user="bob", via="web"))
    drive.until(120)
    drive.do(Reopen(user="bob", via="web"))
    assert drive.who[4:] == [(120, "eve"), (120, "bob")]
    assert next_due(drive.incident) is None


def test_policies_in_a_circle_do_not_go_round_at_once_though_nobody_can_be_reached() -> None:
    drive = Drive(
        BOB,
        Wait(seconds=300),
        ForwardStep(policy="second"),
        config=second(BOB, Wait(seconds=300), ForwardStep(policy="second")),
    )
    rounds = 0
    while drive.now < START + 600 and rounds < 50:
        while any(page.state == "due" for page in drive.incident.pages) and rounds < 50:
            drive.fail("bob", "telegram")
            rounds += 1
        drive.now = next_due(drive.incident) or START + 600
        drive.do(TimerTick())
    assert rounds < 10
