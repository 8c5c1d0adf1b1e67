"""Why somebody was not paged."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tests.support.properties  # noqa: F401  # the settings of property tests
from amproxy.config.structs import (
    Config,
    ForwardStep,
    IfNobody,
    Layer,
    NotifyStep,
    Policy,
    ResolveStep,
    Schedule,
    Step,
    Team,
    User,
    Wait,
    WaitForAlertsStep,
    WaitUntilStep,
)
from amproxy.labels.intervals import parse_time_interval
from amproxy.machine.events import (
    Absorb,
    Acknowledge,
    AlertsChanged,
    Escalate,
    Resolve,
    Snooze,
    Unacknowledge,
)
from amproxy.model import Incident, Page, TimelineEntry
from amproxy.oncall.roster import Roster
from tests.support.reports.looked_back import CONFIG, START, Story

NIGHTS = parse_time_interval("nights", [{"times": [{"start_time": "22:00", "end_time": "24:00"}]}])


def acknowledged(story: Story, at: float, user: str = "bob") -> Story:
    story.until(at)
    story.do(Acknowledge(user=user, via="telegram"))
    return story


def was_paged() -> Story:
    story = Story(NotifyStep(users=("ann",)))
    story.arrive()
    story.until(300)
    story.fail("mailbox full")
    return story


def schedule_asked_bob() -> Story:
    return acknowledged(Story(NotifyStep(schedule="weekly")), 60)


def answered_before_her_step() -> Story:
    return acknowledged(
        Story(NotifyStep(schedule="weekly"), Wait(seconds=300), NotifyStep(users=("ann",))), 60
    )


def resolved_by_its_alerts() -> Story:
    story = Story(Wait(seconds=300), NotifyStep(users=("ann",)))
    story.until(30)
    story.do(AlertsChanged(reason="all alerts resolved", firing=0, resolved=1))
    return story


def snoozed() -> Story:
    story = Story(Wait(seconds=300), NotifyStep(users=("ann",)))
    story.until(30)
    story.do(Snooze(user="bob", via="web", until=START + 7200))
    return story


def still_ahead() -> Story:
    story = Story(Wait(seconds=300), NotifyStep(schedule="weekly", position="next"))
    story.until(30)
    return story


def not_matched() -> Story:
    return Story(
        NotifyStep(users=("ann",), matchers=('severity="critical"',)),
        labels={"severity": "warning"},
    )


def outside_interval() -> Story:
    return Story(
        NotifyStep(users=("ann",), active_time_intervals=("nights",)),
        config={"time_intervals": {"nights": NIGHTS}},
    )


def round_robin() -> Story:
    return Story(NotifyStep(team="ops", pick="round_robin"))


def rules_wait() -> Story:
    story = Story(NotifyStep(users=("slow",)))
    story.until(60)
    return story


def answered_while_rules_waited() -> Story:
    return acknowledged(Story(NotifyStep(users=("slow",))), 60)


def contact_failed() -> Story:
    story = Story(NotifyStep(users=("bob",)))
    story.fail("the bot was blocked")
    return story


def page_skipped() -> Story:
    story = acknowledged(Story(NotifyStep(users=("ann", "bob"))), 1)
    story.skip()
    return story


def over() -> Story:
    story = Story(NotifyStep(users=("bob",)), NotifyStep(receiver="chat"))
    story.until(60)
    return story


def only_skipped() -> Story:
    story = Story(NotifyStep(users=("ann",), matchers=('a="b"',)))
    story.until(60)
    return story


def nobody_on_call() -> Story:
    return Story(NotifyStep(schedule="empty"), if_nobody=IfNobody(kind="user", user="eve"))


def withdrawn_and_answered_again() -> Story:
    story = acknowledged(Story(Wait(seconds=300), NotifyStep(users=("ann",))), 60)
    story.until(1000)
    story.do(Unacknowledge(user="bob", via="web"))
    return acknowledged(story, 1100, user="eve")


def waits_for_more_alerts() -> Story:
    return acknowledged(
        Story(
            WaitUntilStep(interval="gone"),
            NotifyStep(users=("bob",)),
            Wait(seconds=60),
            NotifyStep(users=("ann",)),
        ),
        30,
    )


CASES: list[tuple[Callable[[], Story], str, list[str]]] = [
    (
        was_paged,
        "ann",
        [
            "Paged over telegram at 2026-01-06 11:00 CET (step 1: named by the policy): delivered.",
            "The page over email of 2026-01-06 11:05 CET (step 1: named by the policy) failed: mailbox full.",
        ],
    ),
    (
        schedule_asked_bob,
        "ann",
        [
            "At 2026-01-06 11:00 CET: Step 1: paging bob (on call for weekly: layer main). Ann Ash was not on call for weekly then; "
            "next from 2026-01-12 09:00 CET to 2026-01-19 09:00 CET (as the schedule stands now)."
        ],
    ),
    (
        answered_before_her_step,
        "ann",
        [
            "Step 3 (“Page Ann Ash”) had not run yet when bob acknowledged it at 2026-01-06 11:01 CET; "
            "it would have run at 2026-01-06 11:05 CET.",
            "At 2026-01-06 11:00 CET: Step 1: paging bob (on call for weekly: layer main). Ann Ash was not on call for weekly then; "
            "next from 2026-01-12 09:00 CET to 2026-01-19 09:00 CET (as the schedule stands now).",
        ],
    ),
    (
        resolved_by_its_alerts,
        "ann",
        [
            "Step 2 (“Page Ann Ash”) had not run yet when it ended at 2026-01-06 11:00 CET (its alerts are resolved); "
            "it would have run at 2026-01-06 11:05 CET."
        ],
    ),
    (
        snoozed,
        "ann",
        [
            "Step 2 (“Page Ann Ash”) had not run yet when bob snoozed it at 2026-01-06 11:00 CET; "
            "it would have run at 2026-01-06 11:05 CET."
        ],
    ),
    (
        still_ahead,
        "ann",
        [
            "Step 2 (“Page whose turn comes next in weekly”) has not run yet; it is due at 2026-01-06 11:05 CET, "
            "for bob (as the schedule stands now)."
        ],
    ),
    (
        still_ahead,
        "bob",
        [
            "Step 2 (“Page whose turn comes next in weekly”) has not run yet; it is due at 2026-01-06 10:05 UTC."
        ],
    ),
    (
        not_matched,
        "ann",
        [
            'Step 1 (“Page Ann Ash (only where severity="critical")”) was skipped at 2026-01-06 11:00 CET: '
            'severity="critical" does not match.',
            "At 2026-01-06 11:00 CET: The policy has no further step. Nobody has answered yet.",
        ],
    ),
    (
        outside_interval,
        "ann",
        [
            "Step 1 (“Page Ann Ash (only in nights)”) was skipped at 2026-01-06 11:00 CET: outside time interval nights.",
            "At 2026-01-06 11:00 CET: The policy has no further step. Nobody has answered yet.",
        ],
    ),
    (
        round_robin,
        "eve",
        [
            "At 2026-01-06 10:00 UTC: Step 1: paging bob (next in turn of team ops; away is absent). "
            "The step takes one person in turn, and it was not the turn of eve.",
            "At 2026-01-06 10:00 UTC: The policy has no further step. Nobody has answered yet.",
        ],
    ),
    (
        round_robin,
        "away",
        [
            "At 2026-01-06 10:00 UTC: Step 1: paging bob (next in turn of team ops; away is absent). "
            "away was absent until 2026-01-09 00:00 UTC (holidays), as the file has it now.",
            "At 2026-01-06 10:00 UTC: The policy has no further step. Nobody has answered yet.",
        ],
    ),
    (
        rules_wait,
        "slow",
        [
            "The notification rules of slow run since step 1 (named by the policy); the next one, telegram, is due at "
            "2026-01-06 10:10 UTC."
        ],
    ),
    (
        answered_while_rules_waited,
        "slow",
        [
            "At 2026-01-06 10:00 UTC step 1 asked for slow, whose notification rules wait first: telegram would have been at "
            "2026-01-06 10:10 UTC, by the rules as they are now; before that bob acknowledged it at 2026-01-06 10:01 UTC."
        ],
    ),
    (
        contact_failed,
        "bob",
        [
            "The page over telegram of 2026-01-06 10:00 UTC (step 1: named by the policy) failed: the bot was blocked.",
            "At 2026-01-06 10:00 UTC: bob cannot be reached over any contact.",
        ],
    ),
    (
        page_skipped,
        "ann",
        [
            "A page over telegram was due at 2026-01-06 11:00 CET (step 1: named by the policy) but was not sent: "
            "#7 is acknowledged by now."
        ],
    ),
    (
        over,
        "ann",
        [
            "No step of policy main gets to Ann Ash.",
            "At 2026-01-06 11:00 CET: The policy has no further step. Nobody has answered yet.",
            "At 2026-01-06 11:00 CET: Step 2: telling receiver chat.",
        ],
    ),
    (
        only_skipped,
        "mute",
        [
            "No step of policy main gets to mute.",
            "mute has no contact that amproxy can use, as the file is now.",
            "At 2026-01-06 10:00 UTC: The policy has no further step. Nobody has answered yet.",
        ],
    ),
    (
        withdrawn_and_answered_again,
        "ann",
        [
            "Step 2 (“Page Ann Ash”) had not run yet when eve acknowledged it at 2026-01-06 11:18 CET; "
            "it would have run at 2026-01-06 11:21 CET."
        ],
    ),
    (
        waits_for_more_alerts,
        "ann",
        [
            "Step 4 (“Page Ann Ash”) had not run yet when bob acknowledged it at 2026-01-06 11:00 CET; "
            "it would have run at 2026-01-06 11:01 CET."
        ],
    ),
]


@pytest.mark.parametrize(
    ("story", "user", "reasons"), CASES, ids=[f"{case[0].__name__}-{case[1]}" for case in CASES]
)
def test_the_reasons_come_with_their_times_and_the_most_specific_first(
    story: Callable[[], Story], user: str, reasons: list[str]
) -> None:
    verdict = story().why(user)
    assert verdict.reasons == reasons
    assert verdict.known and verdict.paged == (story is was_paged)


def test_somebody_whom_neither_the_file_nor_the_incident_knows_is_unknown() -> None:
    verdict = schedule_asked_bob().why("nemo")
    assert not verdict.known and verdict.reasons == ["The file does not know nemo."]


def test_somebody_who_has_left_the_file_is_still_told_of_their_pages() -> None:
    story = was_paged()
    users = {name: user for name, user in CONFIG["users"].items() if name != "ann"}
    verdict = story.why("ann", Roster(Config(**{**CONFIG, "users": users})))
    assert verdict.known and verdict.paged
    assert (
        verdict.reasons[0]
        == "Paged over telegram at 2026-01-06 10:00 UTC (step 1: named by the policy): delivered."
    )


def test_a_schedule_that_was_changed_since_does_not_rewrite_the_past() -> None:
    story = schedule_asked_bob()
    weekly = CONFIG["schedules"]["weekly"]
    only_ann = Layer(name="main", users=(("ann",),))
    changed = {"weekly": Schedule(name="weekly", timezone=weekly.timezone, layers=(only_ann,))}
    [reason] = story.why("ann", Roster(Config(**{**CONFIG, "schedules": changed}))).reasons
    assert "Step 1: paging bob" in reason
    assert reason.endswith(
        "By the schedule as it stands now it would have been Ann Ash: it was changed since."
    )


def test_a_person_whose_name_begins_like_that_of_another_is_not_taken_for_them() -> None:
    users = {**CONFIG["users"], "bob-two": User(name="bob-two", contacts={"telegram": "9"})}
    story = Story(
        NotifyStep(team="twos"),
        config={"users": users, "teams": {"twos": Team(name="twos", members=("bob-two",))}},
    )
    assert story.why("bob").reasons[0] == "No step of policy main gets to bob."


def test_a_fallback_is_told_why_there_was_no_need_of_them() -> None:
    story = Story(NotifyStep(schedule="weekly"), if_nobody=IfNobody(kind="user", user="eve"))
    assert (
        story.why("eve")
        .reasons[0]
        .endswith("eve is paged by this step only where nobody else is found.")
    )


def test_the_fallback_that_was_paged_hears_why() -> None:
    story = nobody_on_call()
    story.arrive()
    assert story.why("eve").paged
    assert "fallback: schedule empty has nobody" in story.why("eve").reasons[0]


def test_a_second_step_that_finds_the_rules_running_says_so() -> None:
    story = Story(NotifyStep(users=("slow",)), NotifyStep(users=("slow",)))
    assert (
        "At 2026-01-06 10:00 UTC: slow is being paged already; the rules go on where they are."
        in story.why("slow").reasons
    )


def test_escalating_by_hand_begins_a_run_of_its_own() -> None:
    story = acknowledged(Story(Wait(seconds=300), NotifyStep(users=("ann",))), 60)
    story.until(1000)
    story.do(Escalate(user="bob", via="web"))
    story.until(1060)
    story.do(Resolve(user="eve", via="web"))
    assert story.why("ann").reasons == [
        "Step 2 (“Page Ann Ash”) had not run yet when eve resolved it at 2026-01-06 11:17 CET; "
        "it would have run at 2026-01-06 11:21 CET."
    ]


# What other parts of amproxy store: incidents as they leave them.


def stored(
    timeline: list[TimelineEntry] | None = None, steps: tuple[Step, ...] = (), **values: Any
) -> Story:
    story = Story()
    plan = values.pop("plan", Policy(name="main", steps=steps))
    story.incident = Incident(
        id="i", number=7, policy=plan.name, plan=plan, started_at=START, **values
    )
    story.told = [
        TimelineEntry(at=START, kind="opened", text="Opened.", policy="main"),
        *(timeline or []),
    ]
    return story


def entry(kind: str, text: str, at: float = 0.0, **values: Any) -> TimelineEntry:
    return TimelineEntry(at=START + at, kind=kind, text=text, **{"policy": "main", **values})


def test_quiet_hours_are_told_as_they_were_written() -> None:
    story = stored(
        [
            entry(
                "quiet",
                "Ann Ash has quiet hours until 07:00: telegram waits.",
                user="ann",
                channel="telegram",
                step=1,
            )
        ]
    )
    assert story.why("ann").reasons == [
        "At 2026-01-06 11:00 CET: Ann Ash has quiet hours until 07:00: telegram waits."
    ]


def test_an_incident_that_became_part_of_another_says_which() -> None:
    story = stored(
        [entry("resolved", "Merged into #8 by bob.", 60, user="bob", data={"by": "merged"})],
        (Wait(seconds=300), NotifyStep(users=("ann",))),
        merged_into="x",
    )
    first, second = story.why("ann").reasons
    assert (
        first
        == "At 2026-01-06 11:01 CET: Merged into #8 by bob. Whoever had to know was paged for that one."
    )
    assert second.startswith(
        "Step 2 (“Page Ann Ash”) had not run yet when bob merged it at 2026-01-06 11:01 CET"
    )


def test_an_incident_that_another_was_merged_into_goes_on() -> None:
    story = Story(Wait(seconds=300), NotifyStep(users=("ann",)))
    story.until(30)
    story.do(Absorb(user="bob", via="web", id="j", number=8, title="Other", groups={}))
    [reason] = story.why("ann").reasons
    assert "bob" not in reason and reason.startswith("Step 2 (“Page Ann Ash”)")


def test_an_incident_that_is_held_back_says_until_when_and_by_what() -> None:
    story = stored(
        None,
        (NotifyStep(users=("ann",)),),
        held_until=START + 3600,
        held_by="maintenance window upgrade",
        step_due=START + 3600,
    )
    first, second = story.why("ann").reasons
    assert first.startswith(
        "It is held back until 2026-01-06 12:00 CET, because of maintenance window upgrade:"
    )
    assert second == "Step 1 (“Page Ann Ash”) has not run yet; it is due at 2026-01-06 12:00 CET."


def test_while_a_step_waits_for_more_alerts_nobody_says_when_the_next_would_run() -> None:
    steps = (WaitForAlertsStep(more_than=5, within=60), NotifyStep(users=("ann",)))
    story = stored(
        [entry("acknowledged", "Acknowledged by bob (via web).", 60, user="bob")],
        steps,
        state="acknowledged",
    )
    assert story.why("ann").reasons == [
        "Step 2 (“Page Ann Ash”) had not run yet when bob acknowledged it at 2026-01-06 11:01 CET."
    ]


def test_a_policy_that_handed_over_is_gone_through_too() -> None:
    plan = Policy(name="second", steps=(NotifyStep(users=("bob",)),))
    story = stored(
        [
            entry(
                "step",
                'Step 1 skipped: severity="critical" does not match.',
                step=1,
                data={"skipped": 'severity="critical" does not match'},
            ),
            entry("step", "Step 2: handing over.", step=2),
        ],
        plan=plan,
    )
    main = Policy(
        name="main",
        steps=(
            NotifyStep(users=("ann",), matchers=('severity="critical"',)),
            ForwardStep(policy="second"),
        ),
    )
    reasons = story.why("ann", Roster(Config(**{**CONFIG, "policies": {"main": main}}))).reasons
    assert (
        reasons[0].startswith("Step 1 (“Page Ann Ash (only where")
        and 'severity="critical" does not match' in reasons[0]
    )
    assert reasons[-1] == "At 2026-01-06 11:00 CET: Step 2: handing over."


def test_a_policy_that_resolved_it_by_itself_says_so() -> None:
    steps = (ResolveStep(),)
    story = stored(
        [
            entry("step", "Step 1: resolved by the policy.", step=1),
            entry("resolved", "Resolved.", step=0),
        ],
        steps,
        state="resolved",
    )
    assert story.why("ann").reasons == [
        "No step of policy main gets to Ann Ash.",
        "At 2026-01-06 11:00 CET: Step 1: resolved by the policy.",
    ]


def test_a_page_that_waits_says_since_when_and_how_often_it_was_tried() -> None:
    page = Page(
        id="p",
        user="ann",
        channel="telegram",
        reason="asked for by bob",
        due=START - 60,
        attempts=3,
    )
    assert stored(pages=[page]).why("ann").reasons == [
        "A page over telegram is on its way since 2026-01-06 10:59 CET (asked for by bob). 3 attempts so far."
    ]


def test_a_reminder_alone_is_no_page() -> None:
    page = Page(
        id="p",
        kind="reminder",
        user="ann",
        channel="telegram",
        due=START,
        state="sent",
        sent_at=START,
    )
    verdict = stored(pages=[page]).why("ann")
    assert not verdict.paged and verdict.reasons[0].startswith("Reminded over telegram at")


def test_who_was_asked_is_read_from_what_the_step_stored_before_its_text() -> None:
    told = entry(
        "step", "Step 1: paging two people (named by the policy).", step=1, data={"users": ["slow"]}
    )
    story = stored(
        [told, entry("acknowledged", "Acknowledged by bob (via web).", 60, user="bob")],
        (NotifyStep(users=("slow",)),),
        state="acknowledged",
    )
    [reason] = story.why("slow").reasons
    assert (
        "whose notification rules wait first: telegram would have been at 2026-01-06 10:10 UTC"
        in reason
    )


@given(
    st.lists(
        st.sampled_from(
            [
                "opened",
                "step",
                "acknowledged",
                "snoozed",
                "triggered",
                "resolved",
                "repeat",
                "nobody",
                "held",
                "ended",
            ]
        )
    ),
    st.lists(st.integers(0, 4)),
    st.sampled_from(["ann", "bob", "away", "mute", "nemo"]),
)
def test_whatever_the_timeline_holds_there_is_an_answer(
    kinds: list[str], numbers: list[int], user: str
) -> None:
    timeline = [
        entry(kind, f"{kind}.", at, step=step)
        for at, (kind, step) in enumerate(zip(kinds, numbers, strict=False))
    ]
    steps = (
        NotifyStep(schedule="weekly"),
        Wait(seconds=60),
        NotifyStep(team="ops", pick="round_robin"),
        NotifyStep(users=("ann",)),
    )
    verdict = stored(timeline, steps).why(user)
    assert verdict.reasons and verdict.known == (user != "nemo")
