"""While all alerts of an incident are muted nothing of its plan runs."""

from __future__ import annotations

from amproxy.config.structs import NotifyStep, Wait
from amproxy.machine.events import Acknowledge, Escalate, Hold, Snooze
from amproxy.machine.transition import next_due
from tests.support.machine.incidents import START, Drive

ANN, BOB = NotifyStep(users=("ann",)), NotifyStep(users=("bob",))


def held(drive: Drive, seconds: float, reason: str = "silenced by eve") -> None:
    drive.do(Hold(reason=reason, until=START + seconds))


def test_steps_and_rules_stand_still_and_go_on_at_its_end() -> None:
    drive = Drive(ANN, Wait(seconds=60), BOB)
    drive.until(30)
    held(drive, 1000)
    assert next_due(drive.incident) == START + 1000
    drive.until(2000)
    assert drive.pages == [
        (0, "ann", "telegram"),
        (1000, "ann", "email"),
        (1000, "bob", "telegram"),
    ]
    assert drive.said("Nobody is paged for now: silenced by eve") and drive.said(
        "No longer held back (silenced by eve)"
    )


def test_holding_longer_for_the_same_reason_is_said_once() -> None:
    drive = Drive(ANN)
    for until in (100, 200, 300):
        held(drive, until)
    assert sum("Nobody is paged" in line for line in drive.told) == 1
    held(drive, 400, "maintenance of db1")
    assert drive.said("Nobody is paged for now: maintenance of db1")


def test_new_alerts_end_it_because_they_are_not_muted() -> None:
    drive = Drive(Wait(seconds=60), BOB)
    held(drive, 1000)
    drive.until(100)
    drive.alerts(2, fresh=1)
    assert drive.who == [(100, "bob")] and drive.said(
        "No longer held back (silenced by eve): new alerts"
    )


def test_alerts_that_end_do_not() -> None:
    drive = Drive(Wait(seconds=60), BOB, incident={"firing": 2})
    held(drive, 1000)
    drive.until(100)
    drive.alerts(1)
    assert drive.pages == [] and drive.incident.held_by
    drive.alerts(0)
    assert drive.incident.state == "resolved" and drive.incident.held_until is None


def test_a_person_who_escalates_ends_it() -> None:
    drive = Drive(Wait(seconds=60), BOB)
    held(drive, 1000)
    drive.do(Escalate(user="ann", via="web"))
    assert drive.who == [(0, "bob")] and drive.incident.held_by == ""


def test_only_what_is_triggered_is_held() -> None:
    drive = Drive(BOB)
    drive.do(Acknowledge(user="bob", via="web"))
    held(drive, 1000)
    assert drive.incident.held_until is None and next_due(drive.incident) is None


def test_what_triggers_again_while_it_is_muted_pages_nobody() -> None:
    drive = Drive(BOB, acknowledge_timeout=600.0)
    drive.do(Acknowledge(user="bob", via="web"))
    drive.now = START + 600
    held(drive, 1000)
    assert drive.incident.state == "triggered" and drive.who == [(0, "bob")]
    drive.until(1000)
    assert drive.who == [(0, "bob"), (1000, "bob")]


def test_a_snooze_that_ends_while_it_is_muted_pages_nobody() -> None:
    drive = Drive(BOB)
    drive.do(Snooze(user="bob", via="web", until=START + 600))
    drive.now = START + 600
    held(drive, 1000)
    assert drive.incident.state == "triggered" and drive.who == [(0, "bob")]


def test_a_hold_that_is_over_already_holds_nothing() -> None:
    drive = Drive(Wait(seconds=60), BOB)
    held(drive, 50)
    drive.now = START + 100
    held(drive, 90)
    assert drive.who == [(100, "bob")] and drive.incident.held_until is None


def test_news_end_one_of_which_nothing_is_heard_even_while_it_is_held() -> None:
    drive = Drive(BOB, auto_resolve=600.0)
    held(drive, 5000)
    drive.until(600)
    assert drive.incident.resolved_by == "silent"
