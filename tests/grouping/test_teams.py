"""Whose alerts a set of matchers can hide."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tests.support.properties  # noqa: F401  # the settings of property tests
from amproxy.config.loader import load_text
from amproxy.config.structs import Config
from amproxy.grouping.rights import Principal, hiding_refusal, mute_refusal
from amproxy.grouping.teams import alert_teams, is_pinned, possible_teams
from amproxy.labels.matchers import Matcher, all_match, parse_matchers

FILE = """
route:
  receiver: chat
  routes:
    - {receiver: chat, continue: true}
    - {receiver: red, matchers: [team="red"]}
    - receiver: green
      matchers: [team=~"green|lime", severity!="info"]
      continue: true
      routes: [{receiver: chat, matchers: [quiet="yes"]}]
    - {receiver: both, matchers: [team="both"]}
    - {receiver: chat, matchers: [severity="info"]}
    - {receiver: blue}
receivers:
  - {name: chat}
  - {name: blue, oncall_configs: [{escalation_policy: blue}]}
  - {name: red, oncall_configs: [{escalation_policy: red}]}
  - {name: green, oncall_configs: [{escalation_policy: green}]}
  - {name: both, oncall_configs: [{escalation_policy: red}, {escalation_policy: green}]}
teams: [{name: blue, members: [u]}, {name: red, members: [u]}, {name: green, members: [u]}]
users: [{name: u, contacts: {console: x}}]
escalation_policies:
  - {name: blue, team: blue, steps: [{notify: {users: [u]}}]}
  - {name: red, team: red, steps: [{notify: {users: [u]}}]}
  - {name: green, team: green, steps: [{notify: {users: [u]}}]}
"""
CONFIG = load_text(FILE + "sign_in: {passwords: true}\n").config


def of(*teams: str) -> Principal:
    return Principal(user="u", role="responder", teams=frozenset(teams), via="session")


def why(text: str, *teams: str, firing: Sequence[dict[str, str]] = ()) -> str:
    found = mute_refusal(of(*teams), CONFIG, [parse_matchers(text)])
    return str(found or hiding_refusal(of(*teams), CONFIG, firing) or "")


@pytest.mark.parametrize(
    ("matchers", "teams"),
    [
        ('team="red"', {"red"}),
        ('team="red", instance="x"', {"red"}),
        ('team=~"red"', {"red"}),
        ('team=~"re[d]", team!="both"', {"red", "blue", "green blue"}),  # a pattern is not read
        ('team="green"', {"blue", "green blue", ""}),
        ('team="lime", severity="page"', {"blue", "green blue"}),
        ('team="both"', {"red green"}),
        ('severity="info"', {"", "red", "red green"}),
        ('team="none of them", severity!="info"', {"blue"}),
        ('instance="x"', {"", "red", "blue", "green blue", "red green"}),
        ('team="red", team="green"', set()),
    ],
)
def test_every_way_through_the_tree_is_followed(matchers: str, teams: set[str]) -> None:
    found = possible_teams(CONFIG, parse_matchers(matchers))
    named = {" ".join(sorted(kind, reverse=True)) for kind in found}
    assert named >= teams if "[" in matchers else named == teams


VALUES = st.sampled_from(["", "red", "green", "lime", "both", "info", "page", "yes"])
LABELS = st.fixed_dictionaries({}, optional=dict.fromkeys(("team", "severity", "quiet"), VALUES))
MATCHERS = st.lists(
    st.builds(
        Matcher,
        st.sampled_from(["team", "severity", "quiet"]),
        st.sampled_from(["=", "!=", "=~", "!~"]),
        st.sampled_from(["red", "green|lime", "both", "info", "yes", "", "re.", ".+"]),
    ),
    min_size=1,
    max_size=3,
)


@given(LABELS, MATCHERS)
def test_no_alert_belongs_to_teams_that_were_not_foreseen(
    labels: dict[str, str], matchers: list[Matcher]
) -> None:
    if all_match(matchers, labels):
        assert alert_teams(CONFIG, labels) in possible_teams(CONFIG, matchers)


@pytest.mark.parametrize(
    ("matchers", "teams", "refused"),
    [
        ('team="red"', ["blue"], "of team red"),
        ('team="red"', ["red"], ""),
        ('team="both"', ["blue"], "of team green or red"),
        ('team="both"', ["red"], ""),  # it is theirs as well
        ('team=~"red|both"', ["blue"], "of team green or red"),
        ('instance="db1"', ["blue"], ""),  # nothing of others fires
        ('alertname=~".+"', ["blue"], "could hide alerts of team green and red"),
        ('instance!="db1"', ["blue"], "could hide alerts of team"),
        ('alertname=""', ["blue"], "could hide alerts of team"),
        ('alertname=~".+"', ["blue", "red", "green"], ""),
        ('team="elsewhere", severity="page"', [], "of team blue"),
        ('team="elsewhere", severity="info"', [], ""),  # it goes to a chat of nobody's
    ],
)
def test_a_silence_needs_the_team_whose_alerts_it_hides(
    matchers: str, teams: list[str], refused: str
) -> None:
    reason = why(matchers, *teams)
    assert refused in reason and bool(reason) == bool(refused)


def test_a_silence_that_many_may_need_is_judged_by_what_fires() -> None:
    mine, theirs = {"instance": "db1"}, {"instance": "db1", "team": "red"}
    assert why('instance="db1"', "blue", firing=[mine]) == ""
    assert "hide an alert of team red" in why('instance="db1"', "blue", firing=[mine, theirs])
    assert why('instance="db1"', "blue", firing=[{**theirs, "team": "both"}]) != ""
    assert why('instance="db1"', "red", firing=[theirs]) == ""


def test_viewers_silence_nothing_and_admins_everything() -> None:
    everything = [parse_matchers('alertname=~".+"')]
    viewer = Principal(user="v", role="viewer", teams=frozenset({"red"}), via="session")
    assert "role responder" in str(mute_refusal(viewer, CONFIG, [parse_matchers('team="red"')]))
    assert mute_refusal(Principal(), CONFIG, everything) is None


def test_a_thousand_routes_are_followed_and_more_are_taken_to_be_anybodys() -> None:
    def big(number: int) -> Config:
        routes = ", ".join(f'{{receiver: red, matchers: [host="h{n}"]}}' for n in range(number))
        return load_text(
            f"route: {{receiver: blue, routes: [{routes}]}}\n" + FILE[FILE.index("receivers:") :]
        ).config

    matchers = parse_matchers('alertname="x"')
    assert possible_teams(big(50), matchers) == {frozenset({"red"}), frozenset({"blue"})}
    assert possible_teams(big(2100), matchers) >= {frozenset(), frozenset({"green"})}


def test_a_value_pins_and_a_pattern_does_not() -> None:
    for text, pinned in [('a="b"', True), ('a=~"b|c"', True), ('a=""', False), ('a=~".+"', False)]:
        assert is_pinned(parse_matchers(text)) == pinned, text
