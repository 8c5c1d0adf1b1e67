"""Reassigning, and asking more people to join."""

from __future__ import annotations

from typing import Any

import pytest

from amproxy.config.structs import IfNobody, NotifyStep, Policy, Wait
from amproxy.errors import Conflict
from amproxy.machine.events import (
    Acknowledge,
    AddResponders,
    Escalate,
    Hold,
    Reassign,
    Resolve,
    Unacknowledge,
)
from tests.support.machine.incidents import Drive
from tests.support.words import SILENCED, said

ANN, BOB, EVE = NotifyStep(users=("ann",)), NotifyStep(users=("bob",)), NotifyStep(users=("eve",))


def reassign(drive: Drive, to: NotifyStep | Policy) -> None:
    drive.do(Reassign(user="bob", via="web", to=to))


def ask(drive: Drive, to: NotifyStep) -> None:
    drive.do(AddResponders(user="bob", via="web", to=to))


# -------------------------------------------------------------------------------------------------------- reassign


@pytest.mark.parametrize(
    ("to", "who", "why"),
    [
        (EVE, ["eve"], "Reassigned to eve by bob"),
        (NotifyStep(users=("eve", "bob")), ["eve", "bob"], "Reassigned to eve, bob by bob"),
        (NotifyStep(schedule="weekly"), ["eve"], "Reassigned to eve by bob"),
        (NotifyStep(team="ops"), ["ann", "bob", "eve"], "Reassigned to Ann Ash, bob, eve by bob"),
        (Policy(name="other", steps=(EVE,)), ["eve"], "Reassigned to policy other by bob"),
    ],
)
def test_those_it_is_reassigned_to_are_paged_and_nobody_else(
    to: Any, who: list[str], why: str
) -> None:
    drive = Drive(NotifyStep(users=("pro",)), Wait(seconds=60), NotifyStep(users=("mute",)))
    drive.until(10)
    drive.do(Acknowledge(user="pro", via="web"))
    reassign(drive, to)
    drive.until(800)
    assert [whom for at, whom, _ in drive.pages if at == 10] == who
    assert {whom for at, whom, _ in drive.pages if at > 10} <= set(who)
    assert drive.incident.acknowledged_by == "" and drive.said(why)


def test_the_page_says_who_reassigned_it_and_why_it_is_they() -> None:
    drive = Drive(BOB)
    reassign(drive, EVE)
    reassign(drive, NotifyStep(schedule="weekly"))
    assert [said(page.reason) for page in drive.incident.pages[1:]] == [
        "reassigned to you by bob (via web)",
        "on call for weekly: layer turns, reassigned by bob (via web)",
    ]


def test_when_they_do_not_answer_the_policy_begins() -> None:
    drive = Drive(BOB, Wait(seconds=60), ANN)
    drive.until(100)
    reassign(drive, EVE)
    drive.until(2000)
    assert drive.who[-4:] == [(100, "eve"), (1000, "bob"), (1060, "ann"), (1360, "ann")]


@pytest.mark.parametrize("failing", [False, True])
def test_when_they_cannot_be_reached_the_policy_begins_at_once(failing: bool) -> None:
    drive = Drive(BOB)
    drive.until(100)
    reassign(drive, EVE if failing else NotifyStep(users=("mute",)))
    drive.until(110)
    if failing:
        drive.fail("eve", "email")
    assert drive.who[-1] == ((110, "bob") if failing else (100, "bob"))


def test_an_answer_ends_it_as_any_other() -> None:
    drive = Drive(BOB)
    reassign(drive, ANN)
    drive.do(Acknowledge(user="ann", via="web"))
    drive.until(5000)
    assert drive.who == [(0, "bob"), (0, "ann")]


def test_another_policy_stays_in_force_when_it_comes_back() -> None:
    other = Policy(name="other", steps=(EVE,), team="ops")
    drive = Drive(BOB, config={"policies": {"other": other}})
    reassign(drive, other)
    drive.alerts(0)
    drive.until(60)
    drive.come_back()
    assert drive.who == [(0, "bob"), (0, "eve"), (60, "eve")] and drive.incident.team == "ops"


@pytest.mark.parametrize(
    "to", [NotifyStep(schedule="empty"), NotifyStep(users=("zed",)), NotifyStep(team="gone")]
)
def test_to_nobody_is_refused_and_nothing_changes(to: NotifyStep) -> None:
    drive = Drive(BOB)
    for event in (
        Reassign(user="bob", via="web", to=to),
        AddResponders(user="bob", via="web", to=to),
    ):
        with pytest.raises(Conflict, match="nobody to ask"):
            drive.do(event)
    assert drive.incident.version == 1


def test_urgent_incidents_stay_urgent() -> None:
    drive = Drive(BOB, incident={"urgency": "important"})
    reassign(drive, NotifyStep(users=("pro",)))
    assert drive.pages[1:] == [(0, "pro", "telegram"), (0, "pro", "email")]


def test_a_running_chain_ends_but_the_same_person_may_be_asked_anew() -> None:
    drive = Drive(ANN)
    drive.until(100)
    reassign(drive, ANN)
    drive.until(899)
    assert drive.pages == [(0, "ann", "telegram"), (100, "ann", "telegram"), (400, "ann", "email")]


