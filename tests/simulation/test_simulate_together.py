"""`amproxy simulate` of several alerts, with what people mute by hand, what inhibits, and storms."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from amproxy.config.structs import (
    Config,
    InhibitRule,
    NotifyStep,
    Policy,
    ResolveStep,
    Storm,
    Wait,
)
from amproxy.labels.matchers import parse_matcher
from amproxy.oncall.roster import Roster
from amproxy.simulation.reports import simulate_text
from amproxy.simulation.simulate import (
    Simulation,
    SimulationRequest,
    parse_alert,
    parse_silence,
    parse_window,
    simulate,
)
from tests.support.simulation.files import MONDAY, ROOT, config

DOWN = {"alertname": "Down", "team": "a"}
BOTH = Policy(
    name="main",
    steps=(NotifyStep(users=("carol",)), Wait(seconds=600.0), NotifyStep(users=("carol",))),
)
RULE = InhibitRule(
    source_matchers=(parse_matcher('alertname="Down"'),),
    target_matchers=(parse_matcher('alertname="Slow"'),),
    equal=("team",),
)


def asked(*alerts: str, silences: Any = (), windows: Any = (), **more: Any) -> SimulationRequest:
    return SimulationRequest(
        labels=DOWN,
        at=MONDAY,
        others=list(map(parse_alert, alerts)),
        silences=[parse_silence(text, MONDAY) for text in silences],
        windows=[parse_window(text, MONDAY) for text in windows],
        **more,
    )


def pages(found: Config, request: SimulationRequest) -> list[float]:
    """Seconds after the first alert at which each page arrives."""
    answer = simulate(request, Roster(found))
    return [
        round((datetime.fromisoformat(page["at"]) - MONDAY) / timedelta(seconds=1), 1)
        for page in answer["pages"]
    ]


def told(found: Config, request: SimulationRequest) -> str:
    text = simulate_text(request, Roster(found))
    assert all(len(line) <= 80 for line in text.splitlines())
    return " ".join(text.split())


def test_alerts_of_one_group_have_one_incident_which_ends_with_the_last() -> None:
    found = config(policies=(BOTH,))
    request = asked("alertname=Down team=a instance=b @1m-20m", resolve_after=120.0)
    assert pages(found, request) == [30.0, 630.0]
    text = told(found, request)
    assert 'alert {alertname="Down", team="a"} ends' in text
    assert "+20m30s Resolved" in text and text.count("Opened") == 1


def test_alerts_of_other_groups_open_incidents_of_their_own_and_share_turns() -> None:
    turn = Policy(name="main", steps=(NotifyStep(team="all", pick="round_robin"),))
    found, request = config(policies=(turn,)), asked("alertname=Slow team=a @1m", duration=200.0)
    answer = simulate(request, Roster(found))
    assert [page["user"] for page in answer["pages"]] == ["alice", "bob"]
    assert [one["group_labels"]["alertname"] for one in answer["groups"]] == ["Down", "Slow"]


def test_an_alert_that_comes_again_is_the_same_one() -> None:
    found = config(policies=(BOTH,))
    again = asked("alertname=Down team=a @5m-8m", resolve_after=3600.0)
    assert pages(found, again) == [30.0, 630.0]
    later = asked("alertname=Down team=a @2h-3h", resolve_after=120.0)
    assert pages(found, later) == [30.0, 7230.0, 7830.0]


def test_a_silence_keeps_a_group_from_opening_and_an_incident_from_paging() -> None:
    found = config(policies=(BOTH,))
    before = asked(silences=['alertname="Down" @0s-10m'])
    assert pages(found, before) == [630.0, 1230.0]
    assert "The group is silenced by somebody until 2026-01-05 09:10 UTC" in told(found, before)
    meanwhile = asked(silences=['team=~"a|b" @5m-30m'])
    assert pages(found, meanwhile) == [30.0, 1800.0]
    assert "Nobody is paged for now: silenced by somebody" in told(found, meanwhile)
    [group] = simulate(before, Roster(found))["groups"]
    assert group["muted_by"] == ['silence alertname="Down"']


def test_the_end_of_a_window_made_by_hand_tells_at_once_what_still_fires() -> None:
    found = config(policies=(BOTH,))
    window = asked(windows=['team="a" @0s-11m'])
    assert pages(found, window) == [660.0, 1260.0]
    silence = asked(silences=['team="a" @0s-11m'])
    assert pages(found, silence) == [930.0, 1530.0]


def test_an_inhibited_alert_pages_when_its_source_is_over() -> None:
    found = config(policies=(BOTH,), inhibit_rules=(RULE,))
    slow = asked("alertname=Slow team=a @1m", resolve_after=1800.0)
    assert pages(found, slow) == [30.0, 630.0, 1890.0, 2490.0]
    assert "The group is inhibited by alert" in told(found, slow)
    other = asked("alertname=Slow team=b @1m", resolve_after=1800.0)
    assert pages(config(policies=(BOTH,), inhibit_rules=(RULE,)), other)[:2] == [30.0, 90.0]


def test_an_incident_whose_alerts_are_inhibited_later_is_held() -> None:
    found = config(policies=(BOTH,), inhibit_rules=(RULE,))
    request = SimulationRequest(
        labels={"alertname": "Slow", "team": "a"},
        at=MONDAY,
        others=[parse_alert("alertname=Down team=a @5m-20m")],
    )
    # held at 630 s, and looked at each minute after that; the source ends after 1200 s
    assert pages(found, request) == [30.0, 330.0, 930.0, 1230.0]


def test_pages_beyond_the_storm_arrive_together() -> None:
    storm = replace(
        BOTH, steps=(NotifyStep(users=("carol",)),), storm=Storm(more_than=2, within=60.0)
    )
    alerts = [f"alertname=A{number} team=a @{number}s" for number in (1, 2, 3)]
    found = config(policies=(storm,), root=replace(ROOT, group_wait=0.0))
    assert pages(found, asked(*alerts)) == [0.0, 1.0, 32.0, 32.0]
    assert told(found, asked(*alerts)).count("carol over telegram") == 4


def test_what_is_answered_while_a_storm_holds_it_is_not_told() -> None:
    storm = replace(
        BOTH, steps=(NotifyStep(users=("carol",)),), storm=Storm(more_than=1, within=60.0)
    )
    found = config(policies=(storm,), root=replace(ROOT, group_wait=0.0))
    request = asked("alertname=Slow team=a @5s", answers=[("carol", 20.0)])
    assert pages(found, request) == [0.0]
    assert "not sent, #0 is acknowledged by now" in told(found, request)


@pytest.mark.parametrize(
    "text",
    ["alertname=Slow @soon", "alertname=Slow @5m-", "alertname=Slow @10m-5m", "@5m"],
)
def test_an_alert_that_is_not_understood_is_refused_in_words(text: str) -> None:
    with pytest.raises(ValueError, match="@"):
        parse_alert(text)


@pytest.mark.parametrize("text", ["@5m-10m", '=" @5m', 'team="a" @-'])
def test_a_silence_that_is_not_understood_is_refused_in_words(text: str) -> None:
    with pytest.raises(ValueError):
        parse_silence(text, MONDAY)


def test_a_window_ends_after_the_steps_of_its_last_moment() -> None:
    steps = (Wait(seconds=600.0), ResolveStep())
    ending = Policy(name="main", steps=steps, reopen_within=3600.0)
    request = asked(windows=['team="a" @5m-5h'], duration=6 * 3600.0)
    simulation = Simulation(request, Roster(config(policies=(ending,))))
    [group] = simulation.groups
    at_its_end = [one.entry for one in group.entries if one.entry.at - MONDAY.timestamp() == 18000]
    assert [entry.kind for entry in at_its_end] == ["released", "resolved", "reopened"]
