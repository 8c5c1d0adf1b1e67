"""`amproxy simulate`: alerts that come in and keep firing, under a virtual clock.

Also one policy alone, run for an alert wherever the routes would lead it. Pure.
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final, NamedTuple

import msgspec

from amproxy.config.read.cursor import hint
from amproxy.config.structs import Config, Integration, Maintenance, Policy
from amproxy.errors import NotFound
from amproxy.grouping.dedup import merge_alerts
from amproxy.grouping.rights import incident_refusal, principal_of_user
from amproxy.grouping.silences import FOREVER_NS
from amproxy.labels.matchers import Matcher, parse_matchers
from amproxy.machine.deliveries import STATE_PHRASES
from amproxy.machine.draft import new_id
from amproxy.machine.events import Acknowledge, Act
from amproxy.model import Group, Incident, Page, Silence, TimelineEntry
from amproxy.notify.templates import default_title
from amproxy.oncall.roster import Roster
from amproxy.simulation.alert import SimulatedAlert, alerts_document, parse_labels
from amproxy.simulation.group import SimulatedFiring, SimulatedGroup
from amproxy.simulation.incident import SimulatedIncident, SimulationAssumptions
from amproxy.simulation.surroundings import (
    ANSWER_RANK,
    ARRIVAL_RANK,
    SimulatedSurroundings,
)
from amproxy.text import PeopleNames, phrase
from amproxy.times import LATEST, parse_duration, to_utc

DEFAULT_SIMULATED_SECONDS: Final = 86400.0  # where nobody says how long
POLICY_RUN_SECONDS: Final = 86400.0  # for which a policy alone is followed
_REDUNDANT_KINDS: Final = ("opened", "sent", "step")  # entries that the pages show as well


class SimulatedAlertRequest(msgspec.Struct, frozen=True, kw_only=True):
    """An alert that comes in; both times are seconds after the beginning of the simulation."""

    labels: Mapping[str, str]
    start: float = 0.0
    end: float | None = None  # None = it keeps firing


class SimulationRequest(msgspec.Struct, frozen=True, kw_only=True):
    """The alerts to simulate, what people do, and what they have muted by hand."""

    labels: Mapping[str, str]  # of the first alert
    at: datetime  # aware: when the first alert comes in
    duration: float | None = None  # seconds; None = until the policies have ended, a day at most
    # Who acknowledges, or another action, so many seconds after `at`.
    answers: Sequence[tuple[str | Act, float]] = ()
    resolve_after: float | None = None  # seconds after `at` when it ends; None = it keeps firing
    others: Sequence[SimulatedAlertRequest] = ()  # alerts besides the first
    silences: Sequence[Silence] = ()
    windows: Sequence[Maintenance] = ()  # by hand, besides those of the file; each with an id

    @property
    def alerts(self) -> list[SimulatedAlertRequest]:
        """All alerts, the first of which begins the simulation."""
        first = SimulatedAlertRequest(labels=self.labels, end=self.resolve_after)
        return [first, *self.others]


class Simulation:
    """A simulation, run when made: then `groups` have what happened up to `end`.

    Raises NotFound for an unknown person.
    """

    def __init__(
        self,
        request: SimulationRequest,
        roster: Roster,
        assumptions: SimulationAssumptions | None = None,
    ) -> None:
        config, self._assumptions = roster.config, assumptions
        _refuse_unknown_users(config, request.answers)
        self.request, self.roster = request, roster
        self.alerts = [SimulatedAlert(config, one.labels) for one in request.alerts]
        self.start = to_utc(request.at).timestamp()
        seconds = DEFAULT_SIMULATED_SECONDS if request.duration is None else request.duration
        self.end = min(self.start + seconds, LATEST.timestamp())
        self.surroundings = SimulatedSurroundings(roster, request.silences, request.windows)
        self._groups: dict[tuple[str, int], SimulatedGroup] = {}
        self._arrived: dict[str, SimulatedFiring] = {}  # by fingerprint
        self._schedule()
        self.surroundings.run(self.groups, self.start, self.end)

    @property
    def groups(self) -> list[SimulatedGroup]:
        """Each group and oncall integration, in the order of the alerts."""
        return list(self._groups.values())

    def _schedule(self) -> None:
        clock = self.surroundings.clock
        for alert, asked in zip(self.alerts, self.request.alerts, strict=True):
            ends = math.inf if asked.end is None else self.start + asked.end
            firing = SimulatedFiring(alert.labels, ends=ends, sender=alert.placement.fingerprint)
            at = self.start + asked.start
            groups = [self._group(*pair) for pair in alert.oncall]
            clock.call_at(at, ARRIVAL_RANK, partial(self._arrive, alert, firing, groups))
        for answer, seconds in self.request.answers:
            event = (
                answer if isinstance(answer, Act) else Acknowledge(user=answer, via="simulation")
            )
            for simulated in self.groups:
                call = partial(self._answer, simulated, event)
                clock.schedule(self.start + seconds, ANSWER_RANK, simulated, call)

    def _group(self, group: Group, integration: Integration) -> SimulatedGroup:
        key = group.id, integration.index
        if key not in self._groups:
            self._groups[key] = SimulatedGroup(
                group, integration, self.surroundings, self._assumptions
            )
        return self._groups[key]

    def _arrive(
        self,
        alert: SimulatedAlert,
        firing: SimulatedFiring,
        groups: Sequence[SimulatedGroup],
        now: float,
    ) -> None:
        [stored] = firing.stored(now)
        if known := self._arrived.get(stored.fingerprint):
            [before] = known.stored(now)
            stored = merge_alerts(before, stored)
            firing = firing._replace(ends=stored.ends_ns / 10**9 or math.inf)
        self._arrived[stored.fingerprint] = firing
        self.surroundings.add_sources(alert.placement.sources, stored)
        for group in groups:
            group.receive(stored.fingerprint, firing, now)
            self.surroundings.clock.schedule_due(group)

    def _answer(self, group: SimulatedGroup, event: Act, now: float) -> None:
        person, simulated = PeopleNames((event.user,)), group.last_incident
        if simulated is None:
            group.add_note(now, phrase("simulation.nothing_yet", person=person))
            return
        who = principal_of_user(self.roster.config, event.user, "chat")
        if reason := incident_refusal(who, simulated.incident):
            group.add_note(now, phrase("simulation.may_not", person=person, reason=reason))
        elif group.apply_action(event, now):
            state = STATE_PHRASES[simulated.incident.state]
            group.add_note(now, phrase("simulation.need_not", person=person, state=state))


def parse_alert(text: str) -> SimulatedAlertRequest:
    """An alert of `LABEL=VALUE … @FROM-UNTIL`. Raises ValueError."""
    what, start, end = _parse_span(text)
    labels = parse_labels(shlex.split(what))
    if not labels:
        raise ValueError(f"{text!r} has no labels")
    return SimulatedAlertRequest(labels=labels, start=start, end=end)


def parse_silence(text: str, at: datetime) -> Silence:
    """A silence of `MATCHERS @FROM-UNTIL`, counted from `at` (aware). Raises ValueError."""
    what, start, end = _parse_span(text)
    beginning = to_utc(at).timestamp()
    return Silence(
        id=what,
        matcher_sets=[list(_parse_matchers(what))],
        starts_ns=int((beginning + start) * 10**9),
        ends_ns=FOREVER_NS if end is None else int((beginning + end) * 10**9),
    )


def parse_window(text: str, at: datetime) -> Maintenance:
    """A maintenance window made by hand, likewise. Raises ValueError."""
    what, start, end = _parse_span(text)
    return Maintenance(
        name=what,
        id=text,
        matchers=_parse_matchers(what),
        start=to_utc(at) + timedelta(seconds=start),
        end=None if end is None else to_utc(at) + timedelta(seconds=end),
    )


def _parse_span(text: str) -> tuple[str, float, float | None]:
    """Split off "@FROM-UNTIL"; return the rest, and both in seconds. None = no end."""
    what, _, span = (text if " @" in text else f"{text} @0s").rpartition(" @")
    start, dash, end = span.partition("-")
    try:
        first, last = parse_duration(start), parse_duration(end) if dash else None
    except ValueError:
        raise ValueError(f"{text!r} does not end with @FROM-UNTIL, such as @10m-1h") from None
    if last is not None and last <= first:
        raise ValueError(f"{text!r} ends before it begins")
    return what.strip(), first, last


def _parse_matchers(text: str) -> tuple[Matcher, ...]:
    if not (found := parse_matchers(text)):
        raise ValueError(f"{text!r} has no matchers")
    return tuple(found)


def simulate(request: SimulationRequest, roster: Roster) -> dict[str, Any]:
    """Return the JSON of the command: pages that arrive from then on, in order of time.

    Raises NotFound for an unknown person.
    """
    simulation = Simulation(request, roster)
    pages = simulated_pages(simulation)
    return alerts_document(simulation.alerts, simulation.start, pages, simulation.surroundings)


def simulated_pages(simulation: Simulation) -> list[Page]:
    """Return all pages that arrived, in order of time."""
    pages = [
        page
        for group in simulation.groups
        for simulated in group.incidents
        for page in simulated.pages
    ]
    return sorted(pages, key=lambda page: page.sent_at or page.due)


def _refuse_unknown_users(config: Config, answers: Sequence[tuple[str | Act, float]]) -> None:
    for answer, _ in answers:
        user = answer.user if isinstance(answer, Act) else answer
        if user not in config.users:
            raise NotFound(f"there is no user {user!r}{hint(user, config.users)}")


class PolicyRunEvent(NamedTuple):
    """A page that arrives, or an entry of the timeline."""

    seconds: float  # after the incident opens
    at: datetime
    entry: TimelineEntry
    page: Page | None


def run_policy(
    policy: Policy, labels: Mapping[str, str], at: datetime, roster: Roster
) -> list[PolicyRunEvent]:
    """Run a policy for an incident that opens at `at` (aware), for a day at most.

    Nobody answers.
    """
    start, common = to_utc(at), dict(labels)
    now = start.timestamp()
    incident = Incident(
        id=new_id(),
        title=default_title(common, common),
        policy=policy.name,
        plan=policy,
        common_labels=common,
        firing=1,
        started_at=now,
    )
    simulated = SimulatedIncident(incident, roster, {})
    simulated.open()
    simulated.run(now + POLICY_RUN_SECONDS)
    return [
        PolicyRunEvent(entry.at - now, datetime.fromtimestamp(entry.at, start.tzinfo), entry, page)
        for entry, page in simulated.entries
        if page or entry.kind not in _REDUNDANT_KINDS
    ]
