"""An incident that the machine itself ran, to look back at: people, a schedule, and a clock of the test's own."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from amproxy.config.structs import (
    Absence,
    Config,
    Integration,
    Layer,
    Notify,
    Policy,
    Receiver,
    Rotation,
    Route,
    Schedule,
    Step,
    Team,
    User,
    Wait,
)
from amproxy.machine import transition
from amproxy.machine.deliveries import STATE_PHRASES
from amproxy.machine.events import Event, Failed, Opened, Sent, Skipped, TimerTick
from amproxy.machine.transition import next_due
from amproxy.model import Incident, TimelineEntry
from amproxy.oncall.roster import Roster
from amproxy.reports.why import why_not_paged
from amproxy.text import IncidentNumber, Phrase, phrase
from amproxy.text.render import english
from tests.support.config.configs import REACHES
from tests.support.words import FIRST_NOTIFICATION

START = 1_767_693_600.0  # Tuesday 2026-01-06 10:00 UTC, 11:00 in Berlin
_MONDAY = datetime(2026, 1, 5, 9)

CONFIG: dict[str, Any] = {
    "global_": REACHES,
    "route": Route(receiver="oncall", key="{}"),
    "users": {
        "ann": User(
            name="ann",
            full_name="Ann Ash",
            timezone="Europe/Berlin",
            contacts={"telegram": "1", "email": "ann@example.org"},
            notification_rules={
                "default": (
                    Notify(channels=("telegram",)),
                    Wait(seconds=300),
                    Notify(channels=("email",)),
                )
            },
        ),
        "bob": User(name="bob", contacts={"telegram": "2"}),
        "slow": User(
            name="slow",
            contacts={"telegram": "3"},
            notification_rules={"default": (Wait(seconds=600), Notify(channels=("telegram",)))},
        ),
        "away": User(
            name="away",
            contacts={"telegram": "4"},
            absences=(
                Absence(start=datetime(2026, 1, 1), end=datetime(2026, 1, 9), reason="holidays"),
            ),
        ),
        "mute": User(name="mute"),
        "eve": User(name="eve", contacts={"email": "eve@example.org"}),
    },
    "teams": {"ops": Team(name="ops", members=("bob", "eve", "away"))},
    "schedules": {
        "weekly": Schedule(
            name="weekly",
            timezone="Europe/Berlin",
            layers=(
                Layer(
                    name="main",
                    users=(("bob",), ("ann",), ("away",)),
                    rotation=Rotation(every="1w", seconds=604800, months=0, start=_MONDAY),
                ),
            ),
        ),
        "empty": Schedule(name="empty"),
    },
    "receivers": {
        "chat": Receiver(
            name="chat",
            integrations=(Integration(kind="slack", index=0, send_resolved=True, settings=None),),
        )
    },
}


class ToldVerdict(NamedTuple):
    """A verdict as people read it."""

    known: bool
    paged: bool
    reasons: list[str]


class Story:
    """One incident from its opening on; `told` is its timeline."""

    def __init__(
        self,
        *steps: Step,
        config: dict[str, Any] | None = None,
        labels: dict[str, str] | None = None,
        **policy: Any,
    ) -> None:
        self.now, self.turns, self.told = START, dict[str, int](), list[TimelineEntry]()
        self.roster = Roster(Config(**{**CONFIG, **(config or {})}))
        plan = Policy(name="main", steps=steps, **policy)
        self.incident = Incident(
            id="i",
            number=7,
            title="Disk",
            receiver="oncall",
            policy="main",
            plan=plan,
            started_at=START,
            common_labels=labels or {},
        )
        self.do(Opened(reason=FIRST_NOTIFICATION))

    def do(self, event: Event) -> None:
        change = transition(self.incident, event, self.now, self.roster, self.turns)
        self.incident = change.incident
        self.turns |= {name: turn for name, (_, turn) in change.turns.items()}
        self.told += change.timeline

    def until(self, seconds: float) -> None:
        """Let time pass up to `seconds` after the start."""
        while (due := next_due(self.incident)) is not None and due <= START + seconds:
            self.now = max(self.now, due)
            self.do(TimerTick())
        self.now = START + seconds

    def arrive(self) -> None:
        """Every page that is on its way is delivered."""
        for page in self._due():
            self.do(Sent(page=page, look=self.incident.look, attempt=1))

    def fail(self, error: str) -> None:
        """Every page that is on its way fails for good."""
        for page in self._due():
            self.do(Failed(page=page, error=error, attempt=1))

    def skip(self) -> None:
        """Every page that is on its way finds that somebody has answered."""
        for page in self._due():
            self.do(Skipped(page=page, reason=self._answered()))

    def _answered(self) -> Phrase:
        state = STATE_PHRASES[self.incident.state]
        return phrase("outcome.is_so", incident=IncidentNumber(7), state=state)

    def _due(self) -> list[str]:
        return [page.id for page in self.incident.pages if page.state == "due"]

    def why(self, user: str, roster: Roster | None = None) -> ToldVerdict:
        """The verdict with its reasons in words, on the person's clock."""
        roster = roster or self.roster
        found = why_not_paged(self.incident, self.told, user, roster, self.now)
        known = roster.config.users.get(user)
        words = english(roster.config.full_name, ZoneInfo(known.timezone if known else "UTC"))
        return ToldVerdict(found.known, found.paged, [words.text(one) for one in found.reasons])
