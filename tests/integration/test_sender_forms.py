"""Pushes of odd forms, on their way to a person and to the timeline; refusals, for who must know."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from msgspec.structs import replace

from amproxy import metrics
from amproxy.config.structs import Config, NotifyStep, Policy, Source
from amproxy.secret import Secret
from amproxy.store.sources import SourceRecord, load_sources
from amproxy.web.reports.sources import find_sources, source_problems, source_state
from tests.support.integration.house import House, config
from tests.support.waiting import soon

Build = Callable[[Config], Awaitable[House]]

V4 = {"version": "4", "receiver": "pager", "status": "firing", "groupKey": "k"}
GOOD = {"alertname": "Good", "instance": "a"}
X = {"alertname": "X", "instance": "a"}


def by_sender(**more: Any) -> Config:
    """A file whose route groups nothing: what belongs together, the sender says."""
    found = config(Policy(name="main", steps=(NotifyStep(users=("ann",)),)), **more)
    return replace(found, route=replace(found.route, group_by=(), group_by_given=False))


def payload(*alerts: dict[str, Any], **more: Any) -> dict[str, Any]:
    fired = [{"status": "firing", "annotations": {}, **one} for one in alerts]
    return {**V4, "groupLabels": {"alertname": "X"}, "alerts": fired, **more}


async def paged(house: House) -> str:
    """The text of the first page."""

    async def sent() -> bool:
        return bool(house.chat.sent)

    await soon(sent)
    [(_, card)] = house.chat.sent
    return " ".join((card.title, card.text, *(str(one.labels) for one in card.alerts)))


async def source(house: House, name: str, **wanted: Any) -> SourceRecord:
    """What is known of a source, once these fields are as wanted."""
    found: list[SourceRecord] = []

    async def written() -> bool:
        found[:] = [one for one in await load_sources(house.context.wire) if one.name == name]
        return bool(found) and all(getattr(found[0], key) == wanted[key] for key in wanted)

    await soon(written)
    return found[0]


@pytest.mark.parametrize(
    ("body", "shown", "noted"),
    [
        # seq-one-bad-of-two, seq-one-bad-time-of-two
        (payload({"labels": GOOD}, {"labels": {"alertname": "Bad", "n": 1}}), "Good", "labels.n"),
        (payload({"labels": GOOD}, {"labels": X, "startsAt": "yesterday"}), "Good", "yesterday"),
        # seq-number-annotation, seq-number-label
        (payload({"labels": X, "annotations": {"value": 93.5}}), "X", "annotations.value was 93.5"),
        (payload({"labels": {**X, "cpu": 3}}), "cpu", "labels.cpu was 3"),
        # seq-python-str-time, and the same in other forms
        (payload({"labels": X, "startsAt": "2026-11-30 03:00:00+00:00"}), "X", "startsAt"),
        (payload({"labels": X, "startsAt": "Mon, 30 Nov 2026 03:00:00 GMT"}), "X", "startsAt"),
        (payload({"labels": X, "startsAt": "n/a"}), "X", "that of the push was taken"),
        # seq-status-uppercase, the same with "alerting", seq-groupkey-null
        (payload({"labels": X, "status": "FIRING"}, status="resolved"), "X", "“FIRING”"),
        (payload({"labels": X, "status": "alerting"}), "X", "“alerting”"),
        (payload({"labels": X}, groupKey=None), "X", "groupKey was null"),
    ],
)
async def test_a_push_with_an_odd_value_pages_and_the_timeline_tells_of_it(
    house_of: Build, body: dict[str, Any], shown: str, noted: str
) -> None:
    house = await house_of(by_sender())
    assert (await house.post("/webhook/am", body))[0] == 200
    assert shown in await paged(house)
    [incident] = await house.incidents()
    [text] = [text for text in await house.timeline(incident) if text.startswith("Odd in")]
    assert noted in text
    assert (await house.post("/webhook/am", body))[0] == 200
    assert len([text for text in await house.timeline(incident) if "Odd in" in text]) == 1


@pytest.mark.parametrize(
    ("kind", "body", "shown"),
    [
        (
            "application/json; charset=iso-8859-1",
            json.dumps(payload({"labels": {"instance": "Größe"}}), ensure_ascii=False).encode(
                "iso-8859-1"
            ),
            "Größe",
        ),
        (
            "application/json; charset=utf-16",
            json.dumps(payload({"labels": {"instance": "Größe"}}), ensure_ascii=False).encode(
                "utf-16"
            ),
            "Größe",
        ),
        ("application/json", b'[{"title":"x"}]', "x"),
        ("application/x-www-form-urlencoded", b"title=Disk+full&message=hello", "Disk full"),
        ("text/plain", b"disk is full", "disk is full"),
    ],
)
async def test_other_charsets_forms_lists_and_plain_texts_page(
    house_of: Build, kind: str, body: bytes, shown: str
) -> None:
    house = await house_of(by_sender())
    headers = {"content-type": kind}
    assert (await house.post("/webhook/am", None, raw=body, headers=headers))[0] == 200
    assert shown in await paged(house)


async def test_a_charset_as_content_encoding_is_none(house_of: Build) -> None:
    house = await house_of(by_sender())
    headers = {"content-encoding": "utf-8"}
    assert (await house.post("/webhook/am", payload({"labels": X}), headers=headers))[0] == 200
    assert (await house.post("/webhook/am", {}, headers={"content-encoding": "br"}))[0] == 415


# Refusals


async def test_a_refusal_is_kept_with_its_reason_and_body_and_no_secret(house_of: Build) -> None:
    token = "the-token-of-am"
    house = await house_of(by_sender(sources={"am": Source(name="am", token=Secret(token))}))
    body = payload({"labels": GOOD}, {"labels": {}}, password="hunter22", text=f"see {token}")
    path = f"/webhook/am/{token}"
    assert (await house.post(path, body))[0] == 422
    assert "Good" in await paged(house)
    known = await source(house, "am", refused=1, pushes=1)
    assert known.refusal is not None
    assert (known.refusal.status, known.refusal.client) == (422, "127.0.0.1")
    assert "alerts[1].labels" in str(known.refusal.reason) and "Good" in known.refusal.body
    assert "hunter22" not in known.refusal.body and token not in known.refusal.body
    now = house.context.now()
    [problem] = source_problems(await find_sources(house.context), now)
    assert "source 'am'" in str(problem) and "422" in str(problem)
    assert problem.values["reason"] == known.refusal.reason
    assert source_problems(await find_sources(house.context), now + 2 * 3600) == []
    assert source_state(known, now) == "refused"


async def test_who_names_no_source_or_shows_a_wrong_token_is_known_too(house_of: Build) -> None:
    house = await house_of(by_sender(sources={"am": Source(name="am", token=Secret("a-token"))}))
    assert (await house.post("/webhook/am", payload({"labels": X})))[0] == 401
    assert (await house.post("/webhook/other", payload({"labels": X})))[0] == 404
    assert (await source(house, "am", refused=1)).last_push == 0
    assert (await source(house, "", refused=1)).refusal is not None
    # Anybody may knock at any door: that is no problem of the service's.
    [problem] = source_problems(await find_sources(house.context), house.context.now())
    assert "'am'" in str(problem)


async def test_a_flood_of_refusals_is_one_line_of_the_log_and_one_write(
    house_of: Build, caplog: pytest.LogCaptureFixture
) -> None:
    house = await house_of(by_sender())
    for _ in range(50):
        assert (await house.post("/webhook/am", {"alerts": [{}]}))[0] == 422
    await source(house, "am", refused=50)
    lines = [record for record in caplog.records if getattr(record.msg, "msg", "") == "refused"]
    assert 1 <= len(lines) <= 2


async def test_a_body_is_shown_cut_and_without_what_spoils_a_page(house_of: Build) -> None:
    house = await house_of(by_sender())
    body = b"\x1b[31m<script>" + "\u202e".encode() + b"x" * 100_000
    assert (await house.post("/webhook/am", None, raw=body))[0] == 400
    refusal = (await source(house, "am", refused=1)).refusal
    assert refusal is not None and len(refusal.body) <= 2001 and refusal.body.endswith("…")
    assert "\x1b" not in refusal.body and "\u202e" not in refusal.body


async def test_names_that_no_file_has_make_one_series(house_of: Build) -> None:
    house = await house_of(by_sender())
    before = len(metrics.render().splitlines())
    for number in range(40):
        await house.post(f"/webhook/name-{number}", payload({"labels": X}))
        await house.post(f"/webhook/name-{number}", {"alerts": [{}]})
    added = metrics.render().decode().splitlines()
    assert not [line for line in added if "name-" in line]
    assert len(added) - before < 60
    assert metrics.pushes.labels("webhook", "200")._value.get() >= 40


# Clocks


def at(now: float) -> str:
    return datetime.fromtimestamp(now, UTC).isoformat()


async def test_a_sender_whose_clock_makes_all_alerts_over_on_arrival_is_told_of(
    house_of: Build,
) -> None:
    house = await house_of(by_sender())
    now = house.context.now()

    async def push(ends: float) -> None:
        alert = {"labels": X, "startsAt": at(now - 7200), "endsAt": at(ends)}
        assert (await house.post("/api/v2/alerts", [alert]))[0] == 200

    for seconds in range(3):
        await push(now - 3600 + seconds)
    known = await source(house, "api", clock_behind=3598.0, pushes=3)
    assert source_state(known, now) == "clock"
    assert any("over on arrival" in str(one) for one in source_problems([known], now))
    assert metrics.clock_behind.labels("api")._value.get() > 3000
    await push(now + 240)
    assert (await source(house, "api", clock_behind=0.0)).pushes == 4
    assert metrics.clock_behind.labels("api")._value.get() == 0


async def test_ends_that_a_sender_repeats_say_nothing_of_its_clock(house_of: Build) -> None:
    house = await house_of(by_sender())
    now = house.context.now()
    alert = {"labels": X, "startsAt": at(now - 7200), "endsAt": at(now - 60)}
    for _ in range(5):
        await house.post("/api/v2/alerts", [alert])
    assert not (await source(house, "api", pushes=5)).clock_behind
