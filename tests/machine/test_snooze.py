"""A snooze: silence until its end, and how the policy goes on."""

from __future__ import annotations

import pytest

from amproxy.config.structs import NotifyStep, Wait
from amproxy.errors import Conflict
from amproxy.machine.events import Acknowledge, AddResponders, Escalate, Reassign, Resolve, Snooze
from amproxy.machine.transition import next_due
from tests.support.machine.incidents import START, Drive

ANN, BOB, EVE = NotifyStep(users=("ann",)), NotifyStep(users=("bob",)), NotifyStep(users=("eve",))


def snooze(drive: Drive, seconds: float) -> None:
    drive.do(Snooze(user="bob", via="web", until=START + seconds))


def test_nothing_runs_before_its_end_and_then_the_policy_begins_anew() -> None:
    drive = Drive(ANN, Wait(seconds=600), BOB)
    drive.until(100)
    snooze(drive, 1000)
    assert next_due(drive.incident) == START + 1000
    drive.until(5000)
    assert drive.pages == [
        (0, "ann", "telegram"),
        (1000, "ann", "telegram"),
        (1300, "ann", "email"),
        (1600, "bob", "telegram"),
    ]
    assert drive.said("the policy begins anew")


def test_with_resume_waits_and_rules_go_on_with_what_was_left_of_them() -> None:
    drive = Drive(ANN, Wait(seconds=600), BOB, after_snooze="resume")
    drive.until(100)
    snooze(drive, 1000)
    drive.until(5000)
    assert drive.pages == [
        (0, "ann", "telegram"),
        (1200, "ann", "email"),
        (1500, "bob", "telegram"),
    ]
    assert drive.said("the policy goes on where it was")


def test_a_snooze_put_off_again_keeps_what_was_left() -> None:
    drive = Drive(ANN, Wait(seconds=600), BOB, after_snooze="resume")
    drive.until(100)
    snooze(drive, 1000)
    drive.until(900)
    snooze(drive, 2000)
    drive.until(5000)
    assert drive.pages == [
        (0, "ann", "telegram"),
        (2200, "ann", "email"),
        (2500, "bob", "telegram"),
    ]


def test_a_second_snooze_after_the_first_counts_from_what_was_left_then() -> None:
    drive = Drive(ANN, Wait(seconds=600), BOB, after_snooze="resume")
    drive.until(100)
    snooze(drive, 1000)
    drive.until(1100)
    snooze(drive, 2000)
    drive.until(5000)
    assert drive.pages == [
        (0, "ann", "telegram"),
        (2100, "ann", "email"),
        (2400, "bob", "telegram"),
    ]


def test_acknowledging_while_snoozed_ends_both_and_a_later_snooze_begins_anew() -> None:
    drive = Drive(ANN, Wait(seconds=600), BOB, after_snooze="resume")
    drive.until(100)
    snooze(drive, 1000)
    drive.until(200)
    drive.do(Acknowledge(user="bob", via="web"))
    drive.until(2000)
    assert drive.incident.state == "acknowledged" and len(drive.pages) == 1
    snooze(drive, 3000)
    drive.until(3000)
    assert drive.pages[1:] == [(3000, "ann", "telegram")]


def test_while_snoozed_a_failed_page_pages_nobody_and_the_rules_go_on_right_after_it() -> None:
    drive = Drive(BOB, Wait(seconds=600), EVE, after_snooze="resume")
    drive.until(50)
    drive.do(AddResponders(user="bob", via="web", to=ANN))
    drive.until(100)
    snooze(drive, 1000)
    drive.until(200)
    drive.fail("ann", "telegram")
    assert drive.pages == [(0, "bob", "telegram"), (50, "ann", "telegram")]
    assert next_due(drive.incident) == START + 1000
    drive.until(1100)
    assert drive.pages[2:] == [(1000, "ann", "email")]


def test_a_page_of_the_policy_that_fails_while_snoozed_is_not_forgotten_after_it() -> None:
    drive = Drive(ANN, Wait(seconds=600), BOB, after_snooze="resume")
    drive.until(100)
    snooze(drive, 1000)
    drive.fail("ann", "telegram")
    assert len(drive.pages) == 1
    drive.until(5000)
    assert drive.pages[1:] == [(1000, "ann", "email"), (1500, "bob", "telegram")]