# ------------------------------------------------------------------------------------------------------- responders


def acknowledged() -> Drive:
    drive = Drive(BOB, acknowledge_timeout=3600.0)
    drive.do(Acknowledge(user="bob", via="web"))
    return drive


def test_people_are_asked_to_join_though_somebody_has_acknowledged() -> None:
    drive = acknowledged()
    drive.until(100)
    ask(drive, ANN)
    drive.until(3000)
    assert drive.pages[1:] == [(100, "ann", "telegram"), (400, "ann", "email")]
    assert all(page.insists for page in drive.incident.pages[1:])
    assert drive.incident.responders == ["ann"] and drive.incident.acknowledged_by == "bob"
    assert drive.said("Ann Ash asked to join by bob (via web)")


@pytest.mark.parametrize("user", ["ann", "eve"])  # eve's only rule is over when she answers
def test_their_answer_is_that_they_joined_and_comes_once(user: str) -> None:
    drive = acknowledged()
    ask(drive, NotifyStep(users=(user,)))
    drive.until(60)
    drive.do(Acknowledge(user=user, via="telegram"))
    assert drive.incident.acknowledged_by == "bob" and drive.said("is on it too (via telegram)")
    drive.until(3000)
    assert len(drive.pages) == 2
    with pytest.raises(Conflict, match="already acknowledged by bob"):
        drive.do(Acknowledge(user=user, via="telegram"))


def test_somebody_elses_answer_does_not_end_the_asking() -> None:
    drive = Drive(BOB)
    ask(drive, ANN)
    ask(drive, EVE)
    drive.do(Acknowledge(user="bob", via="web"))
    drive.until(400)
    assert drive.pages[1:] == [(0, "ann", "telegram"), (0, "eve", "email"), (300, "ann", "email")]
    drive.do(Acknowledge(user="eve", via="web"))
    assert drive.said("eve is on it too")


def test_who_has_acknowledged_is_not_paged() -> None:
    drive = acknowledged()
    ask(drive, NotifyStep(users=("bob", "eve")))
    assert drive.who == [(0, "bob"), (0, "eve")] and drive.said(
        "bob has acknowledged already and is not paged"
    )


def test_they_are_still_asked_when_the_acknowledgement_is_taken_back_or_runs_out() -> None:
    for back in (True, False):
        drive = acknowledged()
        drive.until(3500)
        ask(drive, ANN)
        if back:
            drive.do(Unacknowledge(user="bob", via="web"))
        drive.until(3900)
        assert (3800, "ann", "email") in drive.pages, back
        assert drive.incident.state == "triggered"


def test_a_step_that_reaches_somebody_who_was_asked_does_not_page_them_twice() -> None:
    drive = Drive(Wait(seconds=60), ANN)
    ask(drive, ANN)
    drive.until(600)
    assert drive.pages == [(0, "ann", "telegram"), (300, "ann", "email")]
    drive.do(Acknowledge(user="bob", via="web"))
    drive.do(Acknowledge(user="ann", via="web"))
    assert drive.said("Ann Ash is on it too")


def test_they_are_paged_though_the_rest_is_held_back() -> None:
    drive = Drive(Wait(seconds=60), BOB)
    drive.do(Hold(reason=SILENCED, until=drive.now + 1000))
    ask(drive, EVE)
    drive.until(500)
    assert drive.who == [(0, "eve")]


def test_reassigning_ends_the_asking() -> None:
    drive = acknowledged()
    ask(drive, ANN)
    drive.do(Reassign(user="bob", via="web", to=EVE))
    drive.until(800)
    assert drive.pages[1:] == [(0, "ann", "telegram"), (0, "eve", "email")]


def test_nobody_joins_what_is_over() -> None:
    drive = Drive(BOB)
    drive.do(Resolve(user="bob", via="web"))
    with pytest.raises(Conflict, match="already resolved by bob"):
        ask(drive, EVE)


def test_a_contact_that_fails_goes_on_to_the_next_though_acknowledged() -> None:
    drive = acknowledged()
    ask(drive, ANN)
    drive.until(5)
    drive.fail("ann", "telegram")
    assert drive.pages[-1] == (5, "ann", "email")


# --------------------------------------------------------------------------------------------------------- escalate


def test_escalating_past_a_shift_that_is_waited_for_runs_the_step_after_it() -> None:
    drive = Drive(NotifyStep(schedule="empty"), EVE, if_nobody=IfNobody(kind="wait_for_shift"))
    assert drive.pages == []
    drive.do(Escalate(user="bob", via="web"))
    assert drive.who == [(0, "eve")]


def test_escalating_when_nothing_is_left_begins_anew() -> None:
    drive = Drive(BOB)
    drive.until(60)
    drive.do(Escalate(user="eve", via="web"))
    assert drive.who == [(0, "bob"), (60, "bob")]
    drive.do(Acknowledge(user="bob", via="web"))
    drive.until(90)
    drive.do(Escalate(user="eve", via="web"))
    assert drive.who[-1] == (90, "bob") and drive.incident.state == "triggered"
