"""Generated teams: people with rules, schedules with layers, policies with every kind of step."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st
from msgspec.structs import replace

from amproxy.config.structs import (
    Absence,
    Config,
    Flapping,
    ForwardStep,
    IfNobody,
    Integration,
    Layer,
    Maintenance,
    Notify,
    NotifyStep,
    OncallSettings,
    Override,
    Policy,
    Receiver,
    ResolveStep,
    Rotation,
    Route,
    Schedule,
    Step,
    Team,
    User,
    Wait,
    WaitForAlertsStep,
    WaitUntilStep,
    WebhookStep,
)
from amproxy.labels.intervals import parse_time_interval
from amproxy.labels.matchers import parse_matcher
from amproxy.machine.events import (
    Acknowledge,
    Act,
    AddResponders,
    Escalate,
    Reassign,
    Reopen,
    Resolve,
    Snooze,
    Unacknowledge,
)
from amproxy.notify.channels.slack.settings import SlackSettings
from amproxy.notify.channels.webhook.settings import WebhookSettings
from tests.support.config.configs import REACHES

MONDAY = datetime(2026, 1, 5)
NAMES = ("ann", "bob", "cyd", "dan")
INTERVALS = {
    "mornings": [{"times": [{"start_time": "09:00", "end_time": "11:30"}]}],
    "nights": [
        {
            "times": [
                {"start_time": "22:00", "end_time": "24:00"},
                {"start_time": "00:00", "end_time": "07:00"},
            ]
        }
    ],
    "never": [],
}
REOPENS = ("severity", "severity", "new_alerts", "matchers", "never")
KIND = {"kind": "service"}  # of every alert: steps and windows ask for it
LABELS = {"alertname": "Down", "severity": "critical", **KIND}

# what people do by hand, by the names that an exported history has for it
MADE: dict[str, type[Act]] = {
    "acknowledge": Acknowledge,
    "unacknowledge": Unacknowledge,
    "resolve": Resolve,
    "reopen": Reopen,
    "escalate": Escalate,
}

durations = st.sampled_from([60.0, 300.0, 900.0, 3600.0, 5400.0])
some_intervals = st.lists(st.sampled_from(sorted(INTERVALS)), max_size=1).map(tuple)
rarely = st.integers(0, 4).map(lambda number: number == 0)
channels = st.lists(
    st.sampled_from(["telegram", "email", "slack", "sms"]), min_size=1, max_size=2, unique=True
).map(tuple)
rules = st.lists(
    st.builds(lambda names: Notify(channels=names), channels)
    | st.builds(lambda s: Wait(seconds=s), durations),
    max_size=4,
)
spans = st.tuples(st.integers(-24, 30), st.integers(1, 20)).map(
    lambda s: (MONDAY + timedelta(hours=s[0]), timedelta(hours=s[1]))
)


def address(kind: str, name: str) -> str:
    addresses = {"email": f"{name}@example.org", "telegram": str(1 + NAMES.index(name))}
    return addresses.get(kind, name)


# A file that lacks what mail needs: these contacts are passed over.
WITHOUT_MAIL = replace(
    REACHES, channels={name: one for name, one in REACHES.channels.items() if name != "email"}
)


@st.composite
def users(draw: st.DrawFn, name: str) -> User:
    found = {key: tuple(draw(rules)) for key in ("default", "important") if draw(rarely)}
    absences = [
        Absence(start=start, end=start + length)
        for start, length in draw(st.lists(spans, max_size=1))
    ]
    kinds = draw(
        st.lists(
            st.sampled_from(["telegram", "email", "slack", "phone"]),
            unique=True,
            min_size=1,
            max_size=3,
        )
    )
    return User(
        name=name,
        contacts={kind: address(kind, name) for kind in kinds},
        notification_rules=found,
        absences=tuple(absences),
        timezone=draw(st.sampled_from(["UTC", "Europe/Berlin"])),
        quiet_hours=draw(some_intervals) if draw(rarely) else (),
    )


@st.composite
def layers(draw: st.DrawFn, name: str) -> Layer:
    turns = draw(
        st.lists(
            st.lists(st.sampled_from(NAMES), min_size=1, max_size=2, unique=True).map(tuple),
            min_size=1,
            max_size=3,
        )
    )
    hours = draw(st.sampled_from([0, 1, 3, 24]))
    rotation = (
        Rotation(
            every=f"{hours}h", seconds=hours * 3600, months=0, start=MONDAY - timedelta(days=2)
        )
        if hours
        else None
    )
    return Layer(
        name=name, users=tuple(turns), rotation=rotation, active_time_intervals=draw(some_intervals)
    )


@st.composite
def schedules(draw: st.DrawFn, name: str) -> Schedule:
    found = tuple(draw(layers(f"layer {number}")) for number in range(draw(st.integers(0, 2))))
    overrides = [
        Override(users=(draw(st.sampled_from(NAMES)),), start=start, end=start + length)
        for start, length in draw(st.lists(spans, max_size=1))
    ]
    return Schedule(
        name=name,
        layers=found,
        overrides=tuple(overrides),
        timezone=draw(st.sampled_from(["UTC", "Europe/Berlin"])),
    )


if_nobody = st.sampled_from(
    [
        IfNobody(),
        IfNobody(kind="wait_for_shift"),
        *(IfNobody(kind="user", user=name) for name in NAMES[:2]),
    ]
)


@st.composite
def conditions(draw: st.DrawFn) -> dict[str, Any]:
    matchers = draw(st.sampled_from([(), (), (), (), ('kind="service"',), ('kind="other"',)]))
    return {
        "matchers": matchers,
        **({"active_time_intervals": draw(some_intervals)} if draw(rarely) else {}),
    }


@st.composite
def notify_steps(draw: st.DrawFn) -> NotifyStep:
    target = draw(st.sampled_from(["schedule", "schedule", "users", "team", "receiver"]))
    more: dict[str, Any] = draw(conditions())
    if target == "schedule":
        more |= {
            "schedule": draw(st.sampled_from(["first", "second"])),
            "position": draw(st.sampled_from(["current", "next"])),
        }
    elif target == "users":
        more |= {
            "users": tuple(
                draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=3, unique=True))
            )
        }
    else:
        more |= {"team": "team"} if target == "team" else {"receiver": "chat"}
    if target in ("users", "team"):
        more["pick"] = draw(st.sampled_from(["all", "round_robin"]))
    if target != "receiver":
        more |= {
            "urgency": draw(st.sampled_from(["default", "important"])),
            "if_nobody": draw(st.none() | if_nobody),
        }
    return NotifyStep(**more)


waits = st.builds(lambda seconds: Wait(seconds=seconds), durations)
steps: st.SearchStrategy[Step] = st.one_of(
    *(notify_steps() for _ in range(5)),
    *(waits for _ in range(3)),
    st.builds(lambda name: WaitUntilStep(interval=name), st.sampled_from(sorted(INTERVALS))),
    st.builds(
        lambda number, within: WaitForAlertsStep(more_than=number, within=within),
        st.integers(0, 1),
        durations,
    ),
    conditions().map(lambda more: WebhookStep(receiver="chat", **more)),
    conditions().map(lambda more: ForwardStep(policy="other", **more)),
    conditions().map(lambda more: ResolveStep(**more)),
)


@st.composite
def policies(draw: st.DrawFn, name: str) -> Policy:
    found = tuple(draw(st.lists(steps, min_size=2, max_size=7)))
    if (
        name == "other"
    ):  # forwarding in a circle goes by the hour, not by the minute: there would be very many pages
        found = tuple(
            step
            for one in found
            for step in (
                (Wait(seconds=5400.0), replace(one, policy="main"))
                if isinstance(one, ForwardStep)
                else (one,)
            )
        )
    timeout = draw(st.sampled_from([0.0, 0.0, 1800.0, 5000.0]))
    reopen = draw(st.sampled_from([0.0, 3600.0, 30000.0]))
    return Policy(
        name=name,
        steps=found,
        repeat=draw(st.integers(0, 2)),
        repeat_from=draw(st.integers(1, len(found))),
        if_nobody=draw(if_nobody),
        acknowledge_timeout=timeout,
        acknowledge_reminder=timeout / 4 if draw(st.booleans()) else 0.0,
        auto_resolve=draw(st.sampled_from([0.0, 0.0, 0.0, 2100.0])),
        reopen_within=reopen,
        reopen_on=(on := draw(st.sampled_from(REOPENS))),
        reopen_matchers=('severity="warning"',) if on == "matchers" else (),
        flapping=Flapping(more_than=1, within=20000.0, hold=1200.0)
        if reopen and draw(st.booleans())
        else None,
    )


@st.composite
def configs(draw: st.DrawFn, *, ends_told: bool = False) -> Config:
    """ends_told: incidents always hear of the end of their alerts."""
    oncall = [
        Integration(
            kind="oncall",
            index=0,
            send_resolved=ends_told or not draw(rarely),
            settings=OncallSettings(
                escalation_policy="main", urgency=draw(st.sampled_from([None, None, "important"]))
            ),
        )
    ]
    chat = (
        Integration(kind="webhook", index=0, send_resolved=True, settings=WebhookSettings()),
        Integration(
            kind="slack", index=0, send_resolved=True, settings=SlackSettings(channel="#c")
        ),
    )
    start, length = draw(spans)
    start += timedelta(seconds=433)  # never just when a group is looked at
    window = Maintenance(
        name="upgrade",
        matchers=(parse_matcher('kind="service"'),),
        start=start.replace(tzinfo=UTC),
        end=(start + length).replace(tzinfo=UTC),
        active_time_intervals=draw(some_intervals),
    )
    return Config(
        global_=draw(st.sampled_from([REACHES, REACHES, WITHOUT_MAIL])),
        maintenance={"upgrade": window} if draw(rarely) else {},
        route=Route(
            receiver="people",
            key="{}",
            group_by=("alertname",),
            group_by_given=True,
            group_wait=draw(st.sampled_from([0.0, 30.0])),
            group_interval=draw(st.sampled_from([600.0, 1800.0])),
            repeat_interval=draw(st.sampled_from([3600.0, 10000.0, 14400.0])),
            mute_time_intervals=draw(some_intervals) if draw(rarely) else (),
        ),
        receivers={
            "people": Receiver(name="people", integrations=tuple(oncall)),
            "chat": Receiver(name="chat", integrations=chat),
        },
        time_intervals={
            name: parse_time_interval(name, entries) for name, entries in INTERVALS.items()
        },
        users={name: draw(users(name)) for name in NAMES},
        teams={
            "team": Team(
                name="team",
                members=tuple(draw(st.lists(st.sampled_from(NAMES), unique=True, max_size=3))),
            )
        },
        schedules={name: draw(schedules(name)) for name in ("first", "second")},
        policies={name: draw(policies(name)) for name in ("main", "other")},
    )


def act(kind: str, user: str, at: float) -> Act:
    """What a person does at a time (Unix seconds)."""
    match kind:
        case "snooze":
            return Snooze(user=user, via="web", until=at + 3600.0)
        case "reassign":
            return Reassign(user="ann", via="web", to=NotifyStep(users=(user,)))
        case "add_responders":
            return AddResponders(user="ann", via="web", to=NotifyStep(users=(user,)))
        case _:
            return MADE[kind](user=user, via="web")
