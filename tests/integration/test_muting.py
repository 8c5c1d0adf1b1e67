"""Silences and inhibition: nobody hears of anything new, an incident still ends, and it says what mutes its alerts."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

import pytest

from amproxy.config.structs import Config, InhibitRule, NotifyStep
from amproxy.correlate.muting import load_muting_reasons
from amproxy.labels.matchers import parse_matcher
from amproxy.model import Silence
from amproxy.respond.actions import ActionName, ActionRequest, perform
from amproxy.store import incidents, muting
from amproxy.store.commit import Operations, commit
from tests.support.integration.house import Clock, House, config, plan
from tests.support.waiting import soon
from tests.support.words import said

Build = Callable[[Config], Awaitable[House]]


async def silence(house: House, matcher: str) -> None:
    made = Silence(
        id="s1",
        matcher_sets=[[parse_matcher(matcher)]],
        starts_ns=0,
        ends_ns=1_900_000_000 * 10**9,
        created_by="ann",
        comment="upgrade",
    )
    operations = Operations()
    muting.save_silences(operations, made)
    assert await commit(house.context.wire, operations)


async def test_a_silenced_alert_pages_nobody(house_of: Build) -> None:
    house = await house_of(config())
    await silence(house, 'alertname="Quiet"')
    await house.post(
        "/api/v2/alerts", [{"labels": {"alertname": "Quiet"}}, {"labels": {"alertname": "Loud"}}]
    )
    await soon(lambda: house.chat.sent)
    assert {incident.title for incident in await house.incidents()} == {"Loud"}


async def test_an_incident_that_is_silenced_later_says_so_and_still_ends(house_of: Build) -> None:
    house = await house_of(config())
    await house.post("/api/v2/alerts", [{"labels": {"alertname": "Disk"}}])
    [incident] = await soon(lambda: house.incidents("triggered"))
    await silence(house, 'alertname="Disk"')
    [alert] = await incidents.load_alerts(house.context.wire, incident.id)
    [why] = (await load_muting_reasons(house.context, [alert], time.time_ns()))[alert.fingerprint]
    assert said(why) == "silenced by ann until 2030-03-17 17:46 UTC: upgrade (silence s1)"
    past = "2026-01-01T00:00:00Z"
    await house.post(
        "/api/v2/alerts", [{"labels": {"alertname": "Disk"}, "startsAt": past, "endsAt": past}]
    )
    await soon(lambda: house.incidents("resolved"))


@pytest.mark.parametrize("answer", ["acknowledge", "snooze"])
async def test_an_answer_that_runs_out_while_the_alerts_are_silenced_pages_nobody(
    house_of: Build, answer: ActionName
) -> None:
    house = await house_of(config(plan(NotifyStep(users=("ann",)), acknowledge_timeout=3600.0)))
    await house.post(
        "/webhook/am",
        {
            "version": "4",
            "groupKey": "g",
            "alerts": [{"status": "firing", "labels": {"alertname": "Disk"}}],
        },
    )
    await soon(lambda: house.chat.sent)
    [incident] = await house.incidents("triggered")
    await perform(house.context, incident.id, ActionRequest(action=answer, user="ann", via="web"))
    await silence(house, 'alertname="Disk"')
    clock = Clock(house)
    await clock.later(3601)
    [incident] = await soon(lambda: house.incidents("triggered"))
    assert said(incident.held_by).startswith("silenced by ann") and len(incident.pages) == 1


async def test_an_inhibited_alert_pages_nobody_until_its_source_is_over(house_of: Build) -> None:
    rule = InhibitRule(
        source_matchers=(parse_matcher('severity="critical"'),),
        target_matchers=(parse_matcher('severity="warning"'),),
        equal=("cluster",),
    )
    house = await house_of(config(inhibit_rules=(rule,)))
    source = {"alertname": "Down", "severity": "critical", "cluster": "eu"}
    target = {"alertname": "Slow", "severity": "warning", "cluster": "eu"}
    await house.post("/api/v2/alerts", [{"labels": source}, {"labels": target}])
    await soon(lambda: house.chat.sent)
    assert {incident.title for incident in await house.incidents()} == {"Down"}
    past = "2026-01-01T00:00:00Z"
    await house.post("/api/v2/alerts", [{"labels": source, "startsAt": past, "endsAt": past}])
    await soon(lambda: house.incidents("triggered", "resolved"))
    await soon(lambda: [address for address, card in house.chat.sent if "Slow" in card.title])
