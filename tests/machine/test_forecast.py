"""What is shown as coming is what then happens when nobody does anything."""

from __future__ import annotations

import re
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

import tests.support.properties  # noqa: F401  # the settings of property tests
from amproxy.config.structs import (
    ForwardStep,
    Global,
    IfNobody,
    NotifyStep,
    Policy,
    ResolveStep,
    Storm,
    User,
    Wait,
    WaitForAlertsStep,
)
from amproxy.machine.events import Acknowledge, AddResponders, Event, Hold, Snooze
from amproxy.machine.transition import next_due
from amproxy.model import Change, TimelineEntry
from amproxy.oncall.roster import Roster
from amproxy.text import DEFAULT_LANGUAGE, load_texts
from amproxy.text.render import render_phrase
from amproxy.web.incidents.forecast import (
    MAX_UPCOMING,
    UpcomingIncidentStep,
    find_next_step,
    list_upcoming,
)
from tests.support.config.configs import REACHES
from tests.support.machine.anything import PEOPLE, deeds, policies, waits
from tests.support.machine.incidents import START, Drive, people
from tests.support.words import SILENCED

ANN, BOB, EVE = NotifyStep(users=("ann",)), NotifyStep(users=("bob",)), NotifyStep(users=("eve",))


class Recorded(Drive):
    """A drive that keeps its timeline."""

    def do(self, event: Event) -> Change:
        if not hasattr(self, "entries"):
            self.entries = list[TimelineEntry]()
        change = super().do(event)
        self.entries += change.timeline
        return change


def coming(drive: Drive) -> list[tuple[float, str]]:
    return [(one.at - START, said(one)) for one in list_upcoming(drive.incident, drive.roster)]


def said(one: UpcomingIncidentStep) -> str:
    """As the API says it."""
    return render_phrase(one.what, load_texts(DEFAULT_LANGUAGE))


def test_the_policy_that_takes_over_is_shown_with_its_steps_and_its_end() -> None:
    second = Policy(name="second", steps=(EVE, Wait(seconds=60), ResolveStep()))
    drive = Drive(
        Wait(seconds=300),
        ForwardStep(policy="second"),
        BOB,
        config={"policies": {"second": second}},
    )
    assert coming(drive) == [
        (300, "step 2: policy second takes over"),
        (300, "step 1: notify eve (users)"),
        (360, "step 3: resolve"),
    ]


def test_a_circle_of_policies_is_walked_once() -> None:
    second = Policy(name="second", steps=(EVE, ForwardStep(policy="main")))
    drive = Drive(
        Wait(seconds=300), ForwardStep(policy="second"), config={"policies": {"second": second}}
    )
    assert [what for _, what in coming(drive)] == [
        "step 2: policy second takes over",
        "step 1: notify eve (users)",
        "step 2: policy main takes over",
    ]


def test_silence_is_not_foretold_beyond_the_policy_that_takes_over_again() -> None:
    second = Policy(name="second", steps=(EVE, Wait(seconds=3600), ForwardStep(policy="main")))
    drive = Drive(
        Wait(seconds=300),
        ForwardStep(policy="second"),
        config={"policies": {"second": second}},
        auto_resolve=2100.0,
    )
    assert coming(drive)[-1] == (3900, "step 3: policy main takes over")


def test_a_shift_that_is_waited_for_is_waited_for() -> None:
    drive = Drive(
        Wait(seconds=60), NotifyStep(schedule="day"), EVE, if_nobody=IfNobody(kind="wait_for_shift")
    )
    assert coming(drive) == [
        (60, "step 2: waits until somebody is on call for day"),
        (10800, "step 2: notify bob (schedule day)"),
        (10800, "step 3: notify eve (users)"),
        (10800, "the policy has no further step"),
    ]


