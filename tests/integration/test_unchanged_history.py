"""What really happened, replayed through the file under which it happened, pages nobody differently."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from datetime import UTC
from functools import partial

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tests.support.properties  # noqa: F401  # the settings of property tests
from amproxy.config.structs import Config
from amproxy.oncall.roster import Roster
from amproxy.reports.export import history_line
from amproxy.simulation.recorded import RecordedIncident, read_history
from amproxy.simulation.replay import Replay
from amproxy.store import incidents
from amproxy.text.render import english
from amproxy.web.incidents import views
from tests.support.integration.plans import KIND, MADE, MONDAY, NAMES, act, configs
from tests.support.integration.stepping import Stepping, stepping

EXAMPLES = int(os.environ.get("FORESIGHT_EXAMPLES", "30"))
START = MONDAY.replace(hour=15, tzinfo=UTC).timestamp()
LENGTH = 14 * 3600.0

ALERTS = ("Down", "Slow", "Full")
seconds = st.integers(0, int(LENGTH) // 60).map(lambda minutes: minutes * 60.0 + 17.0)
# one alert: how grave, from when, for how long
fires = st.tuples(
    st.sampled_from(ALERTS),
    st.sampled_from(("critical", "warning")),
    seconds,
    st.integers(1, 300).map(lambda minutes: minutes * 60.0),
)
kinds = st.sampled_from(["acknowledge", *MADE, "snooze", "reassign", "add_responders"])
acts = st.tuples(kinds, st.sampled_from(NAMES), seconds)


@settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
@given(configs(ends_told=True), st.lists(fires, min_size=1, max_size=5), st.lists(acts, max_size=5))
def test_an_unchanged_file_changes_nothing(
    redis_url: str,
    config: Config,
    alerts: list[tuple[str, str, float, float]],
    answers: list[tuple[str, str, float]],
) -> None:
    lines = asyncio.run(stepping(redis_url, config, START, partial(lived, alerts, answers)))
    records, broken = read_history(lines)
    assert not broken and len(records) == len(lines)
    found = Replay(records, Roster(config))
    # A turn of round robin that led to no page, because that person was being paged already, is not in a history.
    certain = [
        one for one in found.different if not any("round robin" in why for why in one.uncertain)
    ]
    assert [[*explained(one.record), one.only_before, one.only_now] for one in certain] == []


def explained(one: RecordedIncident) -> list[object]:
    return [
        one.incident.number,
        one.incident.title,
        *[(event.kind, event.at.timestamp() - START, event.text) for event in one.events],
    ]


async def lived(
    alerts: list[tuple[str, str, float, float]],
    answers: list[tuple[str, str, float]],
    service: Stepping,
) -> list[bytes]:
    """Let it happen, and export it."""
    happenings: list[tuple[float, Callable[[], Awaitable[object]]]] = []
    for name, severity, at, length in alerts:
        labels = {"alertname": name, "severity": severity, **KIND}
        happenings.append((START + at, partial(service.push, labels, START + at + length)))
    happenings += [
        (
            START + at,
            partial(
                service.act, act(kind, user, START + at), newest=kind in ("reopen", "reassign")
            ),
        )
        for kind, user, at in answers
    ]
    await service.until(START + LENGTH, *happenings)
    found = await service.incidents()
    timelines = await incidents.load_timelines(service.context.wire, [one.id for one in found])
    return [
        msgspec.json.encode(
            history_line(
                one, timeline, views.incident_view(one, service.context.roster, ""), english()
            )
        )
        for one, timeline in zip(found, timelines, strict=True)
    ]
