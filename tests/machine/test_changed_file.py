"""What becomes of a running policy, and of people's rules, when the file changes under them."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest

from amproxy.config.structs import Config
from amproxy.oncall.roster import Roster
from tests.support.config.configs import config
from tests.support.machine.incidents import Drive

MINUTE = 60.0
FILE: dict[str, Any] = {
    "global": {
        "telegram_bot_token": "1:x",
        "slack_app_token": "x",
        "smtp_smarthost": "127.0.0.1:25",
        "smtp_from": "a@example.org",
    },
    "route": {"receiver": "oncall"},
    "users": [
        {"name": name, "contacts": {"telegram": str(number), "email": f"{name}@example.org"}}
        for number, name in enumerate(["ann", "bob", "cy", "dee", "eve"], 1)
    ],
    "teams": [{"name": "ops", "members": ["dee", "eve"]}, {"name": "net", "members": ["eve"]}],
    "schedules": [{"name": "first", "team": "net", "layers": [{"name": "l", "users": ["ann"]}]}],
    "receivers": [
        {"name": "oncall", "oncall_configs": [{"escalation_policy": "main"}]},
        {"name": "chat", "slack_configs": [{"api_url": "http://127.0.0.1:1/", "channel": "#a"}]},
        {"name": "hook", "webhook_configs": [{"url": "http://127.0.0.1:1/"}]},
    ],
    "escalation_policies": [
        {
            "name": "main",
            "team": "net",
            "steps": [
                {"notify": {"schedule": "first"}},
                {"wait": "20m"},
                {"notify": {"users": ["bob"]}},
                {"wait": "20m"},
                {"notify": {"team": "ops"}},
                {"wait": "20m"},
                {"notify": {"receiver": "chat"}},
                {"wait": "20m"},
                {"webhook": "hook"},
                {"wait": "20m"},
                {"forward": "second"},
            ],
        },
        {"name": "second", "team": "net", "steps": [{"notify": {"users": ["cy"]}}]},
    ],
}
# When a step pages, in minutes.
PAGING = (0, 20, 40, 60, 80, 100)
SECTIONS = {
    "schedule": ("schedules", ["first"]),
    "person": ("users", ["ann", "bob", "cy", "dee"]),
    "team": ("teams", ["ops", "net"]),
    "policy": ("escalation_policies", ["main", "second"]),
    "receiver": ("receivers", ["chat", "hook", "oncall"]),
}
NAMED = [(section, name) for section, names in SECTIONS.values() for name in names]
REFERENCES = {
    *("name", "receiver", "schedule", "team", "users", "members", "forward", "webhook"),
    "escalation_policy",
}


def loaded(data: dict[str, Any]) -> Config:
    return config(json.dumps(data))


def renamed(data: Any, old: str, new: str, key: str = "") -> Any:
    """The file with a name changed wherever it stands."""
    if isinstance(data, dict):
        return {name: renamed(value, old, new, name) for name, value in data.items()}
    if isinstance(data, list):
        return [renamed(value, old, new, key) for value in data]
    return new if data == old and key in REFERENCES else data


def without(section: str, name: str) -> dict[str, Any]:
    """The file without an entry, and without whatever names it."""
    data = copy.deepcopy(FILE)
    data[section] = [entry for entry in data[section] if entry["name"] != name]
    for policy in data["escalation_policies"]:
        policy["steps"] = [step for step in policy["steps"] if not _names(step, name)]
        if policy["team"] == name:
            del policy["team"]
        policy["steps"] = policy["steps"] or [{"wait": "1m"}]
    for team in data["teams"]:
        team["members"] = [member for member in team["members"] if member != name]
    for schedule in data["schedules"]:
        if schedule.get("team") == name:
            del schedule["team"]
        for layer in schedule["layers"]:
            layer["users"] = [user for user in layer["users"] if user != name] or ["bob"]
    for receiver in data["receivers"]:
        for entry in receiver.get("oncall_configs", ()):
            if entry["escalation_policy"] == name:
                entry["escalation_policy"] = "second" if name == "main" else "main"
    if name == "oncall":
        data["route"] = {"receiver": "chat"}
    return data


def _names(step: dict[str, Any], name: str) -> bool:
    return name in str(list(_leaves(step)))


def _leaves(data: Any) -> Iterator[str]:
    if isinstance(data, dict | list):
        for value in data.values() if isinstance(data, dict) else data:
            yield from _leaves(value)
    else:
        yield str(data)


def driven(data: dict[str, Any] = FILE) -> Drive:
    file = loaded(data)
    fields = ("global_", "users", "teams", "schedules", "receivers", "policies", "route")
    plan = file.policies["main"]
    more = {name: getattr(file, name) for name in fields}
    keys: dict[str, Any] = {"team": plan.team, "if_nobody": plan.if_nobody, "repeat": plan.repeat}
    drive = Drive(*plan.steps, config=more, **keys)
    drive.arrive()
    return drive


def reload(drive: Drive, data: dict[str, Any]) -> None:
    drive.roster = Roster(loaded(data))


def lived(data: dict[str, Any] | None, at: float) -> list[tuple[float, str]]:
    """(minutes, who) of the pages of steps, where the file changes at `at` minutes."""
    drive = driven()
    for minute in sorted({*PAGING, at, 200}):
        if data is not None and minute == at:
            reload(drive, data)
        drive.until(minute * MINUTE)
        drive.arrive()
    return [(when / MINUTE, who) for when, who in drive.who if when / MINUTE in PAGING]


BEFORE_EACH_STEP = [after + 1 for after in PAGING[:-1]]


@pytest.mark.parametrize("at", BEFORE_EACH_STEP)
@pytest.mark.parametrize(("section", "name"), NAMED)
def test_a_renamed_thing_is_followed_at_each_step_and_the_same_people_are_paged(
    section: str, name: str, at: float
) -> None:
    new = renamed(FILE, name, "renamed")
    before, after = lived(None, at), lived(new, at)
    assert after == [
        (when, "renamed" if who == name and when > at else who) for when, who in before
    ]


@pytest.mark.parametrize("at", BEFORE_EACH_STEP)
@pytest.mark.parametrize(("section", "name"), NAMED)
def test_somebody_is_paged_at_each_step_whatever_is_removed(
    section: str, name: str, at: float
) -> None:
    pages = lived(without(section, name), at)
    assert {when for when, _ in pages} >= set(PAGING), pages
    assert not any(who == name and when > at for when, who in pages)


@pytest.mark.parametrize("at", BEFORE_EACH_STEP)
def test_somebody_is_paged_at_each_step_when_all_is_renamed_at_once(at: float) -> None:
    new: Any = FILE
    for _, name in NAMED:
        new = renamed(new, name, f"{name}2")
    assert {when for when, _ in lived(new, at)} >= set(PAGING)


def test_a_person_whose_rules_run_and_who_leaves_the_file_is_replaced() -> None:
    drive = driven()
    drive.until(MINUTE)
    reload(drive, without("users", "ann"))
    drive.until(15 * MINUTE)
    # The rules of ann would go on by e-mail: bob is on call in her place.
    assert drive.who == [(0, "ann"), (300, "bob"), (600, "bob")]
    assert drive.said("ann is not in the file any more, and the notification rules end; paging bob")


def test_people_paged_by_one_step_stand_for_one_of_them_who_leaves_the_file() -> None:
    data = renamed(FILE, "bob", "bob")
    data["escalation_policies"][0]["steps"] = [{"notify": {"users": ["ann", "bob"]}}]
    drive = driven(data)
    drive.until(MINUTE)
    new = without("users", "ann")
    new["escalation_policies"][0]["steps"] = [{"notify": {"users": ["bob"]}}]
    reload(drive, new)
    drive.until(60 * MINUTE)
    assert drive.who == [(0, "ann"), (0, "bob"), (300, "bob")]
    assert drive.said("ann is not in the file any more, and the notification rules end.")


def test_people_of_both_names_changed_in_the_file_are_paged_by_their_new_ones() -> None:
    # grafana/oncall#4936: each step had "nobody", for two rounds.
    steps = [{"notify": {"users": ["ann"]}}, {"wait": "4s"}]
    steps += [{"notify": {"users": ["bob"]}}, {"wait": "4s"}]
    data = copy.deepcopy(FILE)
    data["escalation_policies"][0] |= {"steps": steps, "repeat": 1}
    drive = driven(data)
    drive.until(1)
    reload(drive, renamed(renamed(data, "ann", "anna"), "bob", "bobby"))
    drive.until(16)
    assert drive.who == [(0, "ann"), (4, "bobby"), (8, "anna")]
    assert drive.said("bob is not in the file any more; paging bobby instead (policy main as the")


def test_the_step_in_the_place_of_a_lost_one_is_found_though_others_were_added_before_it() -> None:
    drive = driven()
    drive.until(MINUTE)
    new = renamed(FILE, "bob", "bobby")
    new["escalation_policies"][0]["steps"].insert(0, {"notify": {"users": ["cy"]}})
    reload(drive, new)
    drive.until(21 * MINUTE)
    assert (1200, "bobby") in drive.who and "cy" not in [who for _, who in drive.who]


def test_some_of_the_people_of_a_step_who_have_new_names_are_paged_beside_the_others() -> None:
    data = copy.deepcopy(FILE)
    data["escalation_policies"][0]["steps"][2] = {"notify": {"users": ["bob", "cy"]}}
    drive = driven(data)
    reload(drive, renamed(data, "bob", "bobby"))
    drive.until(20 * MINUTE)
    assert [who for at, who in drive.who if at == 1200] == ["cy", "bobby"]


@pytest.mark.parametrize(
    ("fallback", "who"), [({"user": "cy"}, ["cy"]), (None, ["eve"]), ("wait_for_shift", ["eve"])]
)
def test_without_the_policy_the_fallback_is_paged_else_the_team(
    fallback: Any, who: list[str]
) -> None:
    data = copy.deepcopy(FILE)
    if fallback:
        data["escalation_policies"][0]["if_nobody"] = fallback
    drive = driven(data)
    reload(drive, renamed(renamed(data, "main", "other"), "bob", "bobby"))
    drive.until(20 * MINUTE)
    assert [who for at, who in drive.who if at == 1200] == who


RULES = {"telegram": "1", "email": "a@example.org", "slack": "U1"}


def person_with(rules: list[dict[str, str]] | None = None, **lacks: str) -> dict[str, Any]:
    """A file with one person, who has three contacts and perhaps rules. lacks: keys of `global` that are gone."""
    person: dict[str, Any] = {"name": "ann", "contacts": RULES}
    if rules is not None:
        person["notification_rules"] = {"default": rules}
    data = copy.deepcopy(FILE)
    data["global"] = {key: value for key, value in data["global"].items() if key not in lacks}
    data["users"][0] = person
    return data


def rules(*words: str) -> list[dict[str, str]]:
    return [{"wait": word} if word[0].isdigit() else {"notify": word} for word in words]


def channels_after(drive: Drive, seconds: float) -> list[str]:
    drive.until(seconds)
    return [channel for _, who, channel in drive.pages if who == "ann"]


def test_a_contact_that_cannot_be_delivered_to_any_more_does_not_hide_a_later_one() -> None:
    drive = driven(person_with())
    assert channels_after(drive, 299) == ["telegram"]
    reload(drive, person_with(telegram_bot_token=""))
    assert channels_after(drive, 3600) == ["telegram", "email", "slack"]


@pytest.mark.parametrize(
    ("now", "paged"),
    [
        (("email", "5m", "slack"), ["telegram", "email", "slack"]),
        (("telegram",), ["telegram"]),
        (("slack", "5m", "telegram", "5m", "email"), ["telegram", "slack", "email"]),
        (("telegram", "1m", "telegram", "5m", "email"), ["telegram", "telegram", "email"]),
        (("5m", "telegram", "5m", "email"), ["telegram", "email"]),
    ],
)
def test_no_contact_is_missed_or_paged_twice_where_rules_change_while_they_run(
    now: tuple[str, ...], paged: list[str]
) -> None:
    drive = driven(person_with(rules("telegram", "5m", "email", "5m", "slack")))
    assert channels_after(drive, 299) == ["telegram"]
    reload(drive, person_with(rules(*now)))
    assert channels_after(drive, 3600) == paged