def test_what_would_be_skipped_says_so_and_does_not_end_the_list() -> None:
    drive = Drive(Wait(seconds=60), ResolveStep(active_time_intervals=("noon",)), BOB)
    assert coming(drive)[:2] == [
        (60, "step 2: resolve, only in noon (skipped, as things are: outside time interval noon)"),
        (60, "step 3: notify bob (users)"),
    ]


def test_nothing_is_shown_after_a_step_that_ends_it() -> None:
    drive = Drive(ANN, Wait(seconds=60), ResolveStep())
    assert coming(drive) == [(60, "step 3: resolve")]


def test_a_gate_ends_what_can_be_foreseen() -> None:
    drive = Drive(Wait(seconds=60), WaitForAlertsStep(more_than=5, within=600), BOB)
    assert coming(drive) == [(60, "step 2: goes on after more than 5 alerts within 10 min")]
    drive.until(60)
    assert coming(drive) == []


def test_answers_snoozes_and_holds_show_their_ends() -> None:
    drive = Drive(BOB, acknowledge_timeout=3600.0, acknowledge_reminder=600.0, auto_resolve=7200.0)
    drive.do(Acknowledge(user="bob", via="web"))
    drive.do(AddResponders(user="bob", via="web", to=ANN))
    assert coming(drive) == [
        (300, "ann's next rule: email"),
        (3000, "bob is reminded"),
        (3600, "acknowledgement runs out"),
        (3600, "step 1: notify bob (users)"),
        (3600, "the policy has no further step"),
        (10800, "resolved, if there is no news until then"),
    ]
    drive.do(Snooze(user="bob", via="web", until=START + 60))
    assert coming(drive)[:2] == [(60, "snooze ends"), (60, "step 1: notify bob (users)")]
    drive.until(60)
    drive.do(Hold(reason=SILENCED, until=START + 500))
    assert coming(drive)[0] == (500, "no longer held back")
    unknown = list_upcoming(drive.incident, drive.roster, hold=lambda at: (SILENCED, float("inf")))
    assert said(unknown[0]) == "looked at again: silenced by eve"
    drive.alerts(0)
    assert coming(drive) == [] and find_next_step(drive.incident, drive.roster) is None


def test_a_wait_for_somebody_whom_nothing_reaches_is_cut_short() -> None:
    drive = Drive(
        Wait(seconds=300), NotifyStep(users=("mute",)), Wait(seconds=3600), BOB, config={}
    )
    assert coming(drive) == [
        (300, "step 2: notify mute (users)"),
        (300, "mute cannot be reached over any contact"),
        (300, "step 4: notify bob (users)"),
        (300, "the policy has no further step"),
    ]
    drive.until(300)
    assert drive.who == [(300, "bob")]


def test_the_rules_that_a_step_begins_are_shown_with_their_contacts() -> None:
    drive = Drive(Wait(seconds=300), ANN)
    shown = list_upcoming(drive.incident, drive.roster)
    assert [(one.at - START, said(one), one.pages) for one in shown] == [
        (300, "step 2: notify ann (users)", (("ann", "telegram"),)),
        (300, "the policy has no further step", ()),
        (600, "ann's next rule: email", (("ann", "email"),)),
    ]


def test_nothing_is_promised_over_a_contact_that_nothing_can_deliver() -> None:
    phone = User(name="zoe", contacts={"phone": "+1", "telegram": "9"})
    config = {"users": {**people()["users"], "zoe": phone}}
    drive = Drive(Wait(seconds=300), NotifyStep(users=("zoe",)), Wait(seconds=600), config=config)
    shown = list_upcoming(drive.incident, drive.roster)
    # the call fails at once, so that the next contact does not wait its five minutes
    assert (shown[0].at - START, shown[0].pages) == (300, (("zoe", "telegram"),))
    assert all(channel == "telegram" for one in shown for _, channel in one.pages)


