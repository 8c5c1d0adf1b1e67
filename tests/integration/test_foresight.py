"""What the simulation foretells is what the service does: the same file, the same alert, the same answers."""

from __future__ import annotations

import asyncio
import os
from datetime import UTC, timedelta
from functools import partial
from itertools import count, takewhile
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tests.support.properties  # noqa: F401  # the settings of property tests
from amproxy.config.structs import Config
from amproxy.machine.events import Acknowledge
from amproxy.model import Page
from amproxy.oncall.roster import Roster
from amproxy.simulation.simulate import Simulation, SimulationRequest
from tests.support.integration.plans import LABELS, MONDAY, NAMES, configs
from tests.support.integration.stepping import Stepping, stepping

EXAMPLES = int(os.environ.get("FORESIGHT_EXAMPLES", "40"))
DURATION = 10 * 3600.0 + 45.0
RESENT = 240.0  # seconds between two pushes of the alert, where it matters that there are any
TOLERANCE = 2.0  # seconds that the workers' lateness may add up to

# odd seconds, so that nothing from outside comes at the very moment of something else
seconds_ahead = st.integers(0, int(DURATION) // 60).map(lambda minutes: minutes * 60.0 + 17.0)
asked = st.builds(
    lambda hour, answers, over: SimulationRequest(
        labels=LABELS,
        at=(MONDAY + timedelta(hours=hour)).replace(tzinfo=UTC),
        duration=DURATION,
        answers=answers,
        resolve_after=over,
    ),
    st.sampled_from([9, 15, 21]),
    st.lists(st.tuples(st.sampled_from(NAMES), seconds_ahead), max_size=2),
    st.none() | seconds_ahead,
)


@settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
@given(configs(), asked)
def test_the_simulation_and_the_service_page_the_same_people_at_the_same_times(
    redis_url: str, config: Config, question: SimulationRequest
) -> None:
    foretold = [
        page
        for group in Simulation(question, Roster(config)).groups
        for one in group.incidents
        for page in one.incident.pages
    ]
    start = question.at.timestamp()
    real = asyncio.run(stepping(redis_url, config, start, partial(lived, config, question)))
    told, lived_through = (
        [_key(page, start) for page in foretold],
        [_key(page, start) for page in real],
    )
    assert [key[1:] for key in told] == [key[1:] for key in lived_through], (told, lived_through)
    assert all(
        abs(one[0] - other[0]) <= TOLERANCE for one, other in zip(told, lived_through, strict=True)
    ), (told, lived_through)


async def lived(config: Config, question: SimulationRequest, service: Stepping) -> list[Page]:
    """The same by the service itself."""
    start = question.at.timestamp()
    end, labels = start + DURATION, dict(question.labels)
    over = start + question.resolve_after if question.resolve_after is not None else end + 86400.0
    happenings: list[Any] = [
        (start + seconds, partial(service.act, Acknowledge(user=user, via="simulation")))
        for user, seconds in question.answers
    ]
    happenings.append((over, lambda: service.push(labels, over)))
    if any(policy.auto_resolve for policy in config.policies.values()):
        again = takewhile(
            lambda at: at < min(over, end), (start + number * RESENT for number in count(1))
        )
        happenings += [
            (at, partial(service.push, labels, over if over < end else end + 86400.0))
            for at in again
        ]
    await service.push(labels, end + 86400.0)
    await service.until(end, *happenings)
    return [page for incident in await service.incidents() for page in incident.pages]


def _key(page: Page, start: float) -> tuple[Any, ...]:
    # A reminder counts as soon as it is on its way.
    state = page.state if page.kind == "page" else ""
    return (
        round(page.due - start, 1),
        page.kind,
        page.user,
        page.receiver,
        page.channel,
        page.policy,
        page.step,
        page.round,
        state,
    )
