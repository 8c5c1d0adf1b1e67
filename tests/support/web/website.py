"""The web part as tests see it: a small configuration, and what fills its store."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import httpx
from starlette.routing import BaseRoute

from amproxy.config.structs import (
    Config,
    IfNobody,
    Layer,
    NotifyStep,
    Policy,
    Rotation,
    Route,
    Schedule,
    Team,
    User,
    Wait,
)
from amproxy.context import Context
from amproxy.correlate.flusher import open_manual_incident
from amproxy.machine import transition
from amproxy.machine.events import AlertsChanged, Event, Opened
from amproxy.model import Alert, Incident
from amproxy.store import incidents
from amproxy.store.commit import commit
from amproxy.store.incidents import save_alerts
from amproxy.web.app import Subject, build_routes
from amproxy.web.http.deps import Deps
from amproxy.web.http.templates import PageTemplates
from tests.support.config.configs import REACHES
from tests.support.redis import Redis
from tests.support.words import FIRST_NOTIFICATION

NOW = 1_767_693_600.0  # Tuesday 2026-01-06 10:00 UTC
BASE = "http://127.0.0.1:9095"

CONFIG = Config(
    global_=REACHES,
    route=Route(receiver="default", key="{}"),
    users={
        "alice": User(
            name="alice",
            full_name="Alice Ash",
            timezone="Europe/Berlin",
            contacts={"console": "alice", "email": "a@example.org"},
        ),
        "bob": User(name="bob", timezone="Asia/Tbilisi", contacts={"console": "bob"}),
    },
    teams={"ops": Team(name="ops", members=("bob",))},
    schedules={
        "platform": Schedule(
            name="platform",
            timezone="Europe/Berlin",
            layers=(
                Layer(
                    name="weekly",
                    users=(("alice",), ("bob",)),
                    rotation=Rotation(
                        every="1w", seconds=604800, months=0, start=datetime(2026, 1, 5, 9)
                    ),
                ),
            ),
        ),
        "empty": Schedule(name="empty"),
    },
    policies={
        "platform": Policy(
            name="platform",
            repeat=1,
            if_nobody=IfNobody(kind="next_step"),
            steps=(NotifyStep(schedule="platform"), Wait(seconds=300), NotifyStep(users=("bob",))),
        ),
        "turns": Policy(
            name="turns",
            steps=(Wait(seconds=300), NotifyStep(users=("alice", "bob"), pick="round_robin")),
        ),
        "careful": Policy(
            name="careful", acknowledge_timeout=3600, steps=(NotifyStep(users=("alice",)),)
        ),
    },
)


@dataclass
class Site:
    """Everything a test needs of a running web part."""

    context: Context
    deps: Deps
    client: httpx.AsyncClient
    redis: Redis
    clock: list[float]
    tests_sent: list[str] = field(default_factory=list)
    reload_error: list[Exception] = field(default_factory=list)

    async def opened(self, policy: str = "platform", **values: Any) -> Incident:
        """A stored incident; values are set on it first."""
        incident = await open_manual_incident(
            self.context,
            title=values.pop("title", "HighCPU on eu1"),
            policy=self.context.config.policies[policy],
            urgency=None,
            text="",
            now=self.context.now(),
        )
        for name, value in values.items():
            setattr(incident, name, value)
        return await self.stored(incident, Opened(reason=FIRST_NOTIFICATION))

    async def stored(self, incident: Incident, event: Event) -> Incident:
        change = transition(incident, event, self.context.now(), self.context.roster)
        assert await commit(self.context.wire, incidents.change_operations(change))
        return change.incident

    async def with_alerts(self, incident: Incident, *alerts: Alert) -> Incident:
        """The incident as a flush leaves it once these alerts fire."""
        shared = alerts[0]
        event = AlertsChanged(
            reason="new alerts added",
            firing=len(alerts),
            resolved=0,
            fresh=len(alerts),
            common_labels=shared.labels,
            common_annotations=shared.annotations,
        )
        change = transition(incident, event, self.context.now(), self.context.roster)
        operations = incidents.change_operations(change)
        await save_alerts(self.context.wire, operations, change.incident, alerts)
        assert await commit(self.context.wire, operations)
        return change.incident


def every_route(site: Site) -> Iterator[BaseRoute]:
    """All routes of the web application, those of its subjects too."""
    for route in build_routes(site.deps, PageTemplates(site.context)):
        yield from route.routes if isinstance(route, Subject) else [route]
