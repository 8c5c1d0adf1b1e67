"""Silences and inhibition: nobody hears of anything new, an incident still ends, and it says what mutes its alerts."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest

from amproxy.config.structs import Config, InhibitRule, NotifyStep
from amproxy.correlate import flusher
from amproxy.correlate import muting as muting_of_flush
from amproxy.correlate.muting import load_incident_muting, load_muting_reasons
from amproxy.labels.matchers import parse_matcher
from amproxy.model import Alert, Silence
from amproxy.respond.actions import ActionName, ActionRequest, perform
from amproxy.store import groups, incidents, muting
from amproxy.store.commit import Operations, commit
from tests.support.integration.house import Clock, House, config, plan
from tests.support.waiting import soon
from tests.support.words import said

Build = Callable[[Config], Awaitable[House]]

HOLDS = InhibitRule(
    source_matchers=(parse_matcher('alertname="Loud"'),),
    target_matchers=(parse_matcher('alertname="Held"'),),
)
LATE = (parse_matcher('alertname="Late"'),)


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


async def test_what_is_foretold_counts_an_alert_that_was_muted_when_it_came(
    house_of: Build,
) -> None:
    house = await house_of(config())
    await silence(house, 'severity="critical"')
    told = {"alertname": "Disk", "severity": "warning"}
    await house.post("/api/v2/alerts", [{"labels": told}])
    [incident] = await soon(lambda: house.incidents("triggered"))
    await house.post("/api/v2/alerts", [{"labels": {**told, "severity": "critical"}}])
    found = await load_incident_muting(house.context, incident)
    assert {alert.labels["severity"] for alert in found.alerts} == {"warning", "critical"}
    assert found.hold_at(house.context.now()) is None
    muted = found._replace(alerts=[one for one in found.alerts if one.labels != told])
    hold = muted.hold_at(house.context.now())
    assert hold is not None and said(hold[0]).startswith("silenced by ann")


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


async def test_alerts_are_counted_by_the_state_that_the_last_flush_found(house_of: Build) -> None:
    plain = config(inhibit_rules=(HOLDS,))
    again = msgspec.structs.replace(plain.route, key="{}/{}", continue_=True)
    never = msgspec.structs.replace(
        plain.route, key='{}/{alertname="Late"}', group_wait=3600.0, matchers=LATE
    )
    route = msgspec.structs.replace(plain.route, routes=(never, again))
    house = await house_of(msgspec.structs.replace(plain, route=route))
    await silence(house, 'alertname="Quiet"')
    names = ("Quiet", "Loud", "Held", "Late")
    await house.post("/api/v2/alerts", [{"labels": {"alertname": name}} for name in names])
    wire, now_ns = house.context.wire, time.time_ns()

    async def counted(**wanted: int) -> bool:
        return await groups.count_alerts(wire, now_ns) == wanted

    await soon(lambda: counted(active=1, suppressed=2, unprocessed=1))
    # What is over is not counted, and nobody is suppressed for ever.
    past = "2026-01-01T00:00:00Z"
    over = {"labels": {"alertname": "Loud"}, "startsAt": past, "endsAt": past}
    await house.post("/api/v2/alerts", [over])
    await soon(lambda: counted(active=1, suppressed=1, unprocessed=1))


async def test_an_alert_that_inhibits_counts_up_to_the_moment_of_the_flush(
    house_of: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = await house_of(config(inhibit_rules=(HOLDS,)))
    looked_up = muting_of_flush.look_up_muting
    pushed: list[int] = []

    async def look_up(*given: Any) -> Any:
        """The source comes in just after it was looked for."""
        found = await looked_up(*given)
        if not pushed:
            status, _ = await house.post("/api/v2/alerts", [{"labels": {"alertname": "Loud"}}])
            pushed.append(status)
        return found

    monkeypatch.setattr(flusher, "look_up_muting", look_up)
    await house.post("/api/v2/alerts", [{"labels": {"alertname": "Held"}}])
    await soon(lambda: house.chat.sent)
    assert pushed == [200]
    assert {incident.title for incident in await house.incidents()} == {"Loud"}
    # It is told as soon as nothing inhibits it any more.
    past = "2026-01-01T00:00:00Z"
    over = {"labels": {"alertname": "Loud"}, "startsAt": past, "endsAt": past}
    await house.post("/api/v2/alerts", [over])

    async def is_told() -> bool:
        return {one.title for one in await house.incidents("triggered")} == {"Held"}

    await soon(is_told)


async def test_an_alert_that_fires_again_while_its_end_is_cleared_away_goes_on_inhibiting(
    house_of: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = await house_of(config(inhibit_rules=(HOLDS,)))
    loud = {"labels": {"alertname": "Loud"}}
    past = "2026-01-01T00:00:00Z"
    await house.post("/api/v2/alerts", [loud])
    await soon(lambda: house.chat.sent)
    await house.post("/api/v2/alerts", [{**loud, "startsAt": past, "endsAt": past}])
    found: list[Any] = []
    clear = muting_of_flush._remove_sources

    async def clear_away(context: Any, over: Any) -> None:
        if over and not found:
            found.append(over)
            await house.post("/api/v2/alerts", [loud])
        await clear(context, over)

    monkeypatch.setattr(muting_of_flush, "_remove_sources", clear_away)
    await house.post("/api/v2/alerts", [{"labels": {"alertname": "Held"}}])
    await soon(lambda: found)
    held = Alert(fingerprint="1", labels={"alertname": "Held"}, starts_ns=1)
    muting_now = await muting_of_flush.look_up_muting(house.context, [held], time.time_ns())
    assert list(muting_now.inhibited_by) == ["1"]
