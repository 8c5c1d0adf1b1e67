"""What `amproxy simulate` says: every page of an alert that keeps firing, under a virtual clock."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from msgspec.structs import replace

from amproxy.config.structs import (
    Config,
    ForwardStep,
    IfNobody,
    NotifyStep,
    Policy,
    ResolveStep,
    Schedule,
    SignIn,
    Wait,
    WaitForAlertsStep,
)
from amproxy.errors import NotFound
from amproxy.oncall.roster import Roster
from amproxy.simulation import group
from amproxy.simulation.reports import simulate_text
from amproxy.simulation.simulate import (
    SimulatedAlertRequest,
    Simulation,
    SimulationRequest,
    simulate,
)
from amproxy.text import Phrase
from amproxy.text.render import in_english
from tests.support.simulation.files import (
    ALICE,
    BOB,
    CAROL,
    MONDAY,
    POLICY,
    ROOT,
    chat,
    config,
    oncall,
    route,
    upgrade,
)

DOWN = {"alertname": "Down", "team": "a"}
QUIET = replace(ROOT, group_wait=0.0)
Answers = list[tuple[str, float]]


def pages(
    found: Config,
    answers: Answers | None = None,
    *,
    duration: float | None = None,
    at: datetime = MONDAY,
    **more: Any,
) -> list[tuple[Any, ...]]:
    """(seconds after `at`, who or where, channel, step) of each page."""
    answer = simulate(
        SimulationRequest(labels=DOWN, at=at, duration=duration, answers=answers or [], **more),
        Roster(found),
    )
    assert answer["receivers"] and answer["groups"]
    return [
        (
            (datetime.fromisoformat(page["at"]) - at).total_seconds(),
            page["user"],
            page["channel"],
            page["step"],
        )
        for page in answer["pages"]
    ]


def told(
    found: Config,
    answers: Answers | None = None,
    *,
    duration: float | None = None,
    at: datetime = MONDAY,
    **more: Any,
) -> str:
    text = simulate_text(
        SimulationRequest(labels=DOWN, at=at, duration=duration, answers=answers or [], **more),
        Roster(found),
    )
    assert all(len(line) <= 80 for line in text.splitlines())
    return " ".join(text.split())


def test_the_group_waits_and_then_the_policy_runs_to_its_end() -> None:
    assert pages(config()) == [
        (30.0, "alice", "telegram", 1),
        (330.0, "alice", "email", 1),
        (630.0, "bob", "telegram", 3),
        (630.0, "", "slack", 4),
        (930.0, "bob", "email", 3),
    ]


def test_a_viewer_may_answer_once_paged() -> None:
    """As a button in a chat refuses it: a viewer acts on what they were paged for, no more."""
    users = {"alice": ALICE, "bob": replace(BOB, role="viewer"), "carol": CAROL}
    found = replace(config(), users=users, sign_in=SignIn(passwords=True))
    assert pages(found, [("bob", 100.0)]) == pages(found)
    assert (
        "Bob Birch may not answer: this needs the role responder, and Bob Birch has the role viewer"
        in told(found, [("bob", 100.0)])
    )
    assert pages(found, [("bob", 700.0)]) == pages(found)[:4]


def test_the_document_has_the_shape_of_explain() -> None:
    found = config()
    answer = simulate(SimulationRequest(labels=DOWN, at=MONDAY), Roster(found))
    assert answer["groups"] == [
        {
            "receiver": "people",
            "group_labels": {"alertname": "Down"},
            "group_key": '{}/{}:{alertname="Down"}',
            "muted_by": [],
        }
    ]
    assert answer["pages"][0] == {
        "at": "2026-01-05T09:00:30.000Z",
        "user": "alice",
        "channel": "telegram",
        "policy": "main",
        "step": 1,
        "reason": "on call for main: layer weekly",
    }


def test_no_page_comes_after_the_answer_not_even_at_the_same_moment() -> None:
    found = config(root=QUIET)
    assert pages(found, [("alice", 299.0)]) == [(0.0, "alice", "telegram", 1)]
    assert pages(found, [("bob", 300.0)]) == [(0.0, "alice", "telegram", 1)]
    assert pages(found, [("bob", 301.0)]) == [
        (0.0, "alice", "telegram", 1),
        (300.0, "alice", "email", 1),
    ]


def test_an_answer_before_there_is_an_incident_changes_nothing() -> None:
    assert pages(config(), [("alice", 10.0)]) == pages(config())
    assert "+10s Alice Ash has nothing to answer yet" in told(config(), [("alice", 10.0)])


def test_an_acknowledgement_that_runs_out_pages_from_the_first_step_again() -> None:
    found = config(root=QUIET, policies=(replace(POLICY, acknowledge_timeout=3600.0),))
    answered = pages(found, [("alice", 60.0)], duration=3900.0)
    assert answered == [(0.0, "alice", "telegram", 1), (3660.0, "alice", "telegram", 1)]
    again = pages(found, [("bob", 3700.0), ("alice", 60.0)], duration=7259.0)
    assert again == answered


def test_the_look_ahead_ends_with_the_duration() -> None:
    assert pages(config(), duration=29.0) == []
    assert len(pages(config(), duration=330.0)) == 2
    assert "the look ahead stops after 5m30s; the policy goes on at Mon 2026-01-05 09:10" in told(
        config(), duration=330.0
    )


def test_rounds_are_paged_as_often_as_the_policy_says() -> None:
    policy = Policy(name="main", repeat=1, steps=(NotifyStep(users=("carol",)), Wait(seconds=60.0)))
    assert [page[0] for page in pages(config(root=QUIET, policies=(policy,)))] == [0.0, 60.0]
    assert "round 2" in told(config(policies=(policy,)))


def test_a_muted_group_opens_at_its_first_flush_after_the_mute() -> None:
    found = config(route("people", mute_time_intervals=("nights",)))
    late = MONDAY.replace(hour=21, minute=59, second=50)  # not muted yet, but when its wait is over
    first = pages(found, at=late)[0]
    assert first == (9 * 3600.0 + 30.0, "alice", "telegram", 1)
    assert "The group is muted by nights: no incident is opened" in told(found, at=late)


def test_a_flush_that_finds_a_short_window_closed_again_waits_for_the_next() -> None:
    slow = replace(ROOT, group_wait=0.0, group_interval=5 * 3600.0)
    found = config(route("people", under=slow, active_time_intervals=("office",)), root=slow)
    # flushes at 05:00, 10:00
    assert pages(found, at=MONDAY.replace(hour=5))[0][0] == 5 * 3600.0


def test_a_group_that_stays_muted_pages_nobody_and_says_so() -> None:
    found = config(route("people", active_time_intervals=("office",)))
    saturday = MONDAY.replace(day=10)
    assert pages(found, at=saturday) == []
    assert "the group is still muted after 1d00h00m00s, and nobody is paged" in told(
        found, at=saturday
    )
    assert pages(found, at=saturday, duration=3 * 86400.0)[0][0] == 2 * 86400.0 + 30.0


def test_each_oncall_receiver_has_its_own_incident_and_plain_ones_page_nobody() -> None:
    found = config(
        route("people", continue_=True),
        route("chat", continue_=True),
        route("second"),
        receivers=(oncall("second", "direct", title="{{ group_labels.alertname }} again"),),
        policies=(POLICY, Policy(name="direct", steps=(NotifyStep(users=("carol",)),))),
    )
    assert [page[1] for page in pages(found, duration=60.0)] == ["alice", "carol"]
    text = told(found, [("carol", 100.0)])
    assert "Receivers people, chat, second" in text
    assert "Down again receiver second, policy direct" in text
    assert text.count("Acknowledged by carol") == 2


def test_incidents_that_run_together_take_turns_of_the_team() -> None:
    turn = Policy(name="main", steps=(NotifyStep(team="all", pick="round_robin"),))
    found = config(route("people"), receivers=(oncall("people", "main", "main"),), policies=(turn,))
    assert [page[1] for page in pages(found, duration=60.0)] == ["alice", "bob"]
    assert "Round robin is taken to begin with the first" in told(found)


def test_nobody_on_call_does_what_the_policy_says() -> None:
    empty = Schedule(name="main")
    fallback = Policy(
        name="main",
        if_nobody=IfNobody(kind="user", user="carol"),
        steps=(NotifyStep(schedule="main"),),
    )
    assert pages(config(schedules=(empty,), policies=(fallback,)))[0] == (
        30.0,
        "carol",
        "telegram",
        1,
    )
    silent = replace(fallback, if_nobody=IfNobody())
    assert pages(config(schedules=(empty,), policies=(silent,))) == []
    text = told(config(schedules=(empty,), policies=(silent,)))
    assert "schedule main has nobody" in text and "nobody is paged at all" in text


def test_a_chat_that_cannot_be_told_is_no_page_but_is_named() -> None:
    policy = Policy(name="main", steps=(NotifyStep(receiver="phones"),))
    reason = Phrase("undeliverable.no_slack_channel")
    found = config(
        receivers=(chat("phones", "slack", undeliverable=reason),),
        policies=(policy,),
    )
    assert pages(found) == []
    assert in_english(reason) in told(found)


def test_the_timeline_tells_the_end_plainly() -> None:
    assert told(config()).endswith("At the end: nobody has answered, and nobody else is paged.")
    assert told(config(), [("bob", 700.0)]).endswith(
        "At the end: acknowledged by Bob Birch; nothing more is due."
    )
    text = told(config())
    assert (
        "09:10:30 +10m30s Bob Birch over telegram (step 3: next after main: layer weekly)" in text
    )


def test_a_handoff_within_the_simulation_is_seen() -> None:
    policy = Policy(
        name="main",
        steps=(NotifyStep(schedule="main"), Wait(seconds=600.0), NotifyStep(schedule="main")),
    )
    before = MONDAY.replace(day=12, hour=8, minute=55)
    assert [
        page[1]
        for page in pages(config(root=QUIET, policies=(policy,)), at=before)
        if page[2] == "telegram"
    ] == ["alice", "bob"]


def test_an_answer_of_somebody_unknown_is_refused_with_the_name_that_was_meant() -> None:
    with pytest.raises(NotFound, match="did you mean 'alice'"):
        pages(config(users=(ALICE, BOB, CAROL)), [("alicia", 60.0)])


def test_nobody_is_paged_once_the_groups_next_look_finds_the_alert_over() -> None:
    # looked at after 30 s, 330 s and 630 s
    assert [page[0] for page in pages(config(), resolve_after=331.0)] == [30.0, 330.0]
    assert [page[0] for page in pages(config(), resolve_after=330.0)] == [30.0]
    text = told(config(), resolve_after=331.0)
    assert "+5m31s the alert ends" in text and "+10m30s Resolved: its alerts are resolved" in text
    assert text.endswith("At the end: the incident is resolved.")


def test_an_alert_that_is_over_before_its_group_was_told_pages_nobody() -> None:
    assert pages(config(), resolve_after=29.0) == []
    assert "the alert was over before its group was told" in told(config(), resolve_after=29.0)


def test_an_alert_that_fires_on_after_its_incident_was_resolved_opens_another_when_the_group_is_told_again() -> (
    None
):
    policy = Policy(
        name="main", steps=(NotifyStep(users=("carol",)), Wait(seconds=600.0), ResolveStep())
    )
    hourly = replace(QUIET, repeat_interval=3600.0)
    assert [
        page[0] for page in pages(config(root=hourly, policies=(policy,)), duration=8000.0)
    ] == [0.0, 3600.0, 7200.0]
    assert "Opened (repeat interval elapsed)" in told(
        config(root=hourly, policies=(policy,)), duration=8000.0
    )
    again = replace(policy, reopen_within=86400.0)
    assert "Its alerts fire again after 50 min" in told(
        config(root=hourly, policies=(again,)), duration=8000.0
    )


def test_a_policy_hands_over_and_stands_still_at_a_gate() -> None:
    first = Policy(name="main", steps=(NotifyStep(users=("carol",)), ForwardStep(policy="many")))
    many = Policy(
        name="many",
        steps=(WaitForAlertsStep(more_than=5, within=600.0), NotifyStep(users=("bob",))),
    )
    found = config(root=QUIET, policies=(first, many))
    assert [page[1] for page in pages(found)] == ["carol"]
    assert told(found).endswith(
        "At the end: the policy stands still: it waits for more than 5 alerts within 10 min."
    )


def test_what_still_fires_at_the_end_of_a_maintenance_window_is_told_then() -> None:
    found = config(root=QUIET, maintenance=upgrade("2026-01-05T08:00", "2026-01-05T09:47"))
    assert pages(found)[0] == (47 * 60.0, "alice", "telegram", 1)
    assert "The group is in maintenance upgrade: no incident is opened" in told(found)
    answer = simulate(SimulationRequest(labels=DOWN, at=MONDAY), Roster(found))
    assert answer["groups"][0]["muted_by"] == ["upgrade"]


def test_a_maintenance_window_that_opens_holds_a_running_policy_until_its_end() -> None:
    found = config(root=QUIET, maintenance=upgrade("2026-01-05T09:04", "2026-01-05T09:30"))
    assert [page[0] for page in pages(found)][:2] == [0.0, 1800.0]
    assert "Nobody is paged for now: maintenance upgrade" in told(found)


def test_a_page_waits_for_the_end_of_quiet_hours() -> None:
    asleep = replace(ALICE, quiet_hours=("nights",))
    night = MONDAY.replace(day=6, hour=3)
    assert pages(config(root=QUIET, users=(asleep, BOB, CAROL)), at=night, duration=86400.0)[0][
        :2
    ] == (600.0, "bob")
    important = Policy(name="main", steps=(NotifyStep(schedule="main", urgency="important"),))
    assert pages(config(root=QUIET, users=(asleep, BOB, CAROL), policies=(important,)), at=night)[
        0
    ][:2] == (0.0, "alice")


def test_what_happens_at_one_moment_has_its_time_once_and_people_who_are_paged_alike_one_line() -> (
    None
):
    policy = Policy(
        name="main", steps=(NotifyStep(users=("bob", "carol")), NotifyStep(receiver="chat"))
    )
    found = config(
        root=QUIET,
        policies=(policy,),
        users=(ALICE, replace(BOB, contacts={"telegram": "2"}), CAROL),
    )
    text = simulate_text(SimulationRequest(labels=DOWN, at=MONDAY), Roster(found))
    assert text.count("09:00:00") == 1
    assert "Bob Birch, carol over telegram (step 1: named by the policy)" in " ".join(text.split())


@pytest.mark.parametrize("muted", [False, True])
def test_a_tiny_group_interval_costs_no_flush_at_every_tick(
    muted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushes: list[float] = []
    decide = group.decide_flush

    def counted(*given: Any) -> Any:
        flushes.append(given[5])
        return decide(*given)

    monkeypatch.setattr(group, "decide_flush", counted)
    tiny = replace(ROOT, group_wait=0.0, group_interval=0.1)
    mutes = ("nights",) if muted else ()
    found = config(route("people", under=tiny, mute_time_intervals=mutes), root=tiny)
    assert pages(found, duration=7200.0)[0] == (0.0, "alice", "telegram", 1)
    assert len(flushes) < (1000 if muted else 20)  # of 72,000 ticks


def test_ticks_that_are_left_out_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    often = replace(ROOT, group_wait=0.5, group_interval=0.7, repeat_interval=90.0)
    found = config(route("people", under=often), root=often)
    request = SimulationRequest(
        labels=DOWN,
        at=MONDAY,
        duration=1200.0,
        resolve_after=400.3,
        others=(
            SimulatedAlertRequest(labels={**DOWN, "host": "a"}, start=100.2, end=300.4),
            SimulatedAlertRequest(labels={**DOWN, "host": "b"}, start=700.1, end=705.9),
        ),
    )

    def timelines() -> list[tuple[float, str]]:
        simulation = Simulation(request, Roster(found))
        return [
            (round(one.entry.at - simulation.start, 3), one.entry.kind)
            for simulated in simulation.groups
            for one in simulated.entries
        ]

    told = timelines()
    monkeypatch.setattr(group, "LONGEST_STEP", 0.0)
    assert told == timelines()
    assert len(told) > 8
