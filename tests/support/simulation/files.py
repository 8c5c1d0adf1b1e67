"""A small team as a configuration, straight from the structs, for the tests of foresight."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from msgspec.structs import replace

from amproxy.config.read.routing import route_key
from amproxy.config.structs import (
    Absence,
    Config,
    Integration,
    Layer,
    Maintenance,
    NotifyStep,
    OncallSettings,
    Policy,
    Receiver,
    Rotation,
    Route,
    Schedule,
    Team,
    User,
    Wait,
)
from amproxy.labels.intervals import parse_time_interval
from amproxy.labels.matchers import parse_matchers
from amproxy.text import Phrase
from tests.support.config.configs import REACHES

MONDAY = datetime.fromisoformat("2026-01-05T09:00:00+00:00")
ROOT = Route(receiver="default", key="{}", group_by=("alertname",), group_by_given=True)

ALICE = User(
    name="alice", full_name="Alice Ash", contacts={"telegram": "1", "email": "alice@example.org"}
)
BOB = User(
    name="bob", full_name="Bob Birch", contacts={"telegram": "2", "email": "bob@example.org"}
)
CAROL = User(name="carol", contacts={"telegram": "3"})

WEEKLY = Schedule(
    name="main",
    team="all",
    layers=(
        Layer(
            name="weekly",
            users=(("alice",), ("bob",), ("carol",)),
            rotation=Rotation(every="1w", seconds=604800, months=0, start=datetime(2026, 1, 5, 9)),
        ),
    ),
)

NIGHTS = [
    {
        "times": [
            {"start_time": "22:00", "end_time": "24:00"},
            {"start_time": "00:00", "end_time": "07:00"},
        ]
    }
]
OFFICE = [{"weekdays": ["monday:friday"], "times": [{"start_time": "09:00", "end_time": "18:00"}]}]

# alice, five minutes later who comes next, and the chat
POLICY = Policy(
    name="main",
    steps=(
        NotifyStep(schedule="main"),
        Wait(seconds=600.0),
        NotifyStep(schedule="main", position="next"),
        NotifyStep(receiver="chat"),
    ),
)


def route(receiver: str, *matchers: str, under: Route = ROOT, **more: Any) -> Route:
    """A route below the root, with the root's settings."""
    found = tuple(matcher for text in matchers for matcher in parse_matchers(text))
    return replace(
        under, receiver=receiver, matchers=found, key=route_key(under.key, found), **more
    )


def oncall(receiver: str, *policies: str, title: str = "") -> Receiver:
    settings = [OncallSettings(escalation_policy=policy, title=title) for policy in policies]
    return Receiver(
        name=receiver,
        integrations=tuple(
            Integration(kind="oncall", index=i, send_resolved=True, settings=one)
            for i, one in enumerate(settings)
        ),
    )


def chat(name: str, *kinds: str, undeliverable: Phrase | None = None) -> Receiver:
    return Receiver(
        name=name,
        integrations=tuple(
            Integration(
                kind=kind, index=0, send_resolved=True, settings={}, undeliverable=undeliverable
            )
            for kind in kinds
        ),
    )


def config(
    *routes: Route,
    policies: tuple[Policy, ...] = (POLICY,),
    users: tuple[User, ...] = (ALICE, BOB, CAROL),
    schedules: tuple[Schedule, ...] = (WEEKLY,),
    receivers: tuple[Receiver, ...] = (),
    root: Route = ROOT,
    **more: Any,
) -> Config:
    """Alerts go to the receiver "people", which pages by the policy "main"; with routes, only what these match."""
    known = (chat("default"), oncall("people", "main"), chat("chat", "slack"), *receivers)
    return Config(
        global_=REACHES,
        route=replace(root, routes=routes or (route("people", under=root),)),
        receivers={one.name: one for one in known},
        users={one.name: one for one in users},
        teams={"all": Team(name="all", members=tuple(one.name for one in users))},
        schedules={one.name: one for one in schedules},
        policies={one.name: one for one in policies},
        time_intervals={
            "nights": parse_time_interval("nights", NIGHTS),
            "office": parse_time_interval("office", OFFICE),
        },
        **more,
    )


def away(user: User, start: str, end: str, reason: str = "") -> User:
    return replace(
        user,
        absences=(
            Absence(
                start=datetime.fromisoformat(start), end=datetime.fromisoformat(end), reason=reason
            ),
        ),
    )


def upgrade(start: str, end: str) -> dict[str, Maintenance]:
    """A maintenance window for the alerts of team a."""
    window = Maintenance(
        name="upgrade",
        matchers=tuple(parse_matchers('team="a"')),
        start=datetime.fromisoformat(start),
        end=datetime.fromisoformat(end),
    )
    return {"upgrade": window}
