"""Silences through the API: what is taken, what is refused and how, their order, their end, two writers at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from amproxy.grouping import silences
from amproxy.labels.matchers import Matcher
from amproxy.model import Silence
from amproxy.store import muting
from amproxy.store.commit import Operations, commit
from tests.support.alertmanager.served import Api
from tests.support.redis import Redis

UNKNOWN = "00000000-0000-4000-8000-000000000001"
HOUR, DAY = 3600, 86400


def created(api: Api, *matchers: str, **more: Any) -> str:
    answer = api.silence(*matchers, **more)
    assert answer.status == 200, answer
    return str(answer.json["silenceID"])


def comments(api: Api, query: str = "") -> list[str]:
    return [silence["comment"] for silence in api.get(f"/silences{query}")]


def test_active_silences_come_first_then_pending_then_expired_ones(api: Api) -> None:
    for comment, start, end in (
        ("late", 0, 300),
        ("soon", 0, 100),
        ("later", 60, 900),
        ("next", 30, 900),
        ("first out", 0, 10),
        ("last out", 0, 20),
    ):
        created(api, 'a="b"', start=start, end=end, comment=comment)
    api.clock[0] += 25
    assert comments(api) == ["soon", "late", "next", "later", "last out", "first out"]
    assert comments(api, "?expired=false&pending=no") == ["soon", "late"]
    assert comments(api, "?active=0&expired=maybe") == ["next", "later"]


def test_filters_are_compared_letter_by_letter_and_all_must_be_there(api: Api) -> None:
    created(api, 'a="b"', 'c=~"d.*"', comment="both")
    created(api, 'a=~"b"', comment="regex")
    assert comments(api, "?filter=a%3Db") == ["both"]
    assert comments(api, "?filter=a%3Db&filter=c%3D~%22d.*%22") == ["both"]
    assert comments(api, "?filter=a%3Db&filter=c%3Ddx") == []
    assert api.ask("GET", "/api/v2/silences?filter=%7Ba%3Db%7D").status == 400


def test_annotations_and_utf8_names_come_back(api: Api) -> None:
    created(api, '"город"="Тбилиси"', annotations={"ticket": "OPS-7", "": "x"})
    (shown,) = api.get("/silences")
    assert shown["annotations"] == {"": "x", "ticket": "OPS-7"}
    assert shown["matchers"] == [
        {"isEqual": True, "isRegex": False, "name": "город", "value": "Тбилиси"}
    ]


def test_a_silence_until_the_year_9999_is_taken_and_mutes(api: Api) -> None:
    answer = api.ask(
        "POST",
        "/api/v2/silences",
        {**api.silence_body('alertname="A"'), "endsAt": "9999-12-31T23:59:59Z"},
    )
    assert answer.status == 200
    api.push({"alertname": "A"})
    assert api.get("/alerts")[0]["status"]["state"] == "suppressed"


def test_an_ended_silence_is_shown_for_five_days_and_then_forgotten(api: Api) -> None:
    old = created(api, 'a="b"', end=60)
    api.clock[0] += 60 + 5 * DAY
    assert api.get(f"/silence/{old}")["status"] == {"state": "expired"}
    api.clock[0] += 1
    assert api.get("/silences") == []
    assert api.ask("GET", f"/api/v2/silence/{old}").status == 404
    assert api.ask("DELETE", f"/api/v2/silence/{old}").status == 404
    assert api.silence('a="b"', id=old).status == 404


def test_forgotten_silences_leave_the_store_with_the_next_write(api: Api) -> None:
    created(api, 'a="b"', end=60)
    api.clock[0] += 60 + 5 * DAY + 1
    kept = created(api, 'a="c"')
    assert api.context
    assert list(api.run(api.context.silences.all(api.context.wire))) == [kept]


def test_a_refused_change_leaves_the_old_silence_alone(api: Api) -> None:
    old = created(api, 'a="b"')
    before = api.get(f"/silence/{old}")
    for wrong in (
        api.silence('a=""', id=old),
        api.silence('a="b"', id=old, end=-5),
        api.silence('a="b"', id=old, start=50, end=40),
    ):
        assert wrong.status == 400
        assert isinstance(wrong.json, str)
    assert api.get(f"/silence/{old}") == before


def test_several_sets_of_matchers_mute_what_any_of_them_fits_and_the_first_is_shown(
    api: Api,
) -> None:
    now_ns = int(api.clock[0] * 10**9)
    sets = [[Matcher("alertname", "=", "A")], [Matcher("team", "=", "b")]]
    operations = Operations()
    muting.save_silences(
        operations,
        Silence(id=UNKNOWN, matcher_sets=sets, starts_ns=now_ns, ends_ns=now_ns + HOUR * 10**9),
    )
    assert api.context
    assert api.run(commit(api.context.wire, operations))
    api.push({"alertname": "A"}, {"alertname": "B", "team": "b"}, {"alertname": "B"})
    assert [alert["labels"] for alert in api.get("/alerts?silenced=false")] == [{"alertname": "B"}]
    assert api.get(f"/silence/{UNKNOWN}")["matchers"] == [
        {"isEqual": True, "isRegex": False, "name": "alertname", "value": "A"}
    ]
    assert len(api.get("/silences?filter=team%3Db")) == 1


def test_a_change_in_place_that_lost_a_race_is_decided_anew(api: Api) -> None:
    """One comes to change, another to end the same silence: whoever is second sees what the first did."""
    for _ in range(10):
        old = created(api, 'a="b"')
        with ThreadPoolExecutor(2) as both:
            change = both.submit(api.silence, 'a="b"', id=old, comment="mine")
            end = both.submit(api.ask, "DELETE", f"/api/v2/silence/{old}")
            assert (change.result().status, end.result().status) == (200, 200)
        assert api.get(f"/silence/{old}")["comment"] in ("works", "mine")


def test_what_was_stored_meanwhile_is_not_overwritten(api: Api) -> None:
    old = created(api, 'a="b"')
    assert api.context
    wire, now_ns = api.context.wire, int(api.clock[0] * 10**9) + 1
    stored = api.run(muting.load_silence(wire, old))
    assert stored is not None
    api.clock[0] += 1
    assert api.ask("DELETE", f"/api/v2/silence/{old}").status == 200
    late = Operations()
    muting.guard_silence(late, stored)
    muting.save_silences(
        late, *silences.put_silence({old: stored.silence}, stored.silence, now_ns, "new")
    )
    assert api.run(commit(wire, late)) is False
    assert api.get(f"/silence/{old}")["status"]["state"] == "expired"


GOOD_TIMES = '"startsAt":"2020-01-01T00:00:00Z","endsAt":"2100-01-01T00:00:00Z"'
SAID = '"createdBy":"m","comment":"c"'
MATCHERS = '"matchers":[{"name":"a","value":"b","isRegex":false}]'


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ("", 422, 602),
        ("null", 422, 602),
        ("{}", 422, 602),
        ("{", 400, 400),
        ('"x"', 400, 400),
        ("[]", 400, 400),
        ("9" * 5000, 400, 400),
        ("[" * 100_000, 400, 400),
        (f'{{"matchers":[],{GOOD_TIMES},{SAID}}}', 422, 612),
        (f'{{"matchers":null,{GOOD_TIMES},{SAID}}}', 422, 602),
        (f'{{"matchers":[null],{GOOD_TIMES},{SAID}}}', 400, 400),
        (f'{{"matchers":{{}},{GOOD_TIMES},{SAID}}}', 400, 400),
        (
            f'{{"matchers":[{{"name":1,"value":"b","isRegex":false}}],{GOOD_TIMES},{SAID}}}',
            400,
            400,
        ),
        (
            f'{{"matchers":[{{"name":"a","value":"b","isRegex":"no"}}],{GOOD_TIMES},{SAID}}}',
            400,
            400,
        ),
        (
            f'{{"matchers":[{{"name":"a","value":null,"isRegex":false}}],{GOOD_TIMES},{SAID}}}',
            422,
            602,
        ),
        (f'{{{MATCHERS},"startsAt":"tomorrow","endsAt":"2100-01-01T00:00:00Z",{SAID}}}', 400, 400),
        (f'{{{MATCHERS},"startsAt":5,"endsAt":"2100-01-01T00:00:00Z",{SAID}}}', 400, 400),
        (f'{{{MATCHERS},{GOOD_TIMES},{SAID},"id":5}}', 400, 400),
        (f'{{{MATCHERS},{GOOD_TIMES},{SAID},"annotations":{{"a":1}}}}', 400, 400),
        (
            f'{{"matchers":[{{"name":"","value":"b","isRegex":false}}],{GOOD_TIMES},{SAID}}}',
            400,
            None,
        ),
        (
            f'{{"matchers":[{{"name":"a","value":"x*","isRegex":true}}],{GOOD_TIMES},{SAID}}}',
            400,
            None,
        ),
        (
            f'{{"matchers":[{{"name":"a","value":"(?=x)","isRegex":true}}],{GOOD_TIMES},{SAID}}}',
            400,
            None,
        ),
        (
            f'{{{MATCHERS},"startsAt":"2030-01-01T00:00:00Z","endsAt":"0001-01-01T00:00:00Z",{SAID}}}',
            400,
            None,
        ),
        (f"{{{MATCHERS},{GOOD_TIMES},{SAID}}} trailing", 200, None),
        (
            f'{{"MATCHERS":[{{"NAME":"a","Value":"b","isregex":false}}],{GOOD_TIMES},{SAID}}}',
            200,
            None,
        ),
        (f'{{{MATCHERS},"startsAt":"","endsAt":"2100-01-01T00:00:00Z",{SAID}}}', 200, None),
        (
            f'{{{MATCHERS},"startsAt":"0001-01-01T00:00:00Z","endsAt":"2100-01-01T00:00:00Z",{SAID}}}',
            200,
            None,
        ),
        (f'{{{MATCHERS},{GOOD_TIMES},{SAID},"id":null}}', 200, None),
        (
            '{"matchers":[{"name":"a","value":"b\\ud800","isRegex":false,"isEqual":null}],'
            + f"{GOOD_TIMES},{SAID}}}",
            200,
            None,
        ),
    ],
)
def test_bodies_are_taken_and_refused_as_alertmanager_does(
    api: Api, body: str, status: int, code: int | None
) -> None:
    answer = api.ask("POST", "/api/v2/silences", body, {"Content-Type": "application/json"})
    assert answer.status == status, answer
    if status == 200:
        assert list(answer.json) == ["silenceID"]
    elif code:
        assert answer.json["code"] == code
        assert list(answer.json) == ["code", "message"]
    else:
        assert isinstance(answer.json, str)


def test_bytes_that_are_no_utf8_become_replacement_characters(api: Api) -> None:
    body = b'{"matchers":[{"name":"a","value":"b\xff","isRegex":false}],%s,%s}' % (
        GOOD_TIMES.encode(),
        SAID.encode(),
    )
    assert api.ask("POST", "/api/v2/silences", body).status == 200
    assert api.get("/silences")[0]["matchers"][0]["value"] == "b�"


def test_a_body_over_a_megabyte_is_refused(api: Api) -> None:
    assert api.ask("POST", "/api/v2/silences", b" " * (1 << 20) + b"{}").status == 413


@pytest.mark.own_redis
def test_with_redis_away_reading_and_writing_say_503(api: Api, redis: Redis) -> None:
    redis.kill()
    for answer in (
        api.silence('a="b"'),
        api.ask("GET", "/api/v2/silences"),
        api.ask("GET", "/api/v2/alerts"),
    ):
        assert answer.status == 503
        assert answer.json["code"] == 503
        assert answer.headers["retry-after"] == "1"
