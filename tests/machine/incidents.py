"""Builds incidents and drives the machine under a clock of the test's own."""

from __future__ import annotations

from typing import Any

from amproxy.config.structs import Config, Integration, Notify, Policy, Receiver, Route, Schedule, Step, Team, User, Wait
from amproxy.decide.roster import Roster
from amproxy.machine import transition
from amproxy.machine.events import Event, Failed, Opened, Sent, Tick
from amproxy.machine.transition import next_due
from amproxy.model import Change, Incident, Outgoing

START = 1_767_603_600.0  # 2026-01-05 09:00 UTC, a Monday


class Drive:
    """One incident under a virtual clock; what it sends and says is kept."""

    def __init__(self, *steps: Step, config: dict[str, Any] | None = None, now: float = START, **policy: Any) -> None:
        self.now, self.turns = now, dict[str, int]()
        self.sent: list[tuple[float, Outgoing]] = []
        self.told: list[str] = []
        plan = Policy(name="main", steps=steps, **policy)
        self.roster = Roster(Config(**{**people(), **(config or {})}))
        self.incident = Incident(id="i", number=7, title="Disk", receiver="oncall", policy="main", plan=plan, started_at=now)
        self.do(Opened(reason="first notification"))

    def do(self, event: Event) -> Change:
        change = transition(self.incident, event, self.now, self.roster, self.turns)
        self.incident = change.incident
        self.turns |= {name: turn for name, (_, turn) in change.turns.items()}
        self.sent += [(self.now - START, message) for message in change.outbox]
        self.told += [entry.text for entry in change.timeline]
        return change

    def until(self, seconds: float) -> None:
        """Let time pass up to `seconds` after the start."""
        while (due := next_due(self.incident)) is not None and due <= START + seconds:
            self.now = max(self.now, due)
            self.do(Tick())
        self.now = START + seconds

    def arrive(self) -> None:
        """Every page that is on its way is delivered."""
        for page in [page for page in self.incident.pages if page.state == "due"]:
            self.do(Sent(page=page.id, ref={"m": page.id}, look=self.incident.look, attempt=1))

    def fail(self, user: str, channel: str) -> None:
        page = next(page for page in self.incident.pages if (page.user, page.channel, page.state) == (user, channel, "due"))
        self.do(Failed(page=page.id, error="blocked", attempt=1))

    @property
    def pages(self) -> list[tuple[float, str, str]]:
        """(seconds after the start, person or receiver, channel), in order."""
        return [(page.due - START, page.user or page.receiver, page.channel) for page in self.incident.pages]


def people() -> dict[str, Any]:
    users = {
        "ann": User(name="ann", full_name="Ann Ash", contacts={"telegram": "1", "email": "ann@example.org"},
                    notification_rules={"default": (Notify(channels=("telegram",)), Wait(seconds=300), Notify(channels=("email",)))}),
        "bob": User(name="bob", contacts={"telegram": "2"}),
        "mute": User(name="mute"),
        "eve": User(name="eve", contacts={"email": "eve@example.org"}),
    }  # fmt: skip
    chat = Integration(kind="slack", index=0, send_resolved=True, settings=None)
    return {
        "route": Route(receiver="oncall", key="{}"),
        "users": users,
        "teams": {"ops": Team(name="ops", members=("ann", "bob", "eve"))},
        "schedules": {"empty": Schedule(name="empty")},
        "receivers": {"chat": Receiver(name="chat", integrations=(chat,))},
    }
