"""What a policy's steps do, and when."""

from __future__ import annotations

import pytest

from amproxy.config.structs import IfNobody, NotifyStep, Wait, WaitUntilStep
from amproxy.errors import Conflict
from amproxy.machine.events import (
    Acknowledge,
    AlertsChanged,
    Escalate,
    Opened,
    Resolve,
    Snooze,
    Unacknowledge,
)
from tests.support.machine.incidents import START, Drive

ANN, BOB = NotifyStep(users=("ann",)), NotifyStep(users=("bob",))


def test_the_first_step_runs_at_once_and_the_next_after_its_wait() -> None:
    drive = Drive(ANN, Wait(seconds=60), BOB)
    drive.until(3600)
    assert drive.pages == [(0, "ann", "telegram"), (60, "bob", "telegram"), (300, "ann", "email")]


def test_two_steps_that_reach_the_same_person_do_not_restart_the_rules() -> None:
    drive = Drive(ANN, Wait(seconds=60), NotifyStep(users=("ann",), urgency="important"))
    drive.until(3600)
    assert drive.pages == [(0, "ann", "telegram"), (300, "ann", "email")]


def test_repeat_runs_the_steps_again_so_many_times() -> None:
    drive = Drive(BOB, Wait(seconds=600), repeat=2)
    drive.until(7200)
    assert drive.pages == [
        (0, "bob", "telegram"),
        (600, "bob", "telegram"),
        (1200, "bob", "telegram"),
    ]


def test_a_plan_without_any_wait_does_not_run_its_rounds_at_once() -> None:
    drive = Drive(BOB, repeat=1)
    assert len(drive.pages) == 1
    drive.until(7200)
    assert drive.pages == [(0, "bob", "telegram"), (60, "bob", "telegram")]


def test_acknowledging_stops_steps_and_personal_rules() -> None:
    drive = Drive(ANN, Wait(seconds=60), BOB)
    drive.until(30)
    drive.do(Acknowledge(user="ann", via="telegram"))
    drive.until(7200)
    assert drive.pages == [(0, "ann", "telegram")]
    assert drive.incident.acknowledged_at == START + 30


def test_an_acknowledgement_that_outlives_its_timeout_starts_again() -> None:
    drive = Drive(BOB, acknowledge_timeout=3600.0)
    drive.do(Acknowledge(user="bob", via="web"))
    drive.until(3600)
    assert drive.incident.state == "triggered"
    assert drive.pages == [(0, "bob", "telegram"), (3600, "bob", "telegram")]


def test_unacknowledging_and_the_end_of_a_snooze_start_from_the_first_step() -> None:
    drive = Drive(BOB, Wait(seconds=60), ANN)
    drive.do(Acknowledge(user="bob", via="web"))
    drive.until(100)
    drive.do(Unacknowledge(user="ann", via="web"))
    drive.do(Snooze(user="ann", via="web", until=START + 1000))
    drive.until(1060)
    assert drive.pages == [
        (0, "bob", "telegram"),
        (100, "bob", "telegram"),
        (1000, "bob", "telegram"),
        (1060, "ann", "telegram"),
    ]


def test_an_old_button_changes_nothing_after_the_incident_triggered_again() -> None:
    drive = Drive(BOB)
    drive.do(Acknowledge(user="bob", via="web", epoch=1))
    drive.do(Unacknowledge(user="bob", via="web"))
    with pytest.raises(Conflict, match="earlier alarm"):
        drive.do(Acknowledge(user="bob", via="telegram", epoch=1))
    assert drive.incident.state == "triggered"


def test_actions_that_the_state_forbids_are_refused_with_the_reason() -> None:
    drive = Drive(BOB)
    with pytest.raises(Conflict, match="not acknowledged"):
        drive.do(Unacknowledge(user="ann", via="web"))
    drive.do(Resolve(user="ann", via="web"))
    for event in (
        Acknowledge(user="bob", via="web"),
        Resolve(user="bob", via="web"),
        Escalate(user="bob", via="web"),
    ):
        with pytest.raises(Conflict, match="already resolved by ann"):
            drive.do(event)


