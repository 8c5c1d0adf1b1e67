"""What pages, the API and `simulate` foretell is what the service's own parts then do, on generated cases.

`python -m tests.support.integration.agreement --cases 1000 --seed 7` runs any number of them and prints how much was compared.
The cases are those of team_cases.py. The service lives through each under a clock that jumps; at some moments the forecast of every open incident is kept (the
page's, that of the lists and that of the API), and compared afterwards with what happened up to the next thing that nobody could
foresee. What `simulate` says of the same alerts is compared as a whole.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import math
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any, TypeVar

from hypothesis import HealthCheck, Phase, given, seed, settings

import tests.support.properties  # noqa: F401  # the settings of property tests
from amproxy.clock import rfc3339, utc
from amproxy.config.structs import Policy, Wait, WaitForAlertsStep, WaitUntilStep
from amproxy.correlate.muting import load_incident_mutings
from amproxy.errors import Conflict, DeliveryError
from amproxy.model import Incident, Page, TimelineEntry
from amproxy.notify.message import Card
from amproxy.oncall.roster import Roster
from amproxy.respond.muting import create_window, put_silence
from amproxy.respond.schedule_changes import accept_swap, add_absence, add_override, create_swap
from amproxy.respond.targets import BadAction
from amproxy.simulation.incident import SimulationAssumptions
from amproxy.simulation.simulate import Simulation
from amproxy.store import incidents
from amproxy.store.storms import LONGEST_WAIT
from amproxy.text import Phrase, load_texts
from amproxy.text.render import render_phrase
from amproxy.web.incidents.forecast import MAX_UPCOMING, UpcomingIncidentStep, list_upcoming
from amproxy.web.incidents.list import incident_rows
from amproxy.web.incidents.views import incident_view
from tests.support.integration.plans import act, address
from tests.support.integration.stepping import Stepping, stepping
from tests.support.integration.team_cases import LENGTH, Case, Change, Mute, cases
from tests.support.redis import running
from tests.support.words import said

T = TypeVar("T")
Event = tuple[Any, ...]  # when (Unix seconds), what, and who over what, or which step

LATENESS = 0.3  # seconds
SMALL_STORM = 2  # pages; a case never has as many as a larger one lets out
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
    roster: Roster  # with the changes made by hand


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
    entries = (entry for timeline in lived.timelines.values() for entry in timeline)
    tally.figures.update(f"happened {entry.kind}" for entry in entries)
    for look in lived.looks:
        compare_look(case, look, lived, tally)
    if case.is_foreseeable:
        compare_simulation(case, lived, tally)


# ------------------------------------------------------------------------------------ living it


async def live(case: Case, service: Stepping) -> Lived:
    looks: list[Look] = []
    for name, recorder in service.channels.items():
        recorder.refuse = partial(_refuse, case, name)
    happenings: list[tuple[float, Callable[[], Awaitable[object]]]] = []
    for one in case.alerts:
        begins = case.start + one.at
        happenings.append((begins, partial(service.push, one.labels, begins + one.length)))
    for kind, user, at in case.answers:
        event = act(kind, user, case.start + at)
        happenings.append((case.start + at, partial(service.act, event)))
    for change in case.changes:
        happenings.append((case.start + change.made, partial(_change, service, case, change)))
    for mute in case.mutes:
        happenings.append((case.start + mute.made, partial(_mute, service, case, mute)))
    happenings += [(case.start + at, partial(_look, service, looks)) for at in case.looks]
    await service.until(case.start + LENGTH, *happenings)
    found = await service.incidents()
    timelines = await incidents.load_timelines(service.context.wire, [one.id for one in found])
    return Lived(
        found,
        dict(zip((one.id for one in found), timelines, strict=True)),
        looks,
        service.context.roster,
    )


def _refuse(case: Case, channel: str, to: str, card: Card) -> DeliveryError | None:
    refused = any(channel == kind and to == address(kind, user) for user, kind in case.refusing)
    return DeliveryError("blocked", permanent=True) if refused else None


async def _change(service: Stepping, case: Case, change: Change) -> None:
    context, start = service.context, utc(case.start + change.start)
    schedule, end = (
        context.config.schedules[change.schedule],
        start + timedelta(seconds=change.length),
    )
    with contextlib.suppress(BadAction, Conflict):
        match change.kind:
            case "override":
                await add_override(context, schedule, user=change.user, start=start, end=end)
            case "absence":
                await add_absence(context, change.user, start=start, end=end)
            case _:
                swap = await create_swap(context, schedule, user=change.user, start=start, end=end)
                await accept_swap(context, swap.id, user=change.other)


async def _mute(service: Stepping, case: Case, mute: Mute) -> None:
    if mute.kind == "window":
        await create_window(service.context, mute.window(case.start))
    else:
        await put_silence(service.context, mute.silence(case.start))


async def _look(service: Stepping, looks: list[Look]) -> None:
    wire, roster = service.context.wire, service.context.roster
    turns = await incidents.load_turns(wire)
    found = [one for one in await service.incidents() if one.state != "resolved"]
    mutings = await load_incident_mutings(service.context, found)
    for incident, row in zip(found, await incident_rows(service.context, found), strict=True):
        hold = mutings[incident.id].hold_at
        upcoming = list_upcoming(incident, roster, turns, hold)
        known = len(await incidents.load_timeline(wire, incident.id))
        looks.append(Look(incident, service.at, known, upcoming))
        shown = incident_view(incident, roster, "", turns, hold).next_step
        assert row.next == (upcoming[0] if upcoming else None)
        if not upcoming:
            assert shown is None
            continue
        what = render_phrase(upcoming[0].what, load_texts("en"))
        assert shown is not None and (shown.at, shown.what) == (rfc3339(upcoming[0].at), what)


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
    made = [one.made for one in (*case.changes, *case.mutes)]
    times += [case.start + at for at in made if case.start + at > look.at]
    times += _storms(case, look, lived)
    # An alert that fires on longer, or that no longer inhibits another, mutes otherwise.
    changes = [
        case.start + one.at + later
        for one in case.alerts
        for later in (0.0, one.length)
        if case.config.inhibit_rules or look.incident.group_labels == {"alertname": one.name}
    ]
    times += [at for at in changes if at > look.at]
    # Another incident may take a turn before this one does.
    times += [
        entry.at
        for other, timeline in lived.timelines.items()
        if other != look.incident.id
        for entry in timeline
        if entry.at >= look.at and "next in turn" in said(entry.words)
    ]
    return min([*times, case.start + LENGTH])


def _storms(case: Case, look: Look, lived: Lived) -> Iterator[float]:
    """The times of other incidents' pages that count for a storm of this incident's."""
    storms = {name: policy.storm for name, policy in case.config.policies.items()}
    keys = {
        (page.policy, page.user, page.channel)
        for one in lived.incidents
        if one.id == look.incident.id
        for page in one.pages
    }
    for other in lived.incidents:
        for page in other.pages:
            storm = storms[page.policy]
            if storm is None or storm.more_than > SMALL_STORM or other.id == look.incident.id:
                continue
            same = (page.policy, page.user, page.channel) in keys
            if same and page.due > look.at - storm.within - LONGEST_WAIT:
                yield page.due


def _is_surprise(entry: TimelineEntry) -> bool:
    match entry.kind:
        case "failed":
            return "blocked" in said(entry.words)
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
    if entry.user or not entry.step or plan is None or entry.kind in ("escalated", "skipped"):
        return []
    waits = isinstance(plan.steps[entry.step - 1], Wait | WaitUntilStep | WaitForAlertsStep)
    return [] if waits else [(entry.at, "step", str(entry.step), "")]


# ------------------------------------------------------------------------------------- simulate


def compare_simulation(case: Case, lived: Lived, tally: Tally) -> None:
    """Compare all pages of the case with those of `simulate`."""
    start = case.start + case.alerts[0].at
    simulation = Simulation(case.request, lived.roster, Refusing(case.refusing))
    until = _first_tie(case, lived) - start
    told, found = dict[str, list[Any]](), dict[str, list[Any]]()
    for group in simulation.groups:
        for one in group.incidents:
            told.setdefault(group.group.key, []).append(_pages(one.incident, start, until))
    for incident in lived.incidents:
        found.setdefault(incident.group_key, []).append(_pages(incident, start, until))
    if until < math.inf:
        told, found = _paged(told), _paged(found)
        tally.figures["simulations compared up to a tie"] += 1
    assert told.keys() == found.keys(), (told, found)
    for key, incidents_told in told.items():
        differ = (case.start, key, incidents_told, found[key])
        assert len(incidents_told) == len(found[key]), differ
        for one_told, one_found in zip(incidents_told, found[key], strict=True):
            assert [page[2:] for page in one_told] == [page[2:] for page in one_found], differ
            for page, real in zip(one_told, one_found, strict=True):
                assert abs(page[0] - real[0]) <= TOLERANCE, differ
                assert abs(page[1] - real[1]) <= TOLERANCE, differ
            tally.figures["pages simulated"] += len(one_told)
            tally.figures["pages in bundles"] += sum(
                page[1] - page[0] > TOLERANCE for page in one_told
            )
    tally.figures["simulations"] += 1
    tally.figures["incidents simulated"] += sum(map(len, told.values()))


class Refusing(SimulationAssumptions):
    """The contacts of a case that refuse whatever is sent to them."""

    def __init__(self, refusing: frozenset[tuple[str, str]]) -> None:
        self._refusing = refusing

    def refuse(self, page: Page) -> str:
        return "blocked" if (page.user, page.channel) in self._refusing else ""


def _first_tie(case: Case, lived: Lived) -> float:
    """The first moment at which two incidents go on at once, where it matters which is first; Unix seconds.

    Their turns in a round robin, and which of their pages a storm holds, are then a matter of their random ids.
    """
    policies = case.config.policies.values()
    storms = any(policy.storm and policy.storm.more_than <= SMALL_STORM for policy in policies)
    turns = any(
        getattr(step, "pick", "") == "round_robin" for one in policies for step in one.steps
    )
    if not (storms or turns):
        return math.inf
    moments = {
        (entry.at, id_)
        for id_, timeline in lived.timelines.items()
        for entry in timeline
        if entry.step
    }
    # what a storm holds is told of later than it was due
    moments |= {(page.due, one.id) for one in lived.incidents for page in one.pages}
    ties = (
        at
        for (at, one), (following, other) in itertools.pairwise(sorted(moments))
        if one != other and following - at < LATENESS
    )
    return next(ties, math.inf)


def _pages(incident: Incident, start: float, until: float) -> list[tuple[Any, ...]]:
    """The pages of an incident up to a time (seconds after `start`), so that what became of each is known."""
    pages = [_page(page, start) for page in incident.pages]
    return [page for page in pages if page[0] < until - LONGEST_WAIT - TOLERANCE]


def _paged(found: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """Only incidents that paged somebody: of others nobody knows whether they came after a tie."""
    paged = {key: [pages for pages in incidents if pages] for key, incidents in found.items()}
    return {key: incidents for key, incidents in paged.items() if incidents}


def _page(page: Page, start: float) -> tuple[Any, ...]:
    what = page.kind, page.user, page.receiver, page.channel, page.policy, page.step, page.round
    state = page.state if page.kind == "page" else ""
    sent = page.sent_at if page.sent_at and page.kind == "page" else page.due
    return (round(page.due - start, 1), round(sent - start, 1), *what, state)


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