def test_with_nothing_left_to_resume_it_begins_anew() -> None:
    drive = Drive(BOB, after_snooze="resume")
    assert next_due(drive.incident) is None
    snooze(drive, 1000)
    drive.until(1000)
    assert drive.who == [(0, "bob"), (1000, "bob")]


def test_a_round_that_was_under_way_is_resumed_too() -> None:
    drive = Drive(BOB, Wait(seconds=60), repeat=2, after_snooze="resume")
    drive.until(90)
    snooze(drive, 500)
    drive.until(1000)
    assert drive.who == [(0, "bob"), (60, "bob"), (530, "bob")]
    assert drive.incident.round == 3


def test_the_buttons_of_before_are_old_after_it() -> None:
    for after in ("restart", "resume"):
        drive = Drive(BOB, Wait(seconds=60), after_snooze=after)
        snooze(drive, 500)
        drive.until(500)
        with pytest.raises(Conflict, match="earlier alarm"):
            drive.do(Acknowledge(user="bob", via="web", epoch=1))


def test_escalating_ends_a_snooze_and_begins_the_policy() -> None:
    drive = Drive(EVE, Wait(seconds=60), BOB, after_snooze="resume")
    drive.until(10)
    snooze(drive, 500)
    drive.do(Escalate(user="eve", via="web"))
    assert drive.who == [(0, "eve"), (10, "eve")] and drive.incident.snoozed_until is None


def test_alerts_that_end_end_a_snooze() -> None:
    drive = Drive(BOB)
    snooze(drive, 500)
    drive.alerts(0)
    drive.until(1000)
    assert drive.incident.state == "resolved" and drive.who == [(0, "bob")]


def test_new_alerts_page_nobody_while_snoozed() -> None:
    drive = Drive(BOB)
    snooze(drive, 500)
    drive.alerts(5, fresh=4)
    assert drive.who == [(0, "bob")] and drive.incident.firing == 5


def test_its_end_must_lie_ahead() -> None:
    drive = Drive(BOB)
    drive.until(100)
    with pytest.raises(Conflict, match="must lie in the future"):
        snooze(drive, 100)


def test_reassigning_ends_it_and_asking_others_to_join_is_refused_with_the_reason() -> None:
    drive = Drive(BOB)
    snooze(drive, 500)
    with pytest.raises(Conflict, match="acknowledge it first"):
        drive.do(AddResponders(user="bob", via="web", to=EVE))
    drive.do(Reassign(user="bob", via="web", to=EVE))
    assert drive.who == [(0, "bob"), (0, "eve")] and drive.incident.state == "triggered"


def test_what_a_reassigned_person_still_had_is_resumed() -> None:
    drive = Drive(BOB, after_snooze="resume")
    drive.do(Reassign(user="bob", via="web", to=ANN))
    drive.until(100)
    snooze(drive, 1000)
    drive.until(3000)
    assert drive.pages[1:] == [
        (0, "ann", "telegram"),
        (1200, "ann", "email"),
        (1800, "bob", "telegram"),
    ]


def test_a_snooze_outlives_alerts_that_end_and_come_back() -> None:
    drive = Drive(ANN, reopen_within=60.0)
    drive.until(10)
    snooze(drive, 3600)
    for at in (100, 130):
        drive.now = START + at
        drive.alerts(0, ended_by="source" if at == 100 else "unnamed")
        assert drive.incident.state == "resolved"
        drive.now += 2.5
        drive.come_back()
        assert (drive.incident.state, drive.incident.snoozed_until) == ("snoozed", START + 3600)
    assert drive.said("Still snoozed by bob")
    drive.until(3599)
    assert drive.who == [(0, "ann")]
    drive.until(3601)
    assert drive.who == [(0, "ann"), (3600, "ann")]


@pytest.mark.parametrize("ends", ["over", "by hand"])
def test_a_snooze_that_is_over_or_was_ended_by_hand_does_not_come_back(ends: str) -> None:
    drive = Drive(ANN, reopen_within=60.0)
    snooze(drive, 100 if ends == "over" else 3600)
    drive.now = START + 90
    if ends == "over":
        drive.alerts(0)
    else:
        drive.do(Resolve(user="ann", via="web"))
    drive.now = START + 110
    drive.come_back()
    assert drive.incident.state == "triggered"
    assert drive.who[-1] == (110, "ann")
