"""What another file changes for people: whose shifts, how many hours, and whom alerts page."""

from __future__ import annotations

from datetime import timedelta

from msgspec.structs import replace

from amproxy.config.structs import FilePlace, NotifyStep, Override, Wait
from amproxy.simulation.config_diff import compare_configs
from amproxy.store.schedule_changes import ManualScheduleChanges
from tests.support.simulation.files import MONDAY, POLICY, WEEKLY, config

NOBODY_BY_HAND = ManualScheduleChanges()
WEEK = timedelta(days=7)


def test_a_file_that_says_the_same_changes_nothing_even_where_its_lines_move() -> None:
    moved = replace(
        POLICY,
        place=FilePlace(line=9),
        steps=tuple(replace(step, place=FilePlace(line=10)) for step in POLICY.steps),
    )
    assert compare_configs(config(), config(policies=(moved,)), NOBODY_BY_HAND, MONDAY, 28) == (
        [],
        {},
        [],
    )


def test_another_order_of_turns_is_told_as_stretches_and_hours() -> None:
    [layer] = WEEKLY.layers
    turned = replace(WEEKLY, layers=(replace(layer, users=(("alice",), ("carol",), ("bob",))),))
    found = compare_configs(config(), config(schedules=(turned,)), NOBODY_BY_HAND, MONDAY, 14)
    assert [(one.start, one.end, one.before, one.after) for one in found.shifts] == [
        (MONDAY + WEEK, MONDAY + 2 * WEEK, ("bob",), ("carol",))
    ]
    assert found.hours == {"bob": (168.0, 0.0), "carol": (0.0, 168.0)}


def test_a_schedule_that_goes_leaves_nobody_and_one_that_comes_begins_with_nobody() -> None:
    for old, new, before, after in (
        (config(), config(schedules=()), ("alice",), ()),
        (config(schedules=()), config(), (), ("alice",)),
    ):
        [change] = compare_configs(old, new, NOBODY_BY_HAND, MONDAY, 7).shifts
        assert (change.before, change.after, change.end - change.start) == (before, after, WEEK)


def test_what_people_have_set_by_hand_counts_on_both_sides() -> None:
    [layer] = WEEKLY.layers
    turned = replace(WEEKLY, layers=(replace(layer, users=(("bob",),)),))
    by_hand = ManualScheduleChanges(
        overrides={
            "main": [
                Override(users=("carol",), start=MONDAY, end=MONDAY + timedelta(days=6), id="x")
            ]
        }
    )
    [change] = compare_configs(config(), config(schedules=(turned,)), by_hand, MONDAY, 7).shifts
    assert (change.start, change.end) == (MONDAY + timedelta(days=6), MONDAY + WEEK)


def test_a_policy_that_changes_is_tried_out_on_the_alerts_it_was_for() -> None:
    quick = replace(
        POLICY, steps=(NotifyStep(schedule="main"), Wait(seconds=60.0), NotifyStep(users=("bob",)))
    )
    found = compare_configs(
        config(),
        config(policies=(quick,)),
        NOBODY_BY_HAND,
        MONDAY,
        7,
        {"main": [{"alertname": "Down"}]},
    )
    [change] = found.policies
    assert change.name == "main" and change.before == POLICY and change.after == quick
    [example] = change.examples
    assert example.labels == {"alertname": "Down"}
    before, after = (
        [(seconds, page.user) for seconds, page in pages]
        for pages in (example.before, example.after)
    )
    assert (
        before[0] == after[0] == (30.0, "alice")
        and (630.0, "bob") in before
        and (90.0, "bob") in after
    )
