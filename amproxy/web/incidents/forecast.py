"""The forecast of an incident: what comes, with the time of each, if nobody acts. Pure.

The machine itself is run under a virtual clock over the incident as it is stored, with the roster,
the turns and the contacts of now; what it does is put into phrases here. An override or a change
of the file may still change who is named.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple

from amproxy.config.structs import (
    Condition,
    ForwardStep,
    NotifyStep,
    Step,
    WaitForAlertsStep,
)
from amproxy.machine import holds
from amproxy.machine.events import Hold, TimerTick, time_event
from amproxy.machine.steps import PAGING_INSTEAD, skipped_because
from amproxy.machine.transition import next_due_with_news
from amproxy.model import Incident, Page, TimelineEntry
from amproxy.oncall.roster import Roster
from amproxy.simulation.incident import SimulatedIncident
from amproxy.text import Length, PeopleNames, Phrase, PhraseValue, Words
from amproxy.web.incidents.forecast_steps import describe_action, describe_conditions

MAX_UPCOMING = 40  # rows shown
# Moments at which the machine is run for one forecast: quiet hours, policies that go round in a
# circle and shifts that never begin may fill them with nothing to show.
MAX_MOMENTS = 200

# Unix seconds → why an incident must not page then, and until when (inf = not known); None = it may
FindHold = Callable[[float], tuple[Phrase, float] | None]


def never_held(at: float) -> None:
    """The FindHold of an incident whose alerts nothing mutes."""


class UpcomingIncidentStep(NamedTuple):
    """Something that is due."""

    at: float  # Unix seconds
    what: Phrase  # "step 3: notify bob (users)"
    pages: tuple[tuple[str, str], ...] = ()  # (user, channel) of each page that arrives by it

    @property
    def contacts(self) -> tuple[Phrase, ...]:
        """ "bob: telegram, email" for each person whom a step pages."""
        channels: dict[str, list[str]] = {}
        for user, channel in self.pages:
            channels.setdefault(user, []).append(channel)
        return tuple(
            Phrase("forecast.contact", {"person": PeopleNames((user,)), "channels": ", ".join(by)})
            for user, by in channels.items()
            if self.what.key not in ("forecast.rule", "forecast.bundled")  # which name them
        )


def find_next_step(
    incident: Incident,
    roster: Roster,
    turns: Mapping[str, int] | None = None,
    hold: FindHold = never_held,
) -> UpcomingIncidentStep | None:
    """The first thing that happens if nobody acts; None = nothing.

    turns: of round robin, as stored; None = no turn was ever taken. hold: what mutes the alerts.
    """
    return next(_Forecast(incident, roster, turns or {}, hold).steps(), None)


def list_upcoming(
    incident: Incident,
    roster: Roster,
    turns: Mapping[str, int] | None = None,
    hold: FindHold = never_held,
) -> list[UpcomingIncidentStep]:
    """Everything up to the end of this round, or of the incident, in order; else as above."""
    return list(islice(_Forecast(incident, roster, turns or {}, hold).steps(), MAX_UPCOMING))


@dataclass
class _Row:
    """One thing that happens, until all of its pages are known."""

    what: Phrase | None  # None = a rule of a person, which its pages tell
    policy: str = ""
    step: int = 0
    pages: list[tuple[str, str]] = field(default_factory=list)

    @property
    def of_policy(self) -> bool:
        """True for a step, and for the end of a round."""
        ends = self.what is not None and self.what.key in ("forecast.no_more", "forecast.again")
        return self.step > 0 or ends

    def causes(self, page: Page) -> bool:
        """True where a page of the same moment belongs to it."""
        if self.what is None:
            return self.pages[0][0] == page.user
        if page.kind == "reminder":
            return self.what.key == "forecast.reminded"
        return self.step > 0 and (self.policy, self.step) == (page.policy, page.step)

    def freeze(self, at: float) -> UpcomingIncidentStep:
        pages = tuple(self.pages)
        if self.what is not None:
            return UpcomingIncidentStep(at, self.what, pages)
        values: dict[str, PhraseValue] = {
            "person": PeopleNames((pages[0][0],)),
            "channels": ", ".join(channel for _, channel in pages),
        }
        return UpcomingIncidentStep(at, Phrase("forecast.rule", values), pages)


class _Forecast:
    """One run of the machine, and how far what it does is shown."""

    def __init__(
        self,
        incident: Incident,
        roster: Roster,
        turns: Mapping[str, int],
        hold: FindHold,
    ) -> None:
        self._hold = hold
        self._run, self._roster = SimulatedIncident(incident, roster, dict(turns)), roster
        self._start = incident.updated_at
        self._seen = 0  # entries of the run that are told
        # Or sent long ago; what a storm holds is still to come.
        self._under_way = {page.id for page in incident.pages if not self._run.is_held(page)}
        self._plans = {incident.plan.name: incident.plan, **incident.forwards}
        self._followed = {incident.policy}  # policies, since it last began anew
        self._waited: tuple[str, int] | None = None  # (policy, step) that waits for a shift
        # The round of its policy that is told; then only people's rules that began in it are.
        self._last_round: int | None = None
        self._over = False  # nothing more is told
        # After what is told another policy takes over, which counts as news.
        self._goes_on = False

    def steps(self) -> Iterator[UpcomingIncidentStep]:
        """All that happens, in order."""
        if self._run.incident.state == "resolved":
            return
        self._run.deliver(self._start)
        yield from self._told(self._start)
        silent = False  # the moment without news is told; from then on there is some
        for _ in range(MAX_MOMENTS):
            due = self._next_due()
            if self._is_told():
                due = self._run.held_due
            if due == math.inf:
                due = None
            known = not silent and not self._goes_on
            end = holds.auto_resolve_due(self._run.incident) if known else None
            if end is not None and (due is None or end <= due):
                yield UpcomingIncidentStep(max(end, self._start), Phrase("forecast.auto_resolve"))
                silent = True
            elif due is None:
                return
            else:
                at, before = max(due, self._start), self._run.incident.held_until
                self._run.release_held(at)
                if (due := next_due_with_news(self._run.incident)) is not None and due <= at:
                    self._run.apply(self._tick(at, at if silent else None), at)
                yield from self._told(at)
                incident = self._run.incident
                if incident.held_until == math.inf and before not in (None, math.inf):
                    yield _held_step(at, incident.held_by)

    def _next_due(self) -> float | None:
        """The time at which the machine or a storm goes on, while there is always news."""
        due = next_due_with_news(self._run.incident), self._run.held_due
        return min((at for at in due if at is not None), default=None)

    def _tick(self, at: float, pushed_at: float | None) -> TimerTick | Hold:
        return time_event(self._hold(at), pushed_at)

    def _is_told(self) -> bool:
        """True where the round is over, and so are the rules that began in it."""
        last = self._last_round
        return self._over or (
            last is not None
            and not any(
                chain.due is not None and chain.round <= last for chain in self._run.incident.chains
            )
        )

    def _told(self, at: float) -> Iterator[UpcomingIncidentStep]:
        """The events of one moment, from the entries that came since the last."""
        entries = self._run.entries[self._seen :]
        self._seen += len(entries)
        self._plans[self._run.incident.plan.name] = self._run.incident.plan
        rows: list[_Row] = []
        for entry, page in entries:
            if page is not None:
                self._add_page(rows, page)
            elif not self._over and self._last_round is None and (what := self._describe(entry)):
                rows.append(_Row(what, entry.policy, 0 if entry.user else entry.step))
        yield from (row.freeze(at) for row in rows)

    def _add_page(self, rows: list[_Row], page: Page) -> None:
        """Note a page that arrived with the step that caused it, or as a rule of its person."""
        if not page.user or page.id in self._under_way:
            return
        if self._last_round is not None and page.round > self._last_round:
            return
        if page.sent_at != page.due and page.kind == "page":
            self._add_held(rows, page)
            return
        row = next((row for row in rows if row.causes(page)), None)
        if row is not None:
            row.pages.append((page.user, page.channel))
        elif page.kind == "page" and not self._over:
            # The rules of earlier steps run before the steps of the same moment.
            before = (place for place, row in enumerate(rows) if row.of_policy)
            place = next(before, len(rows))
            rows.insert(place, _Row(None, pages=[(page.user, page.channel)]))

    def _add_held(self, rows: list[_Row], page: Page) -> None:
        """Note a page that a storm has held back: it comes after its step."""
        person = PeopleNames((page.user,))
        values: dict[str, PhraseValue] = {"person": person, "channel": page.channel}
        rows.append(_Row(Phrase("forecast.bundled", values), pages=[(page.user, page.channel)]))

    def _describe(self, entry: TimelineEntry) -> Phrase | None:
        """One entry of the timeline as a coming event; None for one that is not shown."""
        match entry.kind:
            case "reminded":
                return Phrase("forecast.reminded", {"person": PeopleNames((entry.user,))})
            case "unacknowledged" | "triggered":
                self._followed = {entry.policy}
                runs_out = entry.kind == "unacknowledged"
                name = "acknowledgement_runs_out" if runs_out else "snooze_ends"
                return Phrase(f"forecast.{name}")
            case "held":
                return Phrase("forecast.held_back", {"reason": self._run.incident.held_by})
            case "released":
                return Phrase("forecast.released")
            case "failed" if entry.data.get("unreachable"):
                return Phrase("forecast.unreachable", {"person": PeopleNames((entry.user,))})
            case "ended":
                return Phrase("forecast.no_more")
            case "repeat":
                incident = self._run.incident
                self._last_round, self._goes_on = incident.round - 1, bool(incident.forwards)
                return Phrase(
                    "forecast.again",
                    {"round": incident.round, "rounds": incident.plan.repeat + 1},
                )
            case _:
                plan = self._plans.get(entry.policy)
                # A page that is not sent is no step, though it names the one that it is of.
                if plan is None or entry.user or entry.kind == "skipped":
                    return None
                if not 0 < entry.step <= len(plan.steps):
                    return None
                return self._describe_step(entry, plan.steps[entry.step - 1])

    def _describe_step(self, entry: TimelineEntry, step: Step) -> Phrase | None:
        waited, self._waited = self._waited, None
        if isinstance(step, WaitForAlertsStep):
            return self._describe_gate(entry, step)
        if entry.kind == "nobody" and self._waits_for_shift(entry):
            self._waited = (entry.policy, entry.step)
            if waited == self._waited:  # nobody knows whether such a shift ever comes
                self._over = True
                return None
            assert isinstance(step, NotifyStep)
            values: dict[str, PhraseValue] = {"step": entry.step, "schedule": step.schedule}
            return Phrase("forecast.waits_for_shift", values)
        if entry.what and entry.what.key == PAGING_INSTEAD:
            return Phrase("forecast.instead", entry.what.values)
        action = describe_action(entry, step, self._roster)
        if action is None:
            return None
        if entry.kind == "forwarded" and isinstance(step, ForwardStep):
            self._over = self._goes_on = step.policy in self._followed
            self._followed.add(step.policy)
        what = Phrase("forecast.step", {"step": entry.step, "action": action})
        if isinstance(step, Condition) and (conditions := describe_conditions(step)):
            what = Phrase("forecast.conditional", {"what": what, "conditions": conditions})
        if skipped := skipped_because(entry):
            return Phrase("forecast.skipped", {"what": what, "reason": skipped})
        return Phrase("forecast.in_vain", {"what": what}) if entry.kind == "failed" else what

    def _describe_gate(self, entry: TimelineEntry, step: WaitForAlertsStep) -> Phrase | None:
        """A step that waits for alerts, which nobody can foresee; None where it went on."""
        if self._run.incident.waiting != "alerts":
            return None
        values: dict[str, PhraseValue] = {
            "step": entry.step,
            "count": step.more_than,
            "period": Length(step.within),
        }
        return Phrase("forecast.waits_for_alerts", values)

    def _waits_for_shift(self, entry: TimelineEntry) -> bool:
        incident = self._run.incident
        here = (incident.policy, incident.position) == (entry.policy, entry.step - 1)
        return incident.waiting == "shift" and here


def _held_step(at: float, reason: Words) -> UpcomingIncidentStep:
    """The next look at what mutes the alerts, where nobody knows what it finds."""
    return UpcomingIncidentStep(at, Phrase("forecast.held", {"reason": reason}))
