"""Recorded lives of silences: through the API, under a clock that the test moves; and the rules' own tables."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from amproxy.grouping import silences
from amproxy.grouping.silence_index import SilenceIndex
from amproxy.labels.matchers import Matcher
from amproxy.model import Alert, Silence
from tests.support.alertmanager.served import Api, cases, rfc3339

CASES = cases("silences.json")
NOW = 1_790_000_000 * 10**9
OPS = {(True, False): "=", (False, False): "!=", (True, True): "=~", (False, True): "!~"}
NEWER_STATUS = {"delete_unknown": 404}
# 0.25 ends the old silence before it refuses the new one; later versions refuse first
LEFT_ALONE = "update_invalid_matcher_refused"


def ns(seconds: float | None) -> int:
    return 0 if seconds is None else NOW + int(seconds * 10**9)


def silence(starts: float | None = 0, ends: float | None = 60, *matchers: Matcher) -> Silence:
    return Silence(
        id="x",
        matcher_sets=[list(matchers) or [Matcher("a", "=", "b")]],
        starts_ns=ns(starts),
        ends_ns=ns(ends),
    )


def by_name(case: dict[str, Any]) -> str:
    return str(case["name"])


@pytest.mark.parametrize("case", CASES["sequences"]["cases"], ids=by_name)
def test_a_silence_lives_as_recorded(case: dict[str, Any], api: Api) -> None:
    ids: dict[str, str] = {}
    known: dict[str, dict[str, Any]] = {}
    for step in case["steps"]:
        expected = step.get("expect", {})
        api.clock[0] += 0.01  # no two requests come in the same instant
        match step["op"]:
            case "sleep":
                api.clock[0] += step["s"]
                continue
            case "set":
                answer = set_silence(api, step, ids, known)
            case "get":
                answer = api.ask("GET", f"/api/v2/silence/{name(step, ids)}")
            case "delete":
                answer = api.ask("DELETE", f"/api/v2/silence/{name(step, ids)}")
        assert answer.status == NEWER_STATUS.get(case["name"], expected["status"]), (step, answer)
        if answer.status != 200:
            continue
        if step["op"] == "set":
            was = ids.get(expected["id"].removeprefix("same:")) if expected["id"] != "new" else None
            new = answer.json["silenceID"]
            assert new == was if was else new not in ids.values(), step
            ids[step["ref"]] = new
            known[step["ref"]] = api.get(f"/silence/{new}")
        elif step["op"] == "get" and case["name"] == LEFT_ALONE:
            assert answer.json == known[step["ref"]]
        elif step["op"] == "get":
            assert shape(answer.json, api) == pytest.approx(
                expected["startsAt_rel_to_get"], abs=0.5
            )
            assert until(answer.json["endsAt"], api) == pytest.approx(
                expected["endsAt_rel_to_get"], abs=0.5
            )
            told = {
                "state": answer.json["status"]["state"],
                "comment": answer.json["comment"],
                "matchers": answer.json["matchers"],
            }
            assert told == {field: expected[field] for field in told}


def set_silence(
    api: Api, step: dict[str, Any], ids: dict[str, str], known: dict[str, dict[str, Any]]
) -> Any:
    body = {"matchers": step["matchers"], "createdBy": "me", "comment": step.get("comment", "c")}
    for field, value in (("startsAt", step["starts"]), ("endsAt", step["ends"])):
        if isinstance(value, str):
            body[field] = known[value.partition(":")[2]][field]
            if value.startswith("keep_second"):
                body[field] = body[field][:20] + "987Z"
        else:
            body[field] = rfc3339(
                api.clock[0] + value - 0.001
            )  # what a text says is rounded: never ahead of the clock
    if "id" in step:
        body["id"] = step["id"].removeprefix("literal:") if ":" in step["id"] else ids[step["id"]]
    return api.ask("POST", "/api/v2/silences", body)


def name(step: dict[str, Any], ids: dict[str, str]) -> str:
    return ids[step["ref"]] if "ref" in step else step["id"].removeprefix("literal:")


def until(text: str, api: Api) -> float:
    return datetime.fromisoformat(text).timestamp() - api.clock[0]


def shape(shown: dict[str, Any], api: Api) -> float:
    assert list(shown) == [
        "id",
        "status",
        "updatedAt",
        "comment",
        "createdBy",
        "endsAt",
        "matchers",
        "startsAt",
    ]
    return until(shown["startsAt"], api)


@pytest.mark.parametrize("case", CASES["may_update_in_place"]["cases"], ids=by_name)
def test_only_what_rewrites_no_past_is_changed_in_place(case: dict[str, Any]) -> None:
    assert silences.may_update(silence(*case["old"]), silence(*case["new"]), NOW) is case["ok"]


def test_an_active_silence_keeps_its_place_within_the_second_of_its_start() -> None:
    old = silence(-3600.0, 60)
    assert silences.may_update(old, silence(-3599.5, 120), NOW)
    assert not silences.may_update(old, silence(-3601.0, 120), NOW)


@pytest.mark.parametrize("case", CASES["state_edges"]["cases"], ids=by_name)
def test_the_instant_of_the_end_mutes_but_is_shown_as_expired(case: dict[str, Any]) -> None:
    edge = silence(case["starts"], case["ends"])
    assert silences.silence_state(edge, NOW) == case["state_used_when_muting_and_updating"]
    assert silences.display_state(edge, NOW) == case["state_shown_by_the_api"]


@pytest.mark.parametrize("case", CASES["state_filter"]["cases"], ids=str)
def test_a_state_that_is_not_asked_for_is_left_out(case: dict[str, Any]) -> None:
    assert (silences.display_state(silence(*case["silence"]), NOW) in case["states"]) is case[
        "kept"
    ]


@pytest.mark.parametrize(
    "case",
    CASES["matching"]["cases"],
    ids=lambda case: f"{case['matchers']} {case['labels']}"[:150],
)
def test_a_silence_mutes_what_all_its_matchers_fit(case: dict[str, Any]) -> None:
    matchers = [
        Matcher(m["name"], OPS[m["isEqual"], m["isRegex"]], m["value"]) for m in case["matchers"]
    ]
    alert = Alert(fingerprint="f", labels=case["labels"], starts_ns=NOW)
    index = SilenceIndex([silence(0, 60, *matchers)])
    assert bool(index.matching(alert.labels, ns(30))) is case["matches"]


@pytest.mark.parametrize("case", CASES["validity"]["cases"], ids=by_name)
def test_what_is_valid_in_utf8_mode_is_taken_and_the_rest_refused(
    case: dict[str, Any], api: Api
) -> None:
    body = api.silence_body("x=y")
    body["matchers"] = [
        {
            "name": m["name"],
            "value": m["value"],
            "isRegex": "~" in m["op"],
            "isEqual": m["op"] in ("=", "=~"),
        }
        for m in case["matchers"]
    ]
    answer = api.ask("POST", "/api/v2/silences", body)
    if case["error"] is None or case.get("valid_in_utf8_mode"):
        assert answer.status == 200
        return
    assert answer.status == 400
    assert answer.json.startswith("silence invalid: ")
