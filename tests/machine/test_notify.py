"""Whom a step pages, and why."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from amproxy.config.structs import Absence, IfNobody, Notify, NotifyStep, Team, User, Wait
from tests.support.machine import reached
from tests.support.machine.incidents import Drive, people


def absent(*names: str) -> dict[str, Any]:
    """Those are absent on the day."""
    away = Absence(start=datetime(2026, 1, 5), end=datetime(2026, 1, 6))
    users = {
        name: User(name=name, contacts={"telegram": "1"}, absences=(away,) if name in names else ())
        for name in people()["users"]
    }
    return {"users": users}


def test_a_schedule_stands_for_who_is_on_call_or_comes_next() -> None:
    on_call, comes = NotifyStep(schedule="weekly"), NotifyStep(schedule="weekly", position="next")
    drive = Drive(on_call, Wait(seconds=60), comes)
    drive.until(60)
    assert drive.who == [(0, "eve"), (60, "bob")]
    assert drive.said("on call for weekly: layer turns")
    assert drive.said("next after weekly: layer turns")


def test_the_next_position_is_whoever_is_on_call_where_others_were_paged_so_far() -> None:
    comes = NotifyStep(schedule="weekly", position="next")
    drive = Drive(NotifyStep(users=("ann",)), Wait(seconds=60), comes, Wait(seconds=60), comes)
    drive.until(200)
    assert drive.who == [(0, "ann"), (60, "eve"), (120, "bob")]


def test_the_turn_of_a_round_robin_passes_over_who_was_paged() -> None:
    drive = Drive(
        NotifyStep(users=("ann",)),
        Wait(seconds=60),
        NotifyStep(team="ops", pick="round_robin"),
        Wait(seconds=60),
        NotifyStep(team="ops", pick="round_robin"),
    )
    drive.until(200)
    assert [who for _, who in drive.who] == ["ann", "bob", "eve"]


def test_people_on_call_are_looked_up_when_the_step_runs() -> None:
    drive = Drive(Wait(seconds=7 * 86400), NotifyStep(schedule="weekly"))
    drive.until(8 * 86400)
    assert drive.who == [(7 * 86400, "bob")]


def test_a_team_is_paged_without_those_who_are_absent_and_the_timeline_names_them() -> None:
    drive = Drive(NotifyStep(team="ops"), config=absent("bob"))
    assert drive.who == [(0, "ann"), (0, "eve")]
    assert drive.said("member of team ops; bob is absent")


def test_people_who_are_named_are_paged_wherever_they_are() -> None:
    assert Drive(NotifyStep(users=("bob",)), config=absent("bob")).who == [(0, "bob")]


def test_who_left_the_file_is_passed_over_and_named() -> None:
    drive = Drive(NotifyStep(users=("ann", "zed")))
    assert drive.who == [(0, "ann")]
    assert drive.said("zed is not in the file any more")


@pytest.mark.parametrize(
    ("step", "why"),
    [
        (NotifyStep(team="ops"), "ann is absent, bob is absent, eve is absent"),
        (NotifyStep(users=("ann", "bob"), pick="round_robin"), "ann is absent, bob is absent"),
        (NotifyStep(team="none"), "it has no members"),
        (NotifyStep(schedule="empty"), "nobody"),
    ],
)
def test_a_step_that_finds_nobody_says_why_and_goes_on(step: NotifyStep, why: str) -> None:
    drive = Drive(
        step,
        NotifyStep(users=("pro",)),
        config=absent("ann", "bob", "eve")
        | {"teams": people()["teams"] | {"none": Team(name="none")}},
    )
    assert drive.who == [(0, "pro")]
    assert drive.said(why)


def test_each_step_may_say_for_itself_what_happens_when_there_is_nobody() -> None:
    drive = Drive(
        NotifyStep(schedule="empty", if_nobody=IfNobody(kind="user", user="bob")),
        NotifyStep(schedule="empty"),
        if_nobody=IfNobody(kind="user", user="eve"),
    )
    assert drive.who == [(0, "bob"), (0, "eve")]


def test_waiting_for_the_next_shift_pages_whoever_comes_then() -> None:
    drive = Drive(
        NotifyStep(schedule="day"),
        Wait(seconds=600),
        NotifyStep(users=("eve",)),
        if_nobody=IfNobody(kind="wait_for_shift"),
    )
    drive.until(86400)
    assert drive.who == [(3 * 3600, "bob"), (3 * 3600 + 600, "eve")]


# ------------------------------------------------------------------------------------------------------- in turn


def in_turn(step: NotifyStep, times: int, turns: dict[str, int], **config: Any) -> list[str]:
    return [who for _ in range(times) for _, who in Drive(step, turns=turns, config=config).who]


def test_turns_follow_the_order_of_the_list_from_one_incident_to_the_next() -> None:
    step = NotifyStep(users=("eve", "ann", "bob"), pick="round_robin")
    assert in_turn(step, 5, {}) == ["eve", "ann", "bob", "eve", "ann"]
    assert in_turn(NotifyStep(team="ops", pick="round_robin"), 4, {}) == [
        "ann",
        "bob",
        "eve",
        "ann",
    ]


def test_an_absent_persons_turn_passes_to_the_next_without_moving_the_order() -> None:
    step, turns = NotifyStep(users=("ann", "bob", "eve"), pick="round_robin"), dict[str, int]()
    assert in_turn(step, 1, turns) == ["ann"]
    assert in_turn(step, 2, turns, **absent("bob")) == ["eve", "ann"]
    assert in_turn(step, 2, turns) == ["bob", "eve"]


def test_a_turn_never_falls_to_somebody_who_left_the_file() -> None:
    assert in_turn(NotifyStep(users=("zed", "ann", "bob"), pick="round_robin"), 3, {}) == [
        "ann",
        "bob",
        "ann",
    ]


def test_two_steps_of_a_policy_take_turns_of_their_own() -> None:
    step = NotifyStep(users=("ann", "bob"), pick="round_robin")
    assert Drive(
        step, Wait(seconds=60), NotifyStep(users=("bob", "eve"), pick="round_robin")
    ).who == [(0, "ann")]
    drive = Drive(step, NotifyStep(users=("bob", "eve"), pick="round_robin"))
    assert drive.who == [(0, "ann"), (0, "bob")]


# -------------------------------------------------------------------------------------- the same person, twice


def test_two_steps_of_one_moment_page_a_person_once() -> None:
    drive = Drive(NotifyStep(users=("eve",)), NotifyStep(schedule="weekly"))
    assert drive.who == [(0, "eve")]
    assert drive.said("eve is being paged already; the rules go on where they are")


def test_a_later_step_pages_a_person_again_whose_rules_are_over() -> None:
    drive = Drive(NotifyStep(users=("bob",)), Wait(seconds=60), NotifyStep(users=("bob",)))
    drive.until(600)
    assert drive.who == [(0, "bob"), (60, "bob")]


def test_an_important_page_begins_the_important_rules_where_the_person_has_others_for_it() -> None:
    drive = Drive(
        NotifyStep(users=("pro",)),
        Wait(seconds=60),
        NotifyStep(users=("pro",), urgency="important"),
    )
    drive.until(3600)
    assert drive.pages == [(0, "pro", "email"), (60, "pro", "telegram"), (60, "pro", "email")]
    assert drive.said("the rules for important pages begin")


def test_an_ordinary_page_does_not_restart_important_rules() -> None:
    drive = Drive(NotifyStep(users=("pro",), urgency="important"), NotifyStep(users=("pro",)))
    assert drive.pages == [(0, "pro", "telegram"), (0, "pro", "email")]


def test_an_important_incident_makes_every_step_important() -> None:
    assert Drive(NotifyStep(users=("pro",)), incident={"urgency": "important"}).pages == [
        (0, "pro", "telegram"),
        (0, "pro", "email"),
    ]


# -------------------------------------------------------------------------------------------------------- contacts


def test_a_rule_without_a_contact_is_not_waited_for() -> None:
    rules = (Notify(channels=("sms",)), Wait(seconds=600), Notify(channels=("telegram",)))
    odd = User(name="odd", contacts={"telegram": "9"}, notification_rules={"default": rules})
    drive = Drive(NotifyStep(users=("odd",)), config={"users": {"odd": odd}})
    assert drive.pages == [(0, "odd", "telegram")]
    assert drive.said("odd has no sms contact")


def test_the_next_position_goes_to_somebody_new_while_there_is_one() -> None:
    tally = reached.run(40)
    assert {"on call", "comes", "again"} <= tally.keys()