def test_escalate_now_runs_the_next_step_without_its_wait() -> None:
    drive = Drive(BOB, Wait(seconds=600), ANN)
    drive.until(10)
    drive.do(Escalate(user="eve", via="web"))
    assert drive.pages == [(0, "bob", "telegram"), (10, "ann", "telegram")]


@pytest.mark.parametrize(
    ("rule", "pages"),
    [
        (IfNobody(kind="next_step"), [(0, "bob", "telegram")]),
        (IfNobody(kind="user", user="eve"), [(0, "eve", "email"), (0, "bob", "telegram")]),
        (IfNobody(kind="wait_for_shift"), []),
    ],
)
def test_nobody_on_call_is_never_silence(
    rule: IfNobody, pages: list[tuple[float, str, str]]
) -> None:
    drive = Drive(NotifyStep(schedule="empty"), BOB, if_nobody=rule)
    assert sorted(drive.pages) == sorted(pages)
    assert any("has nobody" in line for line in drive.told)


def test_a_step_that_does_not_match_is_skipped_and_says_so() -> None:
    drive = Drive(NotifyStep(users=("ann",), matchers=('severity="critical"',)), BOB)
    assert drive.pages == [(0, "bob", "telegram")]
    assert any("does not match" in line for line in drive.told)


def test_a_time_interval_that_left_the_file_holds_nothing_back() -> None:
    drive = Drive(
        NotifyStep(users=("ann",), active_time_intervals=("gone",)),
        WaitUntilStep(interval="gone"),
        BOB,
    )
    assert drive.pages == [(0, "ann", "telegram"), (0, "bob", "telegram")]


def test_round_robin_goes_on_from_one_incident_to_the_next() -> None:
    drive = Drive(NotifyStep(team="ops", pick="round_robin"), Wait(seconds=60), repeat=2)
    drive.until(600)
    assert [who for at, who, _ in drive.pages if at <= 120] == ["ann", "bob", "eve"]


def test_a_contact_that_fails_goes_on_to_the_next_one_at_once() -> None:
    drive = Drive(ANN, Wait(seconds=600), BOB)
    drive.until(5)
    drive.fail("ann", "telegram")
    assert drive.pages == [(0, "ann", "telegram"), (5, "ann", "email")]


def test_when_nobody_of_a_step_can_be_reached_the_next_step_does_not_wait() -> None:
    drive = Drive(BOB, Wait(seconds=600), ANN)
    drive.until(5)
    drive.fail("bob", "telegram")
    assert drive.pages == [(0, "bob", "telegram"), (5, "ann", "telegram")]
    assert any("cannot be reached" in line for line in drive.told)


def test_somebody_without_any_contact_is_not_waited_for() -> None:
    drive = Drive(NotifyStep(users=("mute",)), Wait(seconds=600), BOB)
    assert drive.pages == [(0, "bob", "telegram")]


def test_messages_are_drawn_anew_on_every_change_and_once_only_while_one_is_on_its_way() -> None:
    drive = Drive(BOB)
    drive.arrive()
    drive.do(AlertsChanged(reason="new alerts added", firing=2, resolved=0, fresh=1))
    drive.do(Acknowledge(user="bob", via="web"))
    assert [message.kind for _, message in drive.sent] == ["page", "update"]


def test_a_receiver_step_tells_the_chat() -> None:
    drive = Drive(NotifyStep(receiver="chat"), BOB)
    assert drive.pages == [(0, "chat", "slack"), (0, "bob", "telegram")]


def test_alerts_that_end_resolve_the_incident() -> None:
    drive = Drive(BOB)
    drive.do(AlertsChanged(reason="all alerts resolved", firing=0, resolved=1))
    assert (drive.incident.state, drive.incident.resolved_by) == ("resolved", "source")
    drive.until(7200)
    assert len(drive.pages) == 1


def test_a_transition_does_not_change_what_it_was_given() -> None:
    drive = Drive(BOB)
    before = drive.incident
    drive.do(Acknowledge(user="bob", via="web"))
    assert (before.state, before.version) == ("triggered", 1)
    assert drive.incident.version == 2
    assert Opened(reason="x").reason == "x"
