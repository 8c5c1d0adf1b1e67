"""What pages, the API and `simulate` foretell is what the service's own parts then do, on generated cases.

`python -m tests.support.integration.agreement --cases 1000 --seed 7` runs any number of them and prints how much was compared.
Each case is a team, alerts that come and go, people who answer, deliveries that fail, overrides, silences and windows made by hand, inhibition. The service lives
through it under a clock that jumps; at some moments the forecast of every open incident is kept, and compared afterwards with what
happened up to the next thing that nobody could foresee.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, timedelta
from functools import partial
from typing import Any, NamedTuple, TypeVar

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from msgspec.structs import replace

import tests.support.properties  # noqa: F401  # the settings of property tests
from amproxy.clock import rfc3339, utc
from amproxy.config.structs import (
    Config,
    InhibitRule,
    Maintenance,
    Policy,
    Wait,
    WaitForAlertsStep,
    WaitUntilStep,
)
from amproxy.correlate.muting import load_incident_muting
from amproxy.errors import DeliveryError
from amproxy.labels.matchers import parse_matcher
from amproxy.model import Incident, Page, Silence, TimelineEntry
from amproxy.notify.message import Card
from amproxy.oncall.roster import Roster
from amproxy.respond.muting import create_window, put_silence
from amproxy.respond.schedule_changes import add_override
from amproxy.simulation.simulate import Simulation, SimulationRequest
from amproxy.store import incidents
from amproxy.text import Phrase, load_texts, render_phrase
from amproxy.web.incidents.forecast import MAX_UPCOMING, UpcomingIncidentStep, list_upcoming
from amproxy.web.incidents.views import NextStepView, incident_view
from tests.support.integration.plans import MONDAY, NAMES, act, configs
from tests.support.integration.stepping import CHANNELS, Stepping, stepping
from tests.support.redis import running

T = TypeVar("T")
Event = tuple[Any, ...]  # when (Unix seconds), what, and who over what, or which step

LENGTH = 10 * 3600.0 + 45.0
ALERTS = ("Down", "Slow", "Full")
LATER = (47.0, 1009.0, 7001.0)  # seconds after an alert
LATENESS = 0.3  # seconds
TOLERANCE = 2.0  # seconds that the lateness of flushes may add up to
# what nobody could foresee of an incident; "failed" is one where the channel exists
OUTSIDE = frozenset(
    (
        *("alerts", "acknowledged", "snoozed", "escalated", "reassigned", "responders", "joined"),
        *("renewed", "reopened", "flapping", "merged"),
    )
)
# rows that are told of by an entry of another name
EVENTS = {
    "forecast.acknowledgement_runs_out": "unacknowledged",
    "forecast.snooze_ends": "triggered",
    "forecast.reminded": "reminded",
    "forecast.held_back": "held",
    "forecast.released": "released",
    "forecast.again": "repeat",
    "forecast.no_more": "ended",
}

# odd seconds, so that nothing from outside comes at the very moment of something else
seconds = st.integers(0, int(LENGTH) // 60).map(lambda minutes: minutes * 60.0 + 17.0)


class Case(NamedTuple):
    """One team and what comes to it; all times are seconds after the beginning."""

    config: Config
    hour: int
    alerts: list[tuple[str, float, float]]  # name, from when, for how long
    answers: list[tuple[str, str, float]]  # what, who, when
    refusing: frozenset[tuple[str, str]]  # (user, channel) whose deliveries fail
    overrides: list[tuple[str, str, float]]  # schedule, who, when it is made and begins
    mutes: list[tuple[str, str, float, float, float]]  # how, alert, when made, after how long, for

    @property
    def start(self) -> float:
        return MONDAY.replace(tzinfo=UTC).timestamp() + self.hour * 3600.0

    @property
    def looks(self) -> list[float]:
        """The moments whose forecasts are kept: after alerts and answers, and some time later."""
        after = [at + later for _, at, _ in self.alerts for later in LATER]
        return [at for at in (*after, *(at + 7.0 for *_, at in self.answers)) if at < LENGTH]

    @property
    def is_simple(self) -> bool:
        """True for what `simulate` is asked: one alert, and people who acknowledge."""
        acknowledged = all(kind == "acknowledge" for kind, _, _ in self.answers)
        silent = any(policy.auto_resolve for policy in self.config.policies.values())
        untouched = not (self.refusing or self.overrides or self.mutes or silent)
        return len(self.alerts) == 1 and acknowledged and untouched


@st.composite
def slow_configs(draw: st.DrawFn) -> Config:
    """Mostly with waits between the steps, so that there is something to foretell."""
    config = draw(configs())
    if not draw(st.integers(0, 3)):
        return config
    waits = st.sampled_from([240.0, 600.0, 2400.0])
    known = {
        name: replace(
            policy,
            steps=tuple(
                part for step in policy.steps for part in (Wait(seconds=draw(waits)), step)
            ),
        )
        for name, policy in config.policies.items()
    }
    down, slow = parse_matcher('alertname="Down"'), parse_matcher('alertname="Slow"')
    rule = InhibitRule(source_matchers=(down,), target_matchers=(slow,), equal=())
    rules = () if draw(st.integers(0, 3)) else (rule,)
    return replace(config, policies=known, inhibit_rules=rules)


fires = st.tuples(
    st.sampled_from(ALERTS),
    seconds.map(lambda at: at // 3 + 0.5),
    st.integers(120, 900).map(lambda minutes: minutes * 60.0),
)
answers = st.tuples(
    st.sampled_from(["acknowledge", "acknowledge", "unacknowledge", "escalate", "snooze"]),
    st.sampled_from(NAMES),
    seconds,
)
mutes = st.tuples(
    st.sampled_from(["silence", "window"]),
    st.sampled_from(ALERTS),
    seconds.map(lambda at: at // 2 + 3.0),
    st.sampled_from([0.0, 1800.0]),
    st.sampled_from([1800.0, 9000.0]),
)
cases = st.builds(
    Case,
    slow_configs(),
    st.sampled_from([9, 15, 21]),
    st.lists(fires, min_size=1, max_size=3),
    st.lists(answers, max_size=2),
    st.frozensets(st.tuples(st.sampled_from(NAMES), st.sampled_from(CHANNELS[:3])), max_size=2),
    st.lists(
        st.tuples(st.sampled_from(["first", "second"]), st.sampled_from(NAMES), seconds), max_size=1
    ),
    st.lists(mutes, max_size=2),
)


@dataclass
class Look:
    """The forecast of one incident at one moment."""

    incident: Incident
    at: float
    known: int  # entries of its timeline
    upcoming: list[UpcomingIncidentStep]


@dataclass
class Lived:
    """What happened, as stored at the end."""

    incidents: list[Incident]
    timelines: dict[str, list[TimelineEntry]]
    looks: list[Look]


@dataclass
class Tally:
    """How much was compared."""

    figures: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        return ", ".join(f"{number} {what}" for what, number in sorted(self.figures.items()))


def agree(redis_url: str, case: Case, tally: Tally) -> None:
    """Live through a case; raises AssertionError where something that was foretold differs."""
    lived = asyncio.run(stepping(redis_url, case.config, case.start, partial(live, case)))
    tally.figures["cases"] += 1
    for look in lived.looks:
        compare_look(case, look, lived, tally)
    if case.is_simple:
        compare_simulation(case, lived, tally)


# ------------------------------------------------------------------------------------ living it


async def live(case: Case, service: Stepping) -> Lived:
    looks: list[Look] = []
    for name, recorder in service.channels.items():
        recorder.refuse = partial(_refuse, case, name)
    happenings: list[tuple[float, Callable[[], Awaitable[object]]]] = []
    for name, at, length in case.alerts:
        labels, begins = {"alertname": name, "severity": "critical"}, case.start + at
        happenings.append((begins, partial(service.push, labels, begins + length)))
    for kind, user, at in case.answers:
        event = act(kind, user, case.start + at)
        happenings.append((case.start + at, partial(service.act, event)))
    for schedule, user, at in case.overrides:
        happenings.append((case.start + at, partial(_override, service, schedule, user)))
    for how, name, at, later, length in case.mutes:
        make = partial(_mute, service, how, name, later, length)
        happenings.append((case.start + at, make))
    happenings += [(case.start + at, partial(_look, service, looks)) for at in case.looks]
    await service.until(case.start + LENGTH, *happenings)
    found = await service.incidents()
    timelines = await incidents.load_timelines(service.context.wire, [one.id for one in found])
    return Lived(found, dict(zip((one.id for one in found), timelines, strict=True)), looks)


def _refuse(case: Case, channel: str, address: str, card: Card) -> DeliveryError | None:
    refused = (address, channel) in case.refusing
    return DeliveryError("blocked", permanent=True) if refused else None


async def _override(service: Stepping, name: str, user: str) -> None:
    schedule, start = service.context.config.schedules[name], utc(service.at)
    end = start + timedelta(hours=3)
    await add_override(service.context, schedule, user=user, start=start, end=end)


async def _mute(service: Stepping, how: str, name: str, later: float, length: float) -> None:
    start, matcher = service.at + later, parse_matcher(f'alertname="{name}"')
    if how == "window":
        begins, ends = utc(start), utc(start + length)
        window = Maintenance(name="by hand", matchers=(matcher,), start=begins, end=ends)
        await create_window(service.context, window)
        return
    silence = Silence(
        id="",
        matcher_sets=[[matcher]],
        starts_ns=int(start * 10**9),
        ends_ns=int((start + length) * 10**9),
        created_by="ann",
        comment="known",
    )
    await put_silence(service.context, silence)


async def _look(service: Stepping, looks: list[Look]) -> None:
    wire, roster = service.context.wire, service.context.roster
    turns = await incidents.load_turns(wire)
    for incident in await service.incidents():
        if incident.state == "resolved":
            continue
        hold = (await load_incident_muting(service.context, incident)).hold_at
        upcoming = list_upcoming(incident, roster, turns, hold)
        known = len(await incidents.load_timeline(wire, incident.id))
        looks.append(Look(incident, service.at, known, upcoming))
        shown = incident_view(incident, roster, "", turns, hold).next_step
        if not upcoming:
            assert shown is None
            continue
        what = render_phrase(upcoming[0].what, load_texts("en"))
        assert shown == NextStepView(at=rfc3339(upcoming[0].at), what=what)


# ---------------------------------------------------------------------------- what was foretold


def compare_look(case: Case, look: Look, lived: Lived, tally: Tally) -> None:
    """Compare a forecast with what happened, up to what could not be foreseen."""
    after = lived.timelines[look.incident.id][look.known :]
    upcoming = look.upcoming
    # a clock that jumps is a little late where a group is flushed at the same time
    until = min(_horizon(upcoming), _first_surprise(case, look, lived, after)) - LATENESS
    held = look.incident.held_until is not None
    foretold = _events((row for row in upcoming if row.at < until), _foretold, held=held)
    plans = {look.incident.plan.name: look.incident.plan, **look.incident.forwards}
    happened = _events(
        (entry for entry in after if entry.at < until), partial(_happened, plans), held=held
    )
    context = (look.at - case.start, until - case.start, look.incident, after)
    assert [found[1:] for found in foretold] == [found[1:] for found in happened], (
        _shown(foretold, case),
        _shown(happened, case),
        context,
    )
    assert all(
        abs(one[0] - other[0]) < LATENESS for one, other in zip(foretold, happened, strict=True)
    ), (_shown(foretold, case), _shown(happened, case), context)
    tally.figures["forecasts"] += 1
    tally.figures.update(f"times {kind}" for _, kind, *_ in foretold)


def _events(found: Iterable[T], describe: Callable[[T], list[Event]], *, held: bool) -> list[Event]:
    """What the forecast and the timeline say in the same words, in order of time.

    Of a hold only the beginning and the end: that its reason changes meanwhile pages nobody.
    """
    events: list[Event] = []
    for event in (event for one in found for event in describe(one)):
        if event[1] in ("held", "released"):
            if held == (event[1] == "held"):
                continue
            held = not held
        events.append(event)
    return sorted(events)


def _shown(found: list[Event], case: Case) -> list[Event]:
    return [(at - case.start, *rest) for at, *rest in found]


def _horizon(upcoming: list[UpcomingIncidentStep]) -> float:
    """The time up to which a forecast claims to be whole."""
    ends = [row.at for row in upcoming if row.what.key in ("forecast.again", "forecast.held")]
    ends += [row.at for row in upcoming if row.what.key == "forecast.auto_resolve"]
    ends += [row.at for row in upcoming[-1:] if row.what.key == "forecast.held_back"]
    of_policy = [row for row in upcoming if "step" in _bare(row.what).values]
    if of_policy:
        last = of_policy[-1]
        action = _bare(last.what).values.get("action")
        forwards = isinstance(action, Phrase) and action.key == "forecast.forward"
        if forwards or last.what.key == "forecast.waits_for_shift":
            ends.append(last.at)
    if len(upcoming) == MAX_UPCOMING:
        ends.append(upcoming[-1].at)
    return min(ends, default=float("inf"))


def _first_surprise(case: Case, look: Look, lived: Lived, after: list[TimelineEntry]) -> float:
    """The time of the first thing after a look that nobody could foresee; Unix seconds."""
    times = [entry.at for entry in after if _is_surprise(entry)]
    times += [case.start + at for _, _, at in case.overrides if case.start + at > look.at]
    times += [case.start + at for _, _, at, _, _ in case.mutes if case.start + at > look.at]
    # An alert that fires on longer, or that no longer inhibits another, mutes otherwise.
    changes = [
        case.start + at + later
        for name, at, length in case.alerts
        for later in (0.0, length)
        if case.config.inhibit_rules or look.incident.group_labels == {"alertname": name}
    ]
    times += [at for at in changes if at > look.at]
    # Another incident may take a turn before this one does.
    times += [
        entry.at
        for other, timeline in lived.timelines.items()
        if other != look.incident.id
        for entry in timeline
        if entry.at >= look.at and "next in turn" in entry.text
    ]
    return min([*times, case.start + LENGTH])


def _is_surprise(entry: TimelineEntry) -> bool:
    match entry.kind:
        case "failed":
            return "blocked" in entry.text
        case "resolved":
            return entry.data.get("by") not in ("policy", "silent")
        case "unacknowledged":
            return bool(entry.user)
        case "escalated":
            return bool(entry.user)
    return entry.kind in OUTSIDE


def _foretold(row: UpcomingIncidentStep) -> list[Event]:
    found: list[Event] = [(row.at, "page", user, channel) for user, channel in row.pages]
    if row.what.key in EVENTS:
        return [*found, (row.at, EVENTS[row.what.key], "", "")]
    step = _bare(row.what).values.get("step")
    if step is not None and row.what.key not in ("forecast.waits_for_alerts",):
        found.append((row.at, "step", str(step), ""))
    return found


def _bare(what: Phrase) -> Phrase:
    """A step without what is said about it."""
    while isinstance(inner := what.values.get("what"), Phrase):
        what = inner
    return what


def _happened(plans: dict[str, Policy], entry: TimelineEntry) -> list[Event]:
    if entry.kind == "sent":
        return [(entry.at, "page", entry.user, entry.channel)] if entry.user else []
    if entry.kind in EVENTS.values():
        return [(entry.at, entry.kind, "", "")]
    plan = plans.get(entry.policy)
    if entry.user or not entry.step or plan is None or entry.kind == "escalated":
        return []
    waits = isinstance(plan.steps[entry.step - 1], Wait | WaitUntilStep | WaitForAlertsStep)
    return [] if waits else [(entry.at, "step", str(entry.step), "")]


# ------------------------------------------------------------------------------------- simulate


def compare_simulation(case: Case, lived: Lived, tally: Tally) -> None:
    """Compare all pages of the case with those of `simulate`."""
    [(name, at, length)] = case.alerts
    start = case.start + at
    request = SimulationRequest(
        labels={"alertname": name, "severity": "critical"},
        at=utc(start),
        duration=LENGTH - at,
        answers=[(user, when - at) for _, user, when in case.answers if when > at],
        resolve_after=length,
    )
    simulated = [
        page
        for group in Simulation(request, Roster(case.config)).groups
        for one in group.incidents
        for page in one.incident.pages
    ]
    real = [page for one in lived.incidents for page in one.pages]
    told, found = [_page(page, start) for page in simulated], [_page(page, start) for page in real]
    assert [key[1:] for key in told] == [key[1:] for key in found], (told, found)
    assert all(
        abs(one[0] - other[0]) <= TOLERANCE for one, other in zip(told, found, strict=True)
    ), (told, found)
    tally.figures["simulations"] += 1
    tally.figures["pages simulated"] += len(told)


def _page(page: Page, start: float) -> tuple[Any, ...]:
    what = page.kind, page.user, page.receiver, page.channel, page.policy, page.step, page.round
    return (round(page.due - start, 1), *what, page.state if page.kind == "page" else "")


# -------------------------------------------------------------------------------- any number of


def run(number: int, beginning: int | None = None) -> Tally:
    """Run so many cases against a Redis of their own; raises what the smallest failing one raises."""
    tally = Tally()
    with running(own=True) as redis:

        def check(case: Case) -> None:
            agree(redis.url, case, tally)

        wanted = settings(
            max_examples=number,
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            phases=(Phase.generate,),
        )(given(cases)(check))
        (wanted if beginning is None else seed(beginning)(wanted))()
    return tally


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=None, help="the same cases at each run")
    options = parser.parse_args()
    began = time.monotonic()
    tally = run(options.cases, options.seed)
    print(f"agreed: {tally}; {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
