"""Builds incidents and drives the machine under a clock of the test's own."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from amproxy.config.structs import (
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
from amproxy.labels.intervals import parse_time_interval
from amproxy.machine import transition
from amproxy.machine.events import AlertsChanged, Event, Failed, Opened, Returned, Sent, TimerTick
from amproxy.machine.transition import next_due
from amproxy.model import Change, Incident, NotificationReason, OutgoingMessage
from amproxy.oncall.roster import Roster
from tests.support.config.configs import REACHES
from tests.support.words import FIRST_NOTIFICATION, said

START = 1_767_603_600.0  # 2026-01-05 09:00 UTC, a Monday


class Drive:
    """One incident under a virtual clock; what it sends and says is kept."""

    def __init__(
        self,
        *steps: Step,
        config: dict[str, Any] | None = None,
        now: float = START,
        incident: dict[str, Any] | None = None,
        turns: dict[str, int] | None = None,
        **policy: Any,
    ) -> None:
        """config, incident: fields of them that differ. policy: keys of the policy besides its steps. turns: shared with other drives."""
        self.now = now
        self.turns = {} if turns is None else turns
        self.sent: list[tuple[float, OutgoingMessage]] = []
        self.told: list[str] = []
        plan = Policy(name="main", steps=steps, **policy)
        known = {**people(), **(config or {})}
        known["policies"] = {"main": plan, **known.get("policies", {})}
        self.roster = Roster(Config(**known))
        fields = {
            "id": "i",
            "number": 7,
            "title": "Disk",
            "receiver": "oncall",
            "group": "g",
            "firing": 1,
            "plan": plan,
            **(incident or {}),
        }
        self.incident = Incident(policy="main", started_at=now, **fields)
        self.do(Opened(reason=FIRST_NOTIFICATION))

    def do(self, event: Event) -> Change:
        change = transition(self.incident, event, self.now, self.roster, self.turns)
        self.incident = change.incident
        self.turns.update({name: turn for name, (_, turn) in change.turns.items()})
        self.sent += [(self.now - START, message) for message in change.outbox]
        self.told += [said(entry.words) for entry in change.timeline]
        return change

    def alerts(
        self,
        firing: int,
        fresh: int = 0,
        group: str = "g",
        ended_by: Literal["source", "unnamed"] = "source",
    ) -> None:
        """The alerts of a group are so many now."""
        reason: NotificationReason = (
            "new alerts added"
            if fresh
            else "some alerts resolved"
            if firing
            else "all alerts resolved"
        )
        self.do(
            AlertsChanged(
                reason=reason,
                firing=firing,
                resolved=0 if fresh else 1,
                fresh=fresh,
                group=group,
                ended_by=ended_by,
            )
        )

    def come_back(self, firing: int = 1) -> None:
        """The alerts fire again after the end."""
        self.do(
            Returned(
                alerts=AlertsChanged(
                    reason="first notification", firing=firing, resolved=0, fresh=firing, group="g"
                )
            )
        )

    def until(self, seconds: float) -> None:
        """Let time pass up to `seconds` after the start."""
        while (due := next_due(self.incident)) is not None and due <= START + seconds:
            self.now = max(self.now, due)
            self.do(TimerTick())
        self.now = START + seconds

    def arrive(self) -> None:
        """Every page that is on its way is delivered."""
        for page in [page for page in self.incident.pages if page.state == "due"]:
            self.do(Sent(page=page.id, ref={"m": page.id}, look=self.incident.look, attempt=1))

    def fail(self, user: str, channel: str) -> None:
        page = next(
            page
            for page in self.incident.pages
            if (page.user, page.channel, page.state) == (user, channel, "due")
        )
        self.do(Failed(page=page.id, error="blocked", attempt=1))

    def said(self, words: str) -> bool:
        """Whether the timeline says something like that."""
        return any(words in line for line in self.told)

    @property
    def who(self) -> list[tuple[float, str]]:
        """(seconds after the start, person or receiver) of every page."""
        return [(at, whom) for at, whom, _ in self.pages]

    @property
    def pages(self) -> list[tuple[float, str, str]]:
        """(seconds after the start, person or receiver, channel), in order."""
        return [
            (page.due - START, page.user or page.receiver, page.channel)
            for page in self.incident.pages
        ]


def people() -> dict[str, Any]:
    """ann has two contacts and rules of her own for pages; bob and eve have one contact, mute has none, pro has important rules,
    owl is quiet in the morning."""
    users = {
        "ann": User(
            name="ann",
            full_name="Ann Ash",
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
        "mute": User(name="mute"),
        "eve": User(name="eve", contacts={"email": "eve@example.org"}),
        "owl": User(
            name="owl",
            contacts={"telegram": "4", "email": "owl@example.org"},
            quiet_hours=("morning",),
        ),
        "pro": User(
            name="pro",
            contacts={"telegram": "3", "email": "pro@example.org"},
            notification_rules={
                "default": (
                    Notify(channels=("email",)),
                    Wait(seconds=600),
                    Notify(channels=("telegram",)),
                ),
                "important": (Notify(channels=("telegram", "email")),),
            },
        ),
    }
    chat = Integration(kind="slack", index=0, send_resolved=True, settings=None)
    hook = Integration(kind="webhook", index=0, send_resolved=True, settings=None)
    weekly = Rotation(every="1w", seconds=604800, months=0, start=datetime(2026, 1, 5, 9))
    return {
        "global_": REACHES,
        "route": Route(receiver="oncall", key="{}"),
        "users": users,
        "teams": {"ops": Team(name="ops", members=("ann", "bob", "eve"))},
        "schedules": {
            "empty": Schedule(name="empty"),
            "weekly": Schedule(
                name="weekly",
                layers=(Layer(name="turns", users=(("eve",), ("bob",)), rotation=weekly),),
            ),
            # on call from 12:00 to 18:00 only
            "day": Schedule(
                name="day",
                layers=(Layer(name="noon", users=(("bob",),), active_time_intervals=("noon",)),),
            ),
        },
        "receivers": {
            "chat": Receiver(name="chat", integrations=(chat,)),
            "repair": Receiver(name="repair", integrations=(hook, chat)),
        },
        "time_intervals": {
            "noon": parse_time_interval(
                "noon", [{"times": [{"start_time": "12:00", "end_time": "18:00"}]}]
            ),
            "morning": parse_time_interval(
                "morning", [{"times": [{"start_time": "08:00", "end_time": "12:00"}]}]
            ),
        },
    }
