"""Incidents that end and come back: by their alerts, by hand, too often, and for want of news."""

from __future__ import annotations

from typing import Any

import pytest

from amproxy.config.structs import Flapping, NotifyStep, Policy, Wait
from amproxy.errors import Conflict
from amproxy.machine.events import (
    Acknowledge,
    AlertsChanged,
    Escalate,
    Note,
    Reopen,
    Resolve,
    Snooze,
    TimerTick,
)
from amproxy.machine.transition import next_due
from tests.support.machine.incidents import START, Drive

EVE, BOB = NotifyStep(users=("eve",)), NotifyStep(users=("bob",))
FLAPPING: dict[str, Any] = {
    "reopen_within": 600.0,
    "flapping": Flapping(more_than=2, within=3600, hold=300),
}


def test_alerts_that_return_open_it_again_from_the_first_step() -> None:
    drive = Drive(EVE, Wait(seconds=60), BOB, reopen_within=600.0)
    drive.until(100)
    drive.alerts(0)
    drive.until(200)
    drive.come_back(2)
    assert (
        drive.incident.state,
        drive.incident.firing,
        drive.incident.resolved,
        drive.incident.resolved_by,
    ) == ("triggered", 2, 0, "")
    assert drive.said("Its alerts fire again after 1 min 40 s")
    drive.until(300)
    assert drive.who == [(0, "eve"), (60, "bob"), (200, "eve"), (260, "bob")]


def test_it_comes_back_with_the_policy_as_the_file_has_it_then() -> None:
    drive = Drive(EVE)
    drive.alerts(0)
    drive.roster.config.policies["main"] = Policy(name="main", steps=(BOB,), team="ops")
    drive.until(100)
    drive.come_back()
    assert drive.who == [(0, "eve"), (100, "bob")] and drive.incident.team == "ops"
    drive.alerts(0)
    del drive.roster.config.policies["main"]
    drive.until(200)
    drive.come_back()
    assert drive.who[-1] == (200, "bob")


def test_what_is_opened_again_is_quiet_no_longer() -> None:
    drive = Drive(EVE)
    drive.do(Resolve(user="eve", via="web", quiet_until=5000.0))
    assert drive.incident.quiet_until == 5000.0
    drive.do(Reopen(user="eve", via="web"))
    assert drive.incident.quiet_until is None
    drive.alerts(0)
    assert drive.incident.state == "resolved" and drive.incident.quiet_until is None


def test_buttons_of_before_the_end_are_old() -> None:
    drive = Drive(EVE)
    drive.alerts(0)
    drive.until(100)
    drive.come_back()
    with pytest.raises(Conflict, match="earlier alarm"):
        drive.do(Resolve(user="eve", via="telegram", epoch=1))


# --------------------------------------------------------------------------------------------------------- flapping


def flap(drive: Drive, *moments: float) -> None:
    for at in moments:
        drive.until(at - 10)
        drive.alerts(0)
        drive.until(at)
        drive.come_back()


def test_one_that_comes_back_too_often_pages_nobody_unless_it_goes_on_firing() -> None:
    drive = Drive(EVE, **FLAPPING)
    flap(drive, 100, 200, 300)
    assert drive.who == [(0, "eve"), (100, "eve"), (200, "eve")]
    assert drive.said(
        "Flapping: it came back 3 times in 1 h. Nobody is paged unless it fires for 5 min"
    )
    drive.until(599)
    assert len(drive.who) == 3
    drive.until(600)
    assert drive.who[3:] == [(600, "eve")]


def test_one_that_ends_while_it_is_held_back_wakes_nobody() -> None:
    drive = Drive(EVE, **FLAPPING)
    flap(drive, 100, 200, 300, 500, 700)
    drive.until(800)
    drive.alerts(0)
    drive.until(7200)
    assert len(drive.who) == 3


