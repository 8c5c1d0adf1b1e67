"""What `amproxy replay` says: whom a changed file would have paged differently over what really happened."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from amproxy.cli import main
from amproxy.config.structs import Flapping, NotifyStep, Policy, Wait, WaitForAlertsStep
from amproxy.simulation.replay import Replay, replay_document
from amproxy.simulation.reports import replay_text
from amproxy.simulation.simulate import parse_silence
from tests.support.simulation.files import MONDAY, ROOT, config, oncall, route, upgrade
from tests.support.simulation.past import lines, replayed, week

CAROL_ALONE = Policy(name="main", steps=(NotifyStep(users=("carol",)),))
ALICE_ALONE = Policy(name="main", steps=(NotifyStep(users=("alice",)),))


def text(found: Replay) -> str:
    told = replay_text(found)
    assert all(len(line) <= 80 for line in told.splitlines())
    return " ".join(told.split())


def calls(found: list[Any]) -> list[tuple[str, str]]:
    return [(call.user or call.receiver, call.channel) for call in found]


def eventful(line: bytes, *events: dict[str, Any], until: float = 3600.0) -> bytes:
    """A line with other events between its opening and its end, `until` seconds later."""
    value = msgspec.json.decode(line)
    opened = value["events"][0]
    start = datetime.fromisoformat(opened["at"])
    timed = [
        event | {"at": (start + timedelta(seconds=event["at"])).isoformat()} for event in events
    ]
    end = {"at": (start + timedelta(seconds=until)).isoformat(), "kind": "resolve", "by": "source"}
    value["events"] = [opened, *timed, end]
    return msgspec.json.encode(value)


def test_an_unchanged_file_changes_nothing() -> None:
    found = replayed(week(config(), answers=[("bob", 700.0)]), config())
    assert len(found.incidents) == 7 and found.different == []
    assert replay_document(found, [])["differences"] == 0
    assert "7 incidents would have paged the same people at the same times (to a minute)." in text(
        found
    )


def test_pages_only_before_and_only_now_are_told_with_totals_for_each_person() -> None:
    late = MONDAY.replace(hour=23)
    found = replayed(
        lines(config(policies=(ALICE_ALONE,)), at=late), config(policies=(CAROL_ALONE,))
    )
    [one] = found.incidents
    assert calls(one.only_before) == [("alice", "telegram"), ("alice", "email")] and calls(
        one.only_now
    ) == [("carol", "telegram")]
    answer = replay_document(found, [])
    assert answer["differences"] == 1
    assert answer["people"] == {
        "alice": {"before": 2, "now": 0, "night_before": 2, "night_now": 0},
        "carol": {"before": 0, "now": 1, "night_before": 0, "night_now": 1},
    }
    assert answer["incidents"][0]["before"] == {"receiver": "people", "policy": "main"}
    assert answer["incidents"][0]["now"] == [{"receiver": "people", "policy": "main"}]
    told = text(found)
    assert "1 incident would have paged differently" in told
    assert "- 23:00:30 Alice Ash over telegram" in told and "+ 23:00:30 carol over telegram" in told


def test_an_incident_that_would_have_reached_nobody_comes_first_and_loudly() -> None:
    past = [
        *lines(config(policies=(ALICE_ALONE,))),
        *lines(config(policies=(ALICE_ALONE,)), {"alertname": "Up", "team": "b"}, number=2),
    ]
    found = replayed(past, config(route("people", 'team="b"'), policies=(CAROL_ALONE,)))
    assert [one.reaches_nobody for one in found.incidents] == [True, False]
    told = text(found)
    assert told.index("1 INCIDENT WOULD HAVE REACHED NOBODY") < told.index(
        "1 incident would have paged differently"
    )
    assert (
        "#1 Down, Mon 2026-01-05 09:00 receiver people, policy main; now no receiver that pages anybody"
        in told
    )
    assert "before: 2 pages to Alice Ash" in told


def test_an_answer_still_counts_though_the_one_who_gave_it_would_not_have_been_paged() -> None:
    past = lines(config(), answers=[("alice", 60.0)])
    found = replayed(
        past,
        config(
            policies=(
                Policy(name="main", steps=(Wait(seconds=300.0), NotifyStep(users=("carol",)))),
            )
        ),
    )
    assert calls(found.incidents[0].only_now) == [] and found.incidents[0].reaches_nobody


def test_people_who_put_it_off_and_withdrew_their_answer_do_so_again() -> None:
    [line] = lines(config(policies=(ALICE_ALONE,)))
    until = (MONDAY + timedelta(seconds=2400)).isoformat()
    past = eventful(
        line,
        {"at": 60, "kind": "snooze", "user": "bob", "until": until},
        {"at": 3000, "kind": "acknowledge", "user": "bob"},
        {"at": 3300, "kind": "unacknowledge", "user": "bob"},
    )
    [one] = replayed([past], config(policies=(CAROL_ALONE,))).incidents
    assert [round(call.at - MONDAY.timestamp()) for call in one.only_now] == [30, 2400, 3330]


def test_of_two_receivers_of_one_alert_the_one_that_stays_speaks_for_it() -> None:
    both = config(
        route("people", continue_=True),
        route("second"),
        receivers=(oncall("second", "other"),),
        policies=(ALICE_ALONE, replace(CAROL_ALONE, name="other")),
    )
    past = lines(both)
    assert len(past) == 2 and replayed(past, both).different == []
    found = replayed(past, config(route("people"), policies=(ALICE_ALONE,)))
    assert [(one.different, one.reaches_nobody, one.part_of) for one in found.incidents] == [
        (False, False, 0),
        (True, False, 1),
    ]
    assert "now part of #1" in text(found)


def test_a_receiver_that_is_new_is_paged_once_for_each_incident() -> None:
    old = config(policies=(ALICE_ALONE,))
    new = config(
        route("people", continue_=True),
        route("second"),
        receivers=(oncall("second", "other"),),
        policies=(ALICE_ALONE, replace(CAROL_ALONE, name="other")),
    )
    assert [calls(one.only_now) for one in replayed(week(old), new).incidents] == [
        [("carol", "telegram")]
    ] * 7


def test_incidents_that_come_into_one_group_become_one() -> None:
    old = config(policies=(ALICE_ALONE,))
    first = lines(old, {"alertname": "Down", "team": "a"})
    second = lines(
        old, {"alertname": "Slow", "team": "a"}, at=MONDAY + timedelta(minutes=10), number=2
    )
    together = replace(ROOT, group_by=("team",))
    found = replayed([*first, *second], config(root=together, policies=(ALICE_ALONE,)))
    assert [one.part_of for one in found.incidents] == [0, 1]
    assert found.incidents[0].different is False and calls(found.incidents[1].only_now) == []


def test_alerts_that_come_back_soon_are_the_same_incident_and_flap() -> None:
    old = config(policies=(ALICE_ALONE,))
    past = [
        line
        for n in range(4)
        for line in lines(old, at=MONDAY + timedelta(minutes=20 * n), number=n + 1, over=240.0)
    ]  # each is over when the group is looked at again, after 5 m 30 s
    calm = replace(
        ALICE_ALONE, reopen_within=3600.0, flapping=Flapping(more_than=1, within=7200.0, hold=900.0)
    )
    found = replayed(past, config(policies=(calm,)))
    assert [calls(one.only_before) for one in found.incidents] == [
        [],
        [],
        [("alice", "telegram")],
        [("alice", "telegram")],
    ]
    assert [one.part_of for one in found.incidents] == [0, 0, 0, 0]


def test_what_a_maintenance_window_would_have_held_back_is_not_paged() -> None:
    found = replayed(
        lines(config(), over=1200.0),
        config(maintenance=upgrade("2026-01-05T08:00", "2026-01-05T12:00")),
    )
    assert found.incidents[0].reaches_nobody


def test_an_incident_that_a_silence_held_is_held_again_and_said_to_be_uncertain() -> None:
    silence = parse_silence('team="a" @5m-30m', MONDAY)
    found = lines(config(), silences=[silence])
    [one] = replayed(found, config()).incidents
    assert not one.different and [call.user for call in one.same] == [
        "alice",
        "alice",
        "bob",
        "",
        "bob",
    ]
    assert one.uncertain == ["its alerts were muted for a while, and are taken to be muted again"]


def test_alerts_that_join_an_incident_count_for_a_step_that_waits_for_them() -> None:
    many = Policy(
        name="main",
        steps=(WaitForAlertsStep(more_than=4, within=3600.0), NotifyStep(users=("carol",))),
    )
    [line] = lines(config(policies=(ALICE_ALONE,)))
    joined = {"at": 600, "kind": "alerts", "firing": 6, "resolved": 0, "fresh": 5}
    [one] = replayed([eventful(line, joined)], config(policies=(many,))).incidents
    assert [(call.user, call.at - one.record.start) for call in one.only_now] == [("carol", 600)]
    swapped = [
        {"at": 600 + 60 * number, "kind": "alerts", "firing": 1, "resolved": 1, "fresh": 1}
        for number in range(5)
    ]
    [one] = replayed([eventful(line, *swapped)], config(policies=(many,))).incidents
    assert [(call.user, call.at - one.record.start) for call in one.only_now] == [("carol", 780)]


def test_a_contact_that_failed_then_fails_again() -> None:
    value = msgspec.json.decode(lines(config(policies=(ALICE_ALONE,)))[0])
    value["pages"][0]["state"] = "failed"
    del value["pages"][1]
    late = value["pages"][0] | {"channel": "email", "state": "sent"}
    value["pages"].append(late)
    assert replayed([msgspec.json.encode(value)], config(policies=(ALICE_ALONE,))).different == []


def test_round_robin_takes_the_turns_that_were_taken_and_what_hangs_on_them_is_uncertain() -> None:
    turn = Policy(name="main", steps=(NotifyStep(team="all", pick="round_robin"),))
    past = []
    for day, line in enumerate(week(config(policies=(turn,)))):
        value = msgspec.json.decode(line)
        user = ("bob", "carol", "alice")[day % 3]
        value["pages"] = [
            page | {"user": user} for page in value["pages"] if page["channel"] == "telegram"
        ]
        past.append(msgspec.json.encode(value))
    telegram = tuple(
        replace(user, contacts={"telegram": user.contacts["telegram"]})
        for user in config().users.values()
    )
    assert replayed(past, config(policies=(turn,), users=telegram)).different == []
    two = Policy(name="main", steps=(NotifyStep(users=("alice", "bob"), pick="round_robin"),))
    uncertain = [
        one.uncertain for one in replayed(past, config(policies=(two,), users=telegram)).different
    ]
    assert uncertain and all(
        "whose turn it is in a round robin hangs on what came before" in why for why in uncertain
    )


def test_what_people_did_by_hand_is_told_as_uncertain() -> None:
    [line] = lines(config())
    [one] = replayed(
        [eventful(line, {"at": 60, "kind": "escalate", "user": "bob"}, until=70.0)], config()
    ).incidents
    assert one.uncertain == ["somebody ran the next step by hand"]


def test_an_incident_that_was_part_of_another_for_a_while_fires_again_and_is_uncertain() -> None:
    [line] = lines(config(policies=(ALICE_ALONE,)))
    past = eventful(
        line,
        {"at": 60, "kind": "resolve", "user": "bob", "by": "merged", "ended": "merged"},
        {"at": 2000, "kind": "unmerge", "user": "bob", "firing": 1},
    )
    [one] = replayed([past], config(policies=(CAROL_ALONE,))).incidents
    assert [round(call.at - MONDAY.timestamp()) for call in one.only_now] == [30, 2030]
    assert "it was part of another incident for a while" in one.uncertain


def test_an_incident_that_was_opened_by_hand_follows_its_policy_and_is_uncertain() -> None:
    value = msgspec.json.decode(lines(config(policies=(ALICE_ALONE,)))[0])
    value["labels"] |= {"group_key": None, "receiver": None}
    value["events"][0]["user"] = "bob"
    [one] = replayed([msgspec.json.encode(value)], config(policies=(CAROL_ALONE,))).incidents
    assert calls(one.only_now) == [("carol", "telegram")]
    assert one.uncertain == ["it was opened by hand"]


def test_what_is_still_open_at_the_export_is_followed_no_further() -> None:
    [line] = lines(config(), over=None)
    value = msgspec.json.decode(line)
    value["pages"] = value["pages"][:2]
    assert replayed([msgspec.json.encode(value)], config()).different == []


# ------------------------------------------------------------------------------------------------------- the command

FILE = """
route: {receiver: people, group_by: [alertname]}
receivers: [{name: people, oncall_configs: [{escalation_policy: main}]}]
users: [{name: bob, contacts: {console: here}}]
escalation_policies: [{name: main, steps: [{notify: {users: [bob]}}]}]
"""


@pytest.fixture
def replay(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Run the command on some lines → exit status, stdout, stderr."""
    (tmp_path / "routes.yaml").write_text(FILE)

    def run(past: list[bytes], *more: str) -> tuple[int, str, str]:
        (tmp_path / "past.ndjson").write_bytes(b"\n".join(past))
        with pytest.raises(SystemExit) as ended:
            main(
                [
                    "replay",
                    str(tmp_path / "past.ndjson"),
                    "--config",
                    str(tmp_path / "routes.yaml"),
                    *more,
                ]
            )
        printed = capsys.readouterr()
        return int(ended.value.code or 0), printed.out, printed.err.replace(str(tmp_path), "")

    return run