def test_a_page_under_way_that_cannot_arrive_moves_the_next_contact_up() -> None:
    phone = User(name="zoe", contacts={"phone": "+1", "telegram": "9"})
    config = {"users": {**people()["users"], "zoe": phone}}
    config |= {
        "users": config["users"]
        | {"zoe": replace(phone, contacts={"slack": "Z", **phone.contacts})}
    }
    drive = Drive(NotifyStep(users=("zoe",)), config=config)
    assert drive.pages == [(0, "zoe", "slack")]
    # The file has changed since: what slack needs is gone.
    gone = {name: one for name, one in REACHES.channels.items() if name != "slack"}
    drive.roster = Roster(replace(drive.roster.config, global_=Global(channels=gone)))
    assert coming(drive) == [(0, "zoe's next rule: telegram")]


def test_the_turn_of_a_round_robin_is_the_one_that_is_stored() -> None:
    step = NotifyStep(team="ops", pick="round_robin")
    drive = Drive(Wait(seconds=60), step, Wait(seconds=60), turns={"main/2/ops": 1})
    shown = list_upcoming(drive.incident, drive.roster, drive.turns)
    assert said(shown[0]) == "step 2: notify bob (team ops), in turn"
    drive.until(60)
    assert drive.who == [(60, "bob")]


def test_whom_a_step_falls_back_to_is_shown() -> None:
    drive = Drive(
        Wait(seconds=60),
        NotifyStep(schedule="empty", if_nobody=IfNobody(kind="user", user="bob")),
        Wait(seconds=60),
    )
    first = list_upcoming(drive.incident, drive.roster)[0]
    assert said(first) == "step 2: notify bob in place of nobody (schedule empty)"
    assert first.pages == (("bob", "telegram"),)


def test_a_shift_that_never_begins_is_waited_for_once() -> None:
    drive = Drive(
        Wait(seconds=60), NotifyStep(schedule="empty", if_nobody=IfNobody(kind="wait_for_shift"))
    )
    assert coming(drive) == [(60, "step 2: waits until somebody is on call for empty")]


def test_a_round_that_repeats_shows_the_rules_that_began_in_it_and_ends() -> None:
    drive = Drive(Wait(seconds=60), ANN, BOB, Wait(seconds=60), repeat=2)
    assert coming(drive) == [
        (60, "step 2: notify ann (users)"),
        (60, "step 3: notify bob (users)"),
        (120, "the steps run again (round 2 of 3)"),
        (360, "ann's next rule: email"),
    ]


def test_a_step_that_can_do_nothing_says_so() -> None:
    drive = Drive(Wait(seconds=60), NotifyStep(receiver="gone"), ForwardStep(policy="gone"), BOB)
    assert [what for _, what in coming(drive)][:2] == [
        "step 2: notify eve, because receiver gone is not in the file any more (on call now)",
        "step 3: policy gone takes over (nothing comes of it, as things are)",
    ]


def test_silence_is_counted_from_the_last_news_and_what_comes_with_news_follows() -> None:
    drive = Drive(Wait(seconds=60), BOB, Wait(seconds=7200), ANN, auto_resolve=3600.0)
    assert [one for one in coming(drive) if "rule" not in one[1]] == [
        (60, "step 2: notify bob (users)"),
        (3600, "resolved, if there is no news until then"),
        (7260, "step 4: notify ann (users)"),
        (7260, "the policy has no further step"),
    ]


def test_what_mutes_the_alerts_later_holds_the_steps_that_fall_into_it() -> None:
    drive = Drive(Wait(seconds=300), ANN, Wait(seconds=3600), BOB)

    def silence(at: float) -> tuple[str, float] | None:
        return ("silenced by eve", START + 1800) if START + 200 <= at < START + 1800 else None

    shown = list_upcoming(drive.incident, drive.roster, hold=silence)
    assert [(one.at - START, said(one)) for one in shown] == [
        (300, "nobody is paged for now: silenced by eve"),
        (1800, "no longer held back"),
        (1800, "step 2: notify ann (users)"),
        (2100, "ann's next rule: email"),
        (5400, "step 4: notify bob (users)"),
        (5400, "the policy has no further step"),
    ]
    inhibited = list_upcoming(
        drive.incident, drive.roster, hold=lambda at: ("inhibited by alert x", float("inf"))
    )
    assert [(one.at - START, said(one)) for one in inhibited] == [
        (300, "nobody is paged for now: inhibited by alert x")
    ]


