"""`wait_for_alerts`: the policy stands still until enough alerts came."""

from __future__ import annotations

from amproxy.config.structs import ForwardStep, NotifyStep, Policy, Wait, WaitForAlertsStep
from amproxy.machine.events import Absorb, Acknowledge, Escalate, Snooze, Unacknowledge
from amproxy.machine.transition import next_due
from amproxy.model import MergedGroup
from tests.support.machine.incidents import START, Drive

GATE, BOB = WaitForAlertsStep(more_than=2, within=600), NotifyStep(users=("bob",))


def test_nothing_runs_until_more_alerts_came_than_it_says() -> None:
    drive = Drive(GATE, BOB)
    assert next_due(drive.incident) is None
    assert drive.said("Step 1: waiting for more than 2 alerts within 10 min; there were 1")
    drive.until(60)
    drive.alerts(2, fresh=1)
    drive.until(120)
    drive.alerts(3, fresh=1)
    assert drive.who == [(120, "bob")]
    assert drive.said("3 alerts came within 10 min, more than 2")


def test_alerts_that_came_too_long_ago_do_not_count() -> None:
    drive = Drive(GATE, BOB)
    for seconds in (300, 600, 1200):
        drive.until(seconds)
        drive.alerts(2, fresh=1)
    assert drive.pages == []
    drive.until(1210)
    drive.alerts(4, fresh=2)
    assert drive.who == [(1210, "bob")]


def test_enough_alerts_at_once_do_not_wait() -> None:
    assert Drive(GATE, BOB, incident={"firing": 3}).who == [(0, "bob")]


def test_a_gate_after_other_steps_counts_what_came_before_it() -> None:
    drive = Drive(Wait(seconds=60), GATE, BOB)
    drive.until(30)
    drive.alerts(3, fresh=2)
    drive.until(600)
    assert drive.who == [(60, "bob")]


def test_alerts_that_end_do_not_open_it() -> None:
    drive = Drive(GATE, BOB, incident={"firing": 2})
    drive.alerts(1)
    assert drive.pages == [] and next_due(drive.incident) is None


def test_escalating_by_hand_goes_past_it() -> None:
    drive = Drive(GATE, BOB)
    drive.do(Escalate(user="eve", via="web"))
    assert drive.who == [(0, "bob")]


def test_escalating_past_a_gate_at_the_end_ends_the_policy() -> None:
    drive = Drive(BOB, GATE)
    drive.do(Escalate(user="eve", via="web"))
    assert drive.said("no further step") and next_due(drive.incident) is None


def test_an_answer_taken_back_begins_before_it_and_counts_alerts_anew() -> None:
    drive = Drive(GATE, BOB)
    drive.do(Acknowledge(user="bob", via="web"))
    drive.alerts(4, fresh=3)
    assert drive.pages == []
    drive.do(Unacknowledge(user="bob", via="web"))
    assert drive.who == [(0, "bob")]


def test_a_gate_looks_again_at_the_end_of_a_snooze_that_resumes() -> None:
    drive = Drive(GATE, BOB, after_snooze="resume")
    drive.do(Snooze(user="bob", via="web", until=START + 300))
    drive.until(200)
    drive.alerts(4, fresh=3)
    assert drive.pages == []
    drive.until(400)
    assert drive.who == [(300, "bob")]


def test_a_gate_still_stands_after_a_snooze_that_brought_nothing() -> None:
    drive = Drive(GATE, BOB, after_snooze="resume")
    drive.do(Snooze(user="bob", via="web", until=START + 300))
    drive.until(400)
    assert drive.incident.state == "triggered" and drive.pages == []
    drive.alerts(4, fresh=3)
    assert drive.who == [(400, "bob")]


def test_alerts_of_a_merged_incident_count() -> None:
    drive = Drive(GATE, BOB)
    drive.do(
        Absorb(
            user="eve",
            via="web",
            id="j",
            number=8,
            title="Other",
            groups={"h": MergedGroup(firing=2)},
        )
    )
    assert drive.who == [(0, "bob")]


def test_a_gate_of_the_policy_that_takes_over_knows_what_came_before() -> None:
    second = Policy(name="second", steps=(GATE, BOB))
    drive = Drive(
        Wait(seconds=60),
        ForwardStep(policy="second"),
        config={"policies": {"second": second}},
        incident={"firing": 3},
    )
    drive.until(600)
    assert drive.who == [(60, "bob")]