def test_a_broken_line_is_named_and_loses_nothing_else(
    replay: Callable[..., tuple[int, str, str]],
) -> None:
    good = lines(config())
    status, out, err = replay(
        [*good, b'{"format": "amproxy.history/9"}', b"", b"\xff{", *good], "--json"
    )
    assert status == 1
    assert [line.partition(": error: ")[0] for line in err.splitlines()] == [
        "/past.ndjson:2",
        "/past.ndjson:4",
    ]
    answer = json.loads(out)
    assert len(answer["incidents"]) == 2 and [one["line"] for one in answer["broken"]] == [2, 4]


def test_the_command_exits_0_whatever_would_have_been_different(
    replay: Callable[..., tuple[int, str, str]],
) -> None:
    status, out, err = replay(week(config()))
    assert (status, err) == (0, "") and "7 incidents would have paged differently" in out


def test_only_incidents_that_began_between_two_times_are_replayed(
    replay: Callable[..., tuple[int, str, str]],
) -> None:
    _, out, _ = replay(week(config()), "--from", "2026-01-06", "--to", "2026-01-08", "--json")
    assert [one["number"] for one in json.loads(out)["incidents"]] == [2, 3]
    _, out, _ = replay(week(config()), "--from", "2027-01-06")
    assert out == "The history has no incidents in that time.\n"


def test_a_file_that_is_not_there_is_an_error_without_a_trace(
    replay: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    status, _, err = replay([], "--config", str(tmp_path / "nowhere.yaml"))
    assert status == 1 and "Traceback" not in err
