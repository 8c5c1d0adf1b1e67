"""What any JSON object says: which alert it is, whether it is over, and what a page tells of it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from amproxy.accept.body import MAX_DEPTH, PushRefused
from amproxy.accept.told import MAX_QUOTE_LENGTH, MAX_TOLD, ToldAlert, tell
from amproxy.accept.words import is_over, without_state
from amproxy.config.structs import SourceMapping


def all_told(payload: dict[str, Any], **mapping: Any) -> list[ToldAlert]:
    wanted = SourceMapping(**mapping) if mapping else None
    return tell(payload, json.dumps(payload).encode(), "kuma", wanted)


def told(payload: dict[str, Any], **mapping: Any) -> ToldAlert:
    [alert] = all_told(payload, **mapping)
    return alert


def identity(**payload: Any) -> str:
    return told(payload).identity


# Which alert it is


@pytest.mark.parametrize(
    "key",
    ["alert_uid", "dedup_key", "incident_key", "event_id", "alertUID", "dedupKey", "problem-id"],
)
def test_an_id_alone_tells_which_alert_it_is(key: str) -> None:
    begun = told({key: "u1", "title": "Shop is down", "state": "alerting", "message": "m"})
    assert told({key: "u1", "state": "ok"}).identity == begun.identity == "id:u1"
    assert told({key: "u1", "state": "ok"}).state == "resolved"
    assert identity(**{key: "u2", "title": "Shop is down", "state": "alerting"}) != begun.identity


def test_an_id_is_found_in_nested_objects_and_none_of_another_thing_is_taken_for_it() -> None:
    event = {"title": "TypeError: x", "incident_id": "e1"}
    assert identity(kind="x", data={"event": event}) == "id:e1"
    assert identity(alert={"id": 7, "name": "Disk"}, status="firing") == "id:7"
    by_user = identity(title="Disk", state="down", user={"id": 5})
    assert by_user == identity(title="Disk", state="down", user={"id": 6}) == "title:disk"


def test_the_id_of_a_rule_is_not_yet_that_of_an_alert() -> None:
    rule = {"rule_id": 5, "title": "Load", "state": "down"}
    assert identity(**rule) == "id:5"
    assert identity(**rule, host="a") != identity(**rule, host="b")
    assert identity(rule_id=5, host="a", state="ok") == identity(**rule, host="a")


def test_a_long_id_is_told_from_another_that_begins_like_it() -> None:
    long = "x" * 5_000
    assert identity(alert_uid=long + "1") != identity(alert_uid=long + "2")
    assert len(told({"alert_uid": long}).uid) <= 200


def test_the_title_tells_alerts_of_a_sender_that_tells_states() -> None:
    begun = identity(title="Uptime", state="down", labels={"duration": "5s"})
    assert identity(title="Uptime", state="up", labels={"duration": "65s"}, x=1) == begun
    assert identity(title="Other", state="down") != begun
    assert identity(title="Uptime", state="down", host="db1") != begun


def test_without_any_state_each_distinct_body_is_an_alert_of_its_own() -> None:
    first = identity(title="Backup failed", message="vm 100 failed", priority=5)
    assert identity(message="vm 100 failed", priority=5, title="Backup failed") == first
    assert identity(title="Backup failed", message="vm 200 failed", priority=5) != first
    assert identity(a=1) != identity(a=2)


def test_the_end_finds_what_began_with_a_title_alone() -> None:
    assert identity(title="Backup") == identity(title="Backup", state="ok", message="fine")


@pytest.mark.parametrize(
    ("begun", "ended"),
    [
        ("[Alerting] CPU", "[OK] CPU"),
        ("[FIRING:2] CPU (db1)", "[RESOLVED:2] CPU (db1)"),
        ("[Triggered on {host:a}] CPU", "[Recovered on {host:a}] CPU"),
        ("Problem: Load", "Resolved in 5m 3s: Load"),
        ("🔴 Down: shop", "✅ Up: shop"),
        ("ALARM: cpu", "OK: cpu"),
    ],
)
def test_a_state_before_the_title_is_a_state_and_no_part_of_the_title(
    begun: str, ended: str
) -> None:
    first, last = told({"title": begun}), told({"title": ended})
    assert (first.state, last.state) == ("firing", "resolved")
    assert first.identity == last.identity


def test_a_title_that_only_begins_like_a_state_is_left_alone() -> None:
    for title in ("Okay Corral", "Upload failed", "Error: x", "[eu1] CPU", "12:30 report"):
        assert told({"title": title}).state == "firing"
    assert without_state("[eu1] CPU") == "[eu1] cpu"


def test_zabbix_own_message_names_the_problem() -> None:
    def mail(subject: str, number: int) -> ToldAlert:
        text = f"Host: db1\nSeverity: High\nOriginal problem ID: {number}\n"
        return told({"To": "amproxy", "Subject": subject, "Message": text})

    begun, ended = mail("Problem: Load", 71), mail("Resolved in 5m 3s: Load", 71)
    assert begun.identity == ended.identity != mail("Problem: Load", 72).identity
    assert (begun.state, ended.state) == ("firing", "resolved")


# Whether it is over


@pytest.mark.parametrize(
    "word",
    """ok OK  RESOLVE resolved Recovered recovery cleared clear closed close green up normal healthy
    passing pass success succeeded inactive online 0 fixed alert.resolved INCIDENT_CLOSED
    Восстановлено""".split(),  # noqa: SIM905
)
def test_words_for_the_end(word: str) -> None:
    for state in (word, f"  {word}\n", word.lower()):
        assert told({"title": "W", "state": state}).state == "resolved", state


def test_zero_and_flags_end_and_false_ends_nothing() -> None:
    assert told({"title": "W", "status": 0}).state == "resolved"
    assert told({"title": "W", "resolved": True}).state == "resolved"
    assert told({"title": "W", "status": False}).state == "firing"
    assert told({"title": "W", "resolved": False}).state == "firing"
    assert told({"title": "W", "severity": "clear"}).state == "resolved"


@pytest.mark.parametrize(
    "word",
    ["alerting", "not ok", "NOT_OK", "partially resolved", "no_data", "7", "down", "x" * 999],
)
def test_other_words_do_not_end(word: str) -> None:
    assert not is_over(word)
    assert told({"title": "W", "state": word}).state == "firing"


def test_a_state_is_found_in_nested_objects_but_not_in_those_of_strangers() -> None:
    assert told({"name": "x", "check": {"result": {"status": "passing"}}}).state == "resolved"
    assert told({"event": "alert", "data": {"title": "x", "state": "ok"}}).state == "resolved"
    assert told({"status": 200, "alert": {"name": "x", "state": "closed"}}).state == "resolved"
    assert told({"title": "Deploy failed", "response": {"status": "ok"}}).state == "firing"
    assert told({"title": "x", "state": "down", "details": {"status": "ok"}}).state == "firing"
    assert told({"title": "x", "previous": {"state": "ok"}}).state == "firing"


# What a page tells


def test_title_text_severity_and_link_are_found_in_nested_objects() -> None:
    alert = told(
        {
            "version": 3,
            "data": {
                "incident": {
                    **{"title": "Disk full", "description": "1 % free", "severity": "CRITICAL"},
                    "html_url": "https://tickets.example/7",
                },
                "author": {"name": "Person", "url": "https://people.example/5"},
            },
        }
    )
    assert (alert.title, alert.text) == ("Disk full", "1 % free")
    assert (alert.severity, alert.link) == ("critical", "https://tickets.example/7")


def test_only_addresses_of_the_web_are_links() -> None:
    assert told({"title": "x", "url": "javascript:alert(1)"}).link == ""
    assert told({"title": "x", "link": "db1", "url": "https://a.example"}).link == (
        "https://a.example"
    )


def test_what_an_alert_is_about_and_its_tags_become_labels() -> None:
    assert told({"title": "x", "host": "db1", "service": "pg", "load": 5}).labels == {
        "host": "db1",
        "service": "pg",
    }
    assert told({"title": "x", "tags": ["env:prod", "a", "http://x"]}).labels == {"env": "prod"}
    pairs = [{"tag": "service", "value": "pg"}, {"name": "n", "value": 5}, {"tag": 1}, 7]
    assert told({"title": "x", "tags": pairs}).labels == {"service": "pg", "n": "5"}
    assert told({"state": "down", "host": "db1", "service": "pg"}).title == "pg on db1"


@pytest.mark.parametrize(
    ("payload", "word"),
    [
        ({"foo": {"bar": 17}}, '"bar": 17'),
        ({"a": [1, 2, "drei"]}, "drei"),
        ({"a": "x" * 100_000}, "xxx"),
        ({"message": "disk is full\nsecond line"}, "disk is full"),
        ({"msg": "disk is full"}, "disk is full"),
        ({"labels": {"alertname": "Disk"}, "x": 1}, "Disk"),
        ({}, "{}"),
    ],
)
def test_no_page_without_a_word_of_its_payload(payload: dict[str, Any], word: str) -> None:
    alert = told(payload)
    assert word in f"{alert.title}\n{alert.text}"
    assert len(alert.title) <= 200 and len(alert.text) <= MAX_QUOTE_LENGTH


def test_what_opens_a_door_is_neither_quoted_nor_kept() -> None:
    alert = told({"routing_key": "R0UT1NG", "service_key": "S3RV1CE", "x": 1})
    assert "R0UT1NG" not in str(alert) and "S3RV1CE" not in str(alert)


# Hostile bodies


def test_a_body_nested_too_deeply_is_refused() -> None:
    deep: Any = "x"
    for _ in range(MAX_DEPTH + 5):
        deep = {"k": deep}
    with pytest.raises(PushRefused) as refused:
        told({"title": "x", "deep": deep})
    assert refused.value.status == 422


def test_a_message_of_sns_that_is_broken_or_too_deep_is_told_as_text() -> None:
    envelope = {"Type": "Notification", "MessageId": "m", "Subject": "s"}
    for message in ("{broken", '{"a":' * 500 + "1" + "}" * 500, "[1]", '{"a":' * 100_000):
        assert told({**envelope, "Message": message}).title == "s"


@pytest.mark.parametrize("odd", [None, True, [], {}, [[]], 1e308, 10**30, "\x00", "\u202e", " "])
def test_odd_values_in_any_field_are_no_crash(odd: Any) -> None:
    names = """title name state status severity message tags labels alert_uid id url action event
    data heartbeat monitor Type Message incident issue payload event_action host""".split()  # noqa: SIM905
    for name in names:
        assert told({name: odd}).title
        assert told({"data": {name: odd}, "title": "t"}).title == "t"
    assert told(dict.fromkeys(names, odd)).title


def test_many_keys_and_objects_are_not_all_looked_through() -> None:
    wide = {f"k{number}": {"a": number} for number in range(20_000)}
    assert told({"title": "t", **wide}).title == "t"
    assert len(told({"title": "t", "tags": {f"t{n}": "x" for n in range(5_000)}}).labels) <= 64


# The mapping of a source


def test_a_mapping_says_where_things_are_by_path_or_template() -> None:
    payload = {
        "code": 7,
        "what": {"name": "Till stuck", "long": "Drawer 3"},
        "level": 3,
        "who": [{"mail": "POS"}],
    }
    alert = told(
        payload,
        identity="{{ code }}/{{ payload.level }}",
        title="what.name",
        text="{{ what.long | upper }}",
        state="{{ 'ok' if level < 2 else 'bad' }}",
        severity="{{ 'critical' if level > 2 }}",
        link="https://none|nowhere",
        labels={"team": "who.0.mail", "empty": "who.1.mail"},
    )
    assert (alert.identity, alert.title, alert.text) == ("id:7/3", "Till stuck", "DRAWER 3")
    assert (alert.state, alert.severity, alert.link) == ("firing", "critical", "")
    assert (alert.labels, alert.faults) == ({"team": "POS"}, [])
    assert told({**payload, "level": 1}, state="{{ 'ok' if level < 2 }}").state == "resolved"


def test_each_names_a_list_of_alerts() -> None:
    items = [{"name": "a", "state": "down"}, 5, {"name": "b", "state": "up"}]
    first, second = all_told({"batch": {"items": items}}, each="batch.items")
    assert (first.title, first.state) == ("a", "firing")
    assert (second.title, second.state) == ("b", "resolved")
    for wrong in (None, "x", {}, [{}] * (MAX_TOLD + 1)):
        with pytest.raises(PushRefused) as refused:
            all_told({"batch": {"items": wrong}}, each="batch.items")
        assert refused.value.status == 422 and "batch.items" in refused.value.detail


def test_a_template_that_fails_loses_no_page() -> None:
    alert = told({"title": "Disk", "level": "x"}, title="{{ a.b.c }}", state="{{ level + 1 }}")
    assert (alert.title, alert.state, len(alert.faults)) == ("Disk", "firing", 2)
    assert alert.faults[0].startswith("title: ") and alert.faults[1].startswith("state: ")


def test_a_template_reaches_nothing_but_the_payload() -> None:
    alert = told({"title": "t"}, text="{{ ''.__class__.__mro__ }}", severity="{{ range }}x")
    assert (alert.text, alert.severity) == ("", "x")
