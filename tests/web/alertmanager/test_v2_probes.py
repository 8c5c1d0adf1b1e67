"""Recorded requests and Alertmanager's answers, asked again one after the other."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

from tests.support.alertmanager.served import Api, cases

PROBES = cases("api_v2_probes.json")
NOT_THE_API = "not of the API v2"
SKIPPED = {
    "alerts_bad_annotation_name": "0.25 refuses what the UTF-8 mode of later versions takes",
    "sil_delete": "ends a silence of a case that is not in the sample",
    "sil_delete_again": "ends a silence of a case that is not in the sample",
    **dict.fromkeys(
        ("misc GET /", "misc GET /debug/pprof/", "misc GET /metrics", "misc GET /script.js"),
        NOT_THE_API,
    ),
    **dict.fromkeys(
        ("misc POST /-/quit", "misc GET /-/healthy", "misc POST /-/reload", "misc PUT /-/reload"),
        NOT_THE_API,
    ),
}
NEWER = {  # what later versions answer instead
    **{
        f"misc {call} /api/v1/{what}": 410
        for call, what in (
            ("GET", "status"),
            ("GET", "alerts"),
            ("GET", "receivers"),
            ("POST", "alerts"),
        )
    }
}
TIME = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}(Z|[+-]\d\d:\d\d)$")
UUID = re.compile(r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")


@pytest.fixture
def recorded(serve: Callable[..., Api]) -> Api:
    return serve(now=datetime.fromisoformat(PROBES["ran_at"]).timestamp() + 0.04)


def test_the_recorded_requests_are_answered_as_alertmanager_answered_them(recorded: Api) -> None:
    ids: dict[str, str] = {}  # the recorded id of a silence → ours
    wrong = []
    for probe in PROBES["probes"]:
        name, request, expected = probe["name"], probe["request"], probe["response"]
        if name in SKIPPED:
            continue
        if name == "sil_list_empty":
            recorded.clock[0] += 1.05  # the recording waited here too
        path, body = request["path"], request["body"]
        for theirs, ours in ids.items():
            path, body = path.replace(theirs, ours), body and body.replace(theirs, ours)
        answer = recorded.ask(request["method"], path, body, request["headers"])
        status = NEWER.get(name, expected["status"])
        if answer.status != status:
            wrong.append(f"{name}: {answer.status} instead of {status}: {answer.text[:200]}")
            continue
        if status == 200 and "silenceID" in expected["body"]:
            ids[json.loads(expected["body"])["silenceID"]] = answer.json["silenceID"]
        wrong += [f"{name}: {what}" for what in differences(probe, answer, ids)]
    assert not wrong, "\n".join(wrong)


def differences(probe: dict[str, Any], answer: Any, ids: dict[str, str]) -> list[str]:
    expected, found = probe["response"], []
    if probe["name"] in NEWER:
        return (
            []
            if answer.headers["content-type"] == "application/json"
            and answer.json["status"] == "deprecated"
            else [answer.text]
        )
    headers = {name.lower(): value for name, value in expected["headers"].items()}
    for header in (
        "location",
        "access-control-allow-origin",
        "access-control-allow-methods",
        "access-control-allow-headers",
    ):
        if header in headers and answer.headers.get(header) != headers[header]:
            found.append(f"{header}: {answer.headers.get(header)!r} instead of {headers[header]!r}")
    if not headers.get("content-type", "").startswith("application/json"):
        return (
            found
            if "location" in headers or answer.text == expected["body"]
            else [*found, f"body {answer.text[:100]!r}"]
        )
    if answer.headers["content-type"] != "application/json":
        found.append(f"content-type {answer.headers['content-type']}")
    if probe["request"]["method"] == "HEAD":
        return found
    return found + different(
        whole_part(expected["body"]), answer.json, ids, probe["request"]["path"]
    )


def whole_part(body: str) -> Any:
    """A recorded body; of one that was cut off, the items of the list that are whole."""
    if not body.endswith("…"):
        return json.loads(body)
    items, text, decoder = [], body[1:], json.JSONDecoder()
    while True:
        try:
            item, end = decoder.raw_decode(text)
        except json.JSONDecodeError:
            return items
        items.append(item)
        text = text[end:].lstrip(",")


def different(theirs: Any, ours: Any, ids: dict[str, str], path: str) -> list[str]:
    if isinstance(theirs, str):
        return [] if isinstance(ours, str) else [f"{ours} is no bare text"]
    if isinstance(theirs, dict) and "code" in theirs:
        # the words for why a text is no JSON are everybody's own
        same = theirs["code"] == ours["code"] and (
            "failed, because" in theirs["message"] or theirs["message"] == ours["message"]
        )
        allow = re.sub(r"\[.*\]", "", theirs["message"]) == re.sub(r"\[.*\]", "", ours["message"])
        return [] if same or allow else [f"{ours} instead of {theirs}"]
    if isinstance(theirs, list):
        mine = {key(item): item for item in ours}
        # cases that are not in the sample posted alerts that are not here
        return [
            what
            for item in theirs
            if key(item) in mine
            for what in unequal(item, mine[key(item)], ids, path)
        ]
    return unequal(theirs, ours, ids, path)


def key(item: dict[str, Any]) -> str:
    return item.get("fingerprint") or json.dumps(
        [item.get("labels"), item.get("receiver")], sort_keys=True
    )


def unequal(theirs: Any, ours: Any, ids: dict[str, str], at: str) -> list[str]:
    """Where two answers differ; times and ids need only look right, and keys that came later may be there too."""
    if isinstance(theirs, dict):
        order = [name for name in ours if name in theirs]
        found = [] if order == list(theirs) else [f"{at}: keys {order} instead of {list(theirs)}"]
        if at.endswith((".versionInfo", ".config", ".cluster")):
            return (
                found
                if at.endswith(".cluster")
                else [name for name in theirs if not isinstance(ours[name], str)]
            )
        return found + [
            what
            for name in order
            for what in unequal(theirs[name], ours[name], ids, f"{at}.{name}")
        ]
    if isinstance(theirs, list):
        if len(theirs) == len(ours):
            return [
                what
                for one, other in zip(theirs, ours, strict=True)
                for what in unequal(one, other, ids, at)
            ]
        return [f"{at}: {ours} instead of {theirs}"]
    if isinstance(theirs, str) and TIME.match(theirs):
        same = (
            theirs == ours
            or abs((datetime.fromisoformat(theirs) - datetime.fromisoformat(ours)).total_seconds())
            < 0.5
        )
        return (
            []
            if TIME.match(ours) and (same or at.endswith("uptime"))
            else [f"{at}: {ours} instead of {theirs}"]
        )
    if isinstance(theirs, str) and UUID.match(theirs):
        return (
            []
            if UUID.match(ours) and ids.get(theirs, ours) == ours
            else [f"{at}: {ours} is another silence"]
        )
    return [] if theirs == ours else [f"{at}: {ours!r} instead of {theirs!r}"]