def test_a_page_that_the_next_step_overtakes_is_no_step_of_its_own() -> None:
    drive = Drive(Wait(seconds=60), NotifyStep(receiver="chat"), ResolveStep())
    assert coming(drive) == [
        (60, "step 2: notify receiver chat"),
        (60, "step 3: resolve"),
    ]


def test_pages_that_a_storm_holds_come_after_their_step() -> None:
    drive = Drive(ANN, Wait(seconds=600), ANN, storm=Storm(more_than=1, within=900.0))
    assert coming(drive)[:4] == [
        (300, "ann's next rule: email"),
        (600, "step 3: notify ann (users)"),
        (600, "the policy has no further step"),
        (630, "ann, in one message with others: telegram"),
    ]


# -------------------------------------------------------------------------------------------------- any policy


def reachable(policy: Policy) -> Policy:
    """Of the policies that may be: whoever it names has a contact that works, and nothing but its steps matters."""
    steps = tuple(
        replace(
            step,
            users=tuple(user for user in step.users if user not in ("mute", "zed")) or ("bob",),
            urgency="default",
        )
        if isinstance(step, NotifyStep) and step.users
        else replace(step, urgency="default")
        if isinstance(step, NotifyStep)
        else step
        for step in policy.steps
    )
    return replace(policy, steps=steps, auto_resolve=0.0, flapping=None, storm=None)


@st.composite
def drives(draw: st.DrawFn) -> Recorded:
    known = {
        name: reachable(policy) for name, policy in draw(policies(deeds | waits | waits)).items()
    }
    return Recorded(
        config={"policies": known}, incident={"common_labels": {"a": "b"}, "plan": known["main"]}
    )


def happened(entries: list[TimelineEntry]) -> list[tuple[float, str]]:
    """What of a timeline is shown beforehand."""
    found = []
    for entry in entries:
        number = re.match(
            r"(?:Step|Resolved by step) (\d+)",
            render_phrase(entry.words, load_texts(DEFAULT_LANGUAGE)),
        )
        if entry.kind in ("ended", "repeat"):
            found.append((entry.at, entry.kind))
        elif number and "not waited for" not in render_phrase(
            entry.words, load_texts(DEFAULT_LANGUAGE)
        ):
            found.append((entry.at, number[1]))
    return found


def foreseen(shown: list[UpcomingIncidentStep]) -> list[tuple[float, str]]:
    found = []
    for one in shown:
        number = re.match(r"step (\d+)", said(one))
        if number or said(one).startswith("the "):
            found.append(
                (one.at, number[1] if number else "repeat" if "run again" in said(one) else "ended")
            )
    return found


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(drive=drives(), wait=st.sampled_from((0.0, 0.0, 60.0, 300.0, 4000.0)))
def test_every_step_comes_when_it_was_said_to(drive: Any, wait: float) -> None:
    drive.arrive()
    drive.until(wait)
    drive.arrive()
    shown = list_upcoming(drive.incident, drive.roster)
    assert len(shown) <= MAX_UPCOMING and (
        not shown or shown[0] == find_next_step(drive.incident, drive.roster)
    )
    drive.entries.clear()
    if not shown:
        assert next_due(drive.incident) is None
        return
    last = max(one.at for one in shown)
    while (due := next_due(drive.incident)) is not None and due <= last:
        drive.until(due - START)
        drive.arrive()
    expected = foreseen(shown)
    assert happened(drive.entries)[: len(expected)] == expected
    paged = {(page.due, page.user) for page in drive.incident.pages}
    for one in shown:
        user, _, rule = said(one).partition("'s next rule")
        if rule and user in PEOPLE:
            assert (one.at, user) in paged