def test_more_alerts_do_not_cut_the_time_short_but_a_person_can() -> None:
    drive = Drive(EVE, **FLAPPING)
    flap(drive, 100, 200, 300)
    drive.until(350)
    drive.alerts(3, fresh=2)
    assert len(drive.who) == 3
    drive.do(Escalate(user="bob", via="web"))
    assert drive.who[3:] == [(350, "eve")]


def test_returns_of_long_ago_do_not_count() -> None:
    drive = Drive(EVE, **FLAPPING)
    flap(drive, 100, 2000, 4000, 6000)
    assert len(drive.who) == 5


# ---------------------------------------------------------------------------------------------------------- by hand


def test_a_person_may_open_it_again() -> None:
    drive = Drive(EVE)
    drive.do(Resolve(user="eve", via="web"))
    drive.until(100)
    drive.do(Reopen(user="bob", via="web"))
    assert drive.who == [(0, "eve"), (100, "eve")] and drive.said("Opened again by bob (via web)")


def test_what_is_not_over_cannot_be_opened_again_and_an_old_button_does_not_do_it() -> None:
    drive = Drive(EVE)
    with pytest.raises(Conflict, match="is not resolved; it is triggered"):
        drive.do(Reopen(user="bob", via="web"))
    drive.do(Resolve(user="eve", via="web"))
    drive.do(Reopen(user="bob", via="web", epoch=1))
    drive.do(Resolve(user="eve", via="web"))
    with pytest.raises(Conflict, match="earlier alarm"):
        drive.do(Reopen(user="bob", via="web", epoch=1))


def test_who_comes_too_late_is_told_what_ended_it() -> None:
    drive = Drive(EVE)
    drive.alerts(0)
    with pytest.raises(Conflict, match="#7 is already resolved: its alerts are resolved"):
        drive.do(Acknowledge(user="eve", via="web"))


def test_counts_of_one_that_is_over_still_follow_its_alerts() -> None:
    drive = Drive(EVE, incident={"firing": 2})
    drive.do(Resolve(user="eve", via="web"))
    said = len(drive.told)
    drive.alerts(0)
    assert (drive.incident.state, drive.incident.resolved_by, drive.incident.firing) == (
        "resolved",
        "eve",
        0,
    )
    assert len(drive.told) == said


# ----------------------------------------------------------------------------------------------------------- silent


def test_one_of_which_nothing_is_heard_ends() -> None:
    drive = Drive(EVE, auto_resolve=3600.0)
    drive.until(3600)
    assert (drive.incident.state, drive.incident.resolved_by) == ("resolved", "silent")
    assert drive.said("there was no news of it for 1 h")
    with pytest.raises(Conflict, match="no news of it for long"):
        drive.do(Acknowledge(user="eve", via="web"))


@pytest.mark.parametrize(
    "news",
    [
        AlertsChanged(reason="new alerts added", firing=2, resolved=0, fresh=1),
        Acknowledge(user="eve", via="web"),
        Note(user="eve", via="web", text="looking"),
        TimerTick(pushed_at=START + 1000),
    ],
)
def test_every_news_counts_from_then_on(news: Any) -> None:
    drive = Drive(EVE, auto_resolve=3600.0)
    drive.until(1000)
    drive.do(news)
    drive.until(4599)
    assert drive.incident.state != "resolved"
    drive.until(4600)
    assert drive.incident.state == "resolved"


def test_telling_again_what_was_told_before_is_no_news() -> None:
    drive = Drive(EVE, auto_resolve=3600.0)
    drive.until(1000)
    drive.do(AlertsChanged(reason="repeat interval elapsed", firing=1, resolved=0))
    drive.until(3600)
    assert drive.incident.resolved_by == "silent"


def test_a_snooze_is_waited_for_and_then_there_is_the_whole_time() -> None:
    drive = Drive(EVE, auto_resolve=3600.0)
    drive.do(Snooze(user="eve", via="web", until=START + 7200))
    drive.until(7200)
    assert drive.incident.state == "triggered"
    drive.until(7200 + 3600)
    assert drive.incident.state == "resolved" and next_due(drive.incident) is None
