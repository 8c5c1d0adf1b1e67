"""What `amproxy explain` says: where an alert goes, whom it pages at once, and why not the others."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from msgspec.structs import replace

from amproxy.config.structs import (
    Config,
    InhibitRule,
    Notify,
    NotifyStep,
    Policy,
    User,
    Wait,
    WaitUntilStep,
)
from amproxy.labels.matchers import parse_matchers
from amproxy.oncall.roster import Roster
from amproxy.simulation.explain import explain, explain_text
from amproxy.text import Phrase
from tests.support.simulation.files import (
    ALICE,
    BOB,
    CAROL,
    MONDAY,
    ROOT,
    away,
    chat,
    config,
    oncall,
    route,
)

DOWN = {"alertname": "Down", "team": "a"}
NIGHT = MONDAY.replace(hour=23)


def asked(found: Config, labels: dict[str, str] = DOWN, at: Any = MONDAY) -> dict[str, Any]:
    return explain(found, labels, at, Roster(found))


def told(found: Config, labels: dict[str, str] = DOWN, at: Any = MONDAY) -> str:
    text = explain_text(found, labels, at, Roster(found))
    assert all(len(line) <= 80 for line in text.splitlines())
    return text


def why_not(text: str, name: str) -> str:
    """The reason for one person, unwrapped."""
    lines = iter(text.partition("Not paged now\n")[2].partition("\n\n")[0].split("\n  "))
    whole = " ".join(line.strip() for line in lines)
    return whole.partition(f"{name}: ")[2]


def test_an_alert_pages_at_once_whoever_is_on_call() -> None:
    assert asked(config()) == {
        "receivers": ["people"],
        "groups": [
            {
                "receiver": "people",
                "group_labels": {"alertname": "Down"},
                "group_key": '{}/{}:{alertname="Down"}',
                "muted_by": [],
            }
        ],
        "pages": [
            {
                "at": "2026-01-05T09:00:00.000Z",
                "user": "alice",
                "channel": "telegram",
                "policy": "main",
                "step": 1,
                "reason": "on call for main: layer weekly",
            }
        ],
    }


def test_every_route_that_matches_is_named_in_order_and_pages_for_itself() -> None:
    found = config(
        route("people", 'team="a"', continue_=True),
        route("chat", 'team="a"', continue_=True),
        route("second", 'alertname="Down"'),
        route("never"),
        receivers=(oncall("second", "other"), oncall("never", "main")),
        policies=(
            *config().policies.values(),
            Policy(name="other", steps=(NotifyStep(users=("bob",)),)),
        ),
    )
    answer = asked(found)
    assert answer["receivers"] == ["people", "chat", "second"]
    assert [group["receiver"] for group in answer["groups"]] == ["people", "chat", "second"]
    assert [(page["user"], page["policy"]) for page in answer["pages"]] == [
        ("alice", "main"),
        ("bob", "other"),
    ]


def test_a_label_with_an_empty_value_counts_as_absent() -> None:
    found = config(root=replace(ROOT, group_by_all=True))
    assert asked(found, {"alertname": "Down", "team": ""})["groups"][0]["group_labels"] == {
        "alertname": "Down"
    }


def test_a_muted_group_names_the_interval_and_pages_nobody() -> None:
    found = config(route("people", mute_time_intervals=("nights",)))
    answer = asked(found, at=NIGHT)
    assert (answer["groups"][0]["muted_by"], answer["pages"]) == (["nights"], [])
    text = told(found, at=NIGHT)
    assert "muted by nights until Tue 2026-01-06 07:00 UTC" in text
    assert "Paged now: nobody, because the group is muted by nights" in text


def test_a_group_outside_its_active_intervals_is_muted_by_them() -> None:
    found = config(route("people", active_time_intervals=("office",)))
    assert asked(found, at=NIGHT)["groups"][0]["muted_by"] == ["office"]
    assert "muted outside of office until Tue 2026-01-06 09:00 UTC" in told(found, at=NIGHT)
    assert asked(found)["groups"][0]["muted_by"] == []


def test_the_text_shows_the_matcher_at_which_a_route_failed() -> None:
    text = told(
        config(
            route("people", 'team="b"'),
            route("chat", 'zone="x"'),
            route("people", 'team="a"'),
            route("chat"),
        )
    )
    assert '- people {team="b"}: team="b" does not hold, it is \'a\'' in text
    assert '- chat {zone="x"}: zone="x" does not hold, there is no label zone' in text
    assert '* people {team="a"}: lands here' in text
    assert "the routes after it are not looked at" in text


def test_the_text_says_that_nobody_is_paged_where_no_receiver_pages() -> None:
    found = config(route("chat"), receivers=())
    assert "Nobody is paged" in told(found)
    assert asked(found)["pages"] == []


def test_a_receiver_that_cannot_be_told_says_why() -> None:
    reason = Phrase("undeliverable.no_slack_channel")
    found = config(
        route("phones"),
        receivers=(chat("phones", "slack", undeliverable=reason),),
    )
    assert "channel is missing, which an app token needs" in " ".join(told(found).split())


def test_the_text_warns_of_what_would_inhibit_the_alert() -> None:
    rule = InhibitRule(
        source_matchers=tuple(parse_matchers('severity="critical"')),
        target_matchers=tuple(parse_matchers("team=a")),
        equal=("cluster",),
    )
    assert (
        'would be inhibited while an alert {severity="critical"} with the same cluster'
        in " ".join(told(config(inhibit_rules=(rule,))).split())
    )
    assert "inhibited" not in told(
        config(inhibit_rules=(rule,)), {"alertname": "Down", "team": "b"}
    )


def test_the_policy_is_told_in_words() -> None:
    policy = Policy(
        name="main",
        repeat=2,
        acknowledge_timeout=14400.0,
        steps=(
            NotifyStep(schedule="main"),
            Wait(seconds=300.0),
            WaitUntilStep(interval="office"),
            NotifyStep(team="all", pick="round_robin", matchers=('severity="page"',)),
            NotifyStep(users=("alice",), urgency="important", active_time_intervals=("office",)),
        ),
    )
    text = told(config(policies=(policy,)))
    for words in (
        "1. page who is on call for schedule main",
        "2. wait 5m",
        "3. wait until office",
        '4. page one member in turn of team all, only where severity="page"',
        "5. page Alice Ash, as important, only in office",
        "then again, 2 times",
        "runs out after 4h",
    ):
        assert words in text


def test_a_policy_that_waits_first_pages_nobody_now_and_says_until_when() -> None:
    policy = Policy(
        name="main", steps=(WaitUntilStep(interval="office"), NotifyStep(schedule="main"))
    )
    found = config(policies=(policy,))
    assert asked(found, at=NIGHT)["pages"] == []
    assert "Next: wait until office (Tue 2026-01-06 09:00 UTC)" in told(found, at=NIGHT)


def test_others_are_told_when_their_shift_or_their_page_comes() -> None:
    text = told(config())
    assert why_not(text, "Bob Birch").startswith(
        "not on call for main until Mon 2026-01-12 09:00; paged at +10m00s over telegram if nobody answers (step 3:"
    )
    assert why_not(text, "carol").startswith("not on call for main until Mon 2026-01-19 09:00")
    assert "Alice Ash:" not in text


def test_somebody_absent_is_told_as_absent_until_the_end_on_the_schedules_clock() -> None:
    absent = replace(
        away(ALICE, "2026-01-01T00:00", "2026-01-07T00:00", "holidays"), timezone="Europe/Berlin"
    )
    text = told(config(users=(absent, BOB, CAROL)))
    assert why_not(text, "Alice Ash").startswith("absent until Tue 2026-01-06 23:00 (holidays)")
    assert "Bob Birch over telegram (step 1" in text


def test_people_without_a_contact_that_works_are_told_as_such_and_the_next_step_does_not_wait() -> (
    None
):
    deaf, nowhere = User(name="alice", contacts={"phone": "+49170"}), User(name="carol")
    found = config(users=(deaf, BOB, nowhere))
    assert [(page["user"], page["step"]) for page in asked(found)["pages"]] == [("bob", 3), ("", 4)]
    text = told(found)
    assert "alice cannot be reached over any contact" in text
    assert why_not(text, "alice").startswith(
        "has no contact that amproxy can use (phone_call: amproxy cannot deliver over it yet)"
    )
    assert "carol: has no contact;" in text


def test_a_contact_that_amproxy_cannot_use_gives_way_to_the_next_at_once() -> None:
    rules = (Notify(channels=("phone_call",)), Wait(seconds=300.0), Notify(channels=("email",)))
    phoned = User(
        name="alice",
        contacts={"phone": "+49170", "email": "a@example.org"},
        notification_rules={"default": rules},
    )
    found = config(users=(phoned, BOB, CAROL))
    assert [page["channel"] for page in asked(found)["pages"]] == ["email"]
    assert "phone_call to alice: not sent, amproxy cannot deliver over it yet" in told(found)


def test_an_alert_cannot_steer_the_terminal() -> None:
    hostile = {"alertname": "Down\x1b[31m\x07", "team": "a\n\u202eb\u2028c", "long": "x" * 500}
    found = config(root=replace(ROOT, group_by_all=True))
    text = told(found, hostile)
    assert all(char.isprintable() or char == "\n" for char in text)


def test_the_time_zone_of_the_alerts_schedule_is_used() -> None:
    schedules = tuple(replace(one, timezone="Asia/Tbilisi") for one in config().schedules.values())
    assert "Mon 2026-01-05 13:00 Asia/Tbilisi" in told(config(schedules=schedules))
    assert (
        asked(config(schedules=schedules), at=MONDAY + timedelta(days=7))["pages"][0]["user"]
        == "bob"
    )
