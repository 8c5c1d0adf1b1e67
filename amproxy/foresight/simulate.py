"""`amproxy simulate`: an alert that comes in at the raw door and keeps firing, under a virtual clock."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from amproxy.config.cursor import hint
from amproxy.config.structs import Config, Integration
from amproxy.correlate.flush import muted
from amproxy.decide.roster import Roster
from amproxy.decide.zones import LATEST, instant
from amproxy.errors import NotFound
from amproxy.foresight.course import Course, Fact
from amproxy.foresight.entry import Entry
from amproxy.foresight.mute import because, still_muted
from amproxy.foresight.render import person
from amproxy.machine.events import Acknowledge, Tick
from amproxy.model import Group, TimelineEntry

DAY = 86400.0  # seconds that are simulated where nobody says how long

# What goes first at one moment: an answer is heard before the next step runs, and there must be an incident to answer.
_FLUSH, _ANSWER, _TICK = range(3)


class Answer(NamedTuple):
    at: float
    user: str


class Way:
    """One group's way to people through one oncall integration: it waits, and then there is an incident."""

    def __init__(self, group: Group, integration: Integration, at: float) -> None:
        self.group, self.integration = group, integration
        self.course: Course | None = None
        self.flush: float | None = at + group.group_wait
        self.before: list[Fact] = []  # what is told of the time without incident

    def due(self) -> tuple[float, int] | None:
        """When something happens by itself, and its rank at that moment."""
        moment, rank = (self.course.due, _TICK) if self.course else (self.flush, _FLUSH)
        return None if moment is None else (moment, rank)

    def say(self, at: float, text: str) -> None:
        """Put a fact of the simulation among those of the incident."""
        (self.course.facts if self.course else self.before).append(Fact(TimelineEntry(at=at, kind="note", text=text)))


class Simulation:
    """Runs when made; then `ways` tells what happened up to `end`."""

    def __init__(
        self, labels: Mapping[str, str], at: datetime, duration: float | None, answers: Sequence[tuple[str, float]], roster: Roster
    ) -> None:
        config = roster.config
        self.roster, self.entry, self.start = roster, Entry(config, labels), instant(at).timestamp()
        self.end = min(self.start + (DAY if duration is None else duration), LATEST.timestamp())
        self.turns: dict[str, int] = {}
        self.ways = [Way(group, integration, self.start) for group, integration in self.entry.oncall]
        for user, _ in answers:
            if user not in config.users:
                raise NotFound(f"there is no user {user!r}{hint(user, config.users)}")
        self._answers = sorted(Answer(self.start + seconds, user) for user, seconds in answers)
        while self._step():
            pass

    def _step(self) -> bool:
        """Do what comes next; return False when nothing does."""
        coming = [(*due, number) for number, way in enumerate(self.ways) if (due := way.due())]
        if self._answers:
            coming.append((self._answers[0].at, _ANSWER, 0))
        now, rank, number = min(coming, default=(math.inf, _TICK, 0))
        if now > self.end:
            return False
        if rank == _ANSWER:
            self._answer(self._answers.pop(0))
        elif (course := self.ways[number].course) is not None:
            course.apply(Tick(heard=now), now)  # the alert keeps firing, and its sender says so
        else:
            self._flush(self.ways[number], now)
        return True

    def _flush(self, way: Way, now: float) -> None:
        by = muted(way.group, self.roster, now)
        if not by:
            way.course = Course(self.entry.incident(way.group, way.integration, now), self.roster, self.turns)
            return
        if not way.before:
            way.say(now, f"The group is {because(way.group, by)}: no incident is opened.")
        until, interval = still_muted(way.group, self.roster, now), way.group.group_interval
        # The flushes in between would find it muted too.
        way.flush = None if until is None else now + max(1, math.ceil((until - now) / interval)) * interval

    def _answer(self, answer: Answer) -> None:
        name = person(self.entry.config, answer.user)
        for way in self.ways:
            if way.course is None:
                way.say(answer.at, f"{name} has nothing to answer yet.")
            elif way.course.incident.state == "triggered":
                way.course.apply(Acknowledge(user=answer.user, via="simulation"), answer.at)
            else:
                way.say(answer.at, f"{name} need not answer: it is {way.course.incident.state}.")


def simulate(
    config: Config, labels: Mapping[str, str], at: datetime, duration: float | None, answers: Sequence[tuple[str, float]], roster: Roster
) -> dict[str, Any]:
    """The JSON of the command: pages that arrive from `at` (aware) on, in order of time.

    duration: seconds; None = until the policies have ended, a day at most. answers: who acknowledges, so many seconds
    after `at`. Raises NotFound for an unknown person.
    """
    done = Simulation(labels, at, duration, answers, roster)
    pages = [page for way in done.ways if way.course for page in way.course.pages]
    return done.entry.document(done.start, sorted(pages, key=lambda page: page.due), roster)
