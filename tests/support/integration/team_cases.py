"""Generated cases of a team on call: what its file says, the alerts that come, what people do and mute, what fails."""

from __future__ import annotations

from datetime import UTC
from typing import NamedTuple

from hypothesis import strategies as st
from msgspec.structs import replace

from amproxy.clock import utc
from amproxy.config.structs import Config, InhibitRule, Maintenance, Storm, Wait
from amproxy.labels.matchers import parse_matcher
from amproxy.model import Silence
from amproxy.simulation.simulate import SimulatedAlertRequest, SimulationRequest
from tests.support.integration.plans import KIND, MONDAY, NAMES, act, configs
from tests.support.integration.stepping import CHANNELS

LENGTH = 10 * 3600.0 + 45.0
ALERTS = ("Down", "Slow", "Full")
LATER = (47.0, 1009.0, 7001.0)  # seconds after an alert

# odd seconds, so that nothing from outside comes at the very moment of something else
seconds = st.integers(0, int(LENGTH) // 60).map(lambda minutes: minutes * 60.0 + 17.0)


class Fire(NamedTuple):
    """An alert that fires."""

    name: str
    instance: str
    at: float
    length: float

    @property
    def labels(self) -> dict[str, str]:
        severity = "warning" if self.instance == "a" else "critical"
        return {"alertname": self.name, "instance": self.instance, "severity": severity, **KIND}


class Change(NamedTuple):
    """What a person changes of a schedule, or of their own time."""

    kind: str  # override, absence, swap
    schedule: str
    user: str
    other: str  # who takes a swap over
    made: float
    start: float
    length: float


class Mute(NamedTuple):
    """A silence, or a maintenance window made by hand."""

    kind: str  # silence, window
    matchers: tuple[str, ...]
    made: float
    start: float
    length: float

    def silence(self, beginning: float) -> Silence:
        starts = beginning + self.start
        return Silence(
            id="",
            matcher_sets=[[parse_matcher(text) for text in self.matchers]],
            starts_ns=int(starts * 10**9),
            ends_ns=int((starts + self.length) * 10**9),
            created_by="ann",
            comment="known",
        )

    def window(self, beginning: float) -> Maintenance:
        starts = beginning + self.start
        return Maintenance(
            name="by hand",
            matchers=tuple(parse_matcher(text) for text in self.matchers),
            start=utc(starts),
            end=utc(starts + self.length),
        )


class Case(NamedTuple):
    """One team and what comes to it; all times are seconds after the beginning."""

    config: Config
    hour: int
    alerts: list[Fire]  # in order of time
    answers: list[tuple[str, str, float]]  # what, who, when
    refusing: frozenset[tuple[str, str]]  # (user, channel) whose deliveries fail
    changes: list[Change]
    mutes: list[Mute]

    @property
    def start(self) -> float:
        return MONDAY.replace(tzinfo=UTC).timestamp() + self.hour * 3600.0

    @property
    def looks(self) -> list[float]:
        """The moments whose forecasts are kept: after alerts and answers, and some time later."""
        after = [one.at + later for one in self.alerts for later in LATER]
        return [at for at in (*after, *(at + 7.0 for *_, at in self.answers)) if at < LENGTH]

    @property
    def is_foreseeable(self) -> bool:
        """True where `simulate` is told all that happens.

        Not where silence ends an incident, for then it takes senders to repeat themselves; nor where a change is made later.
        """
        silent = any(policy.auto_resolve for policy in self.config.policies.values())
        return not silent and all(one.made == 0.0 for one in self.changes)

    @property
    def request(self) -> SimulationRequest:
        first, *others = self.alerts
        alerts = [
            SimulatedAlertRequest(
                labels=one.labels, start=one.at - first.at, end=one.at - first.at + one.length
            )
            for one in others
        ]
        mutes = [(number, one) for number, one in enumerate(self.mutes)]
        return SimulationRequest(
            labels=first.labels,
            at=utc(self.start + first.at),
            duration=LENGTH - first.at,
            resolve_after=first.length,
            others=alerts,
            answers=[
                (act(kind, user, self.start + at), at - first.at)
                for kind, user, at in self.answers
                if at > first.at
            ],
            silences=[
                replace(one.silence(self.start), id=f"s{number}")
                for number, one in mutes
                if one.kind == "silence"
            ],
            windows=[
                replace(one.window(self.start), id=f"w{number}")
                for number, one in mutes
                if one.kind == "window"
            ],
        )


STORMS = (
    Storm(more_than=1, within=60.0),
    Storm(more_than=1, within=7200.0),
    Storm(more_than=2, within=3600.0),
)


@st.composite
def slow_configs(draw: st.DrawFn) -> Config:
    """Mostly with waits between the steps, so that there is something to foretell."""
    config = draw(configs())
    known = dict(config.policies)
    if draw(st.integers(0, 3)):
        waits = st.sampled_from([240.0, 600.0, 2400.0])
        for name, policy in known.items():
            parted = (part for step in policy.steps for part in (Wait(seconds=draw(waits)), step))
            known[name] = replace(policy, steps=tuple(parted))
    if not draw(st.integers(0, 2)):
        storm = draw(st.sampled_from(STORMS))
        known = {name: replace(policy, storm=storm) for name, policy in known.items()}
    roles = st.sampled_from(["responder", "responder", "viewer"])
    return replace(
        config,
        policies=known,
        users={name: replace(user, role=draw(roles)) for name, user in config.users.items()},
        inhibit_rules=draw(st.sampled_from(RULES)),
    )


def _rule(source: str, target: str, *equal: str) -> InhibitRule:
    sides = (parse_matcher(f'alertname="{name}"') for name in (source, target))
    return InhibitRule(source_matchers=(next(sides),), target_matchers=(next(sides),), equal=equal)


RULES: list[tuple[InhibitRule, ...]] = [
    (),
    (),
    (_rule("Down", "Slow"),),
    (_rule("Down", "Slow", "instance"), _rule("Slow", "Full")),
]
fires = st.builds(
    Fire,
    st.sampled_from(ALERTS),
    st.sampled_from(["a", "b"]),
    seconds.map(lambda at: at // 3 + 0.5),
    st.integers(2, 900).map(lambda minutes: minutes * 60.0),
)
answers = st.tuples(
    st.sampled_from(["acknowledge", "acknowledge", "unacknowledge", "escalate", "snooze"]),
    st.sampled_from(NAMES),
    seconds,
)


@st.composite
def mutes(draw: st.DrawFn) -> Mute:
    made = draw(seconds.map(lambda at: at // 2 + 3.0) | st.just(1.0))
    matchers = draw(
        st.sampled_from(
            [
                *((f'alertname="{name}"',) for name in ALERTS),
                ('alertname="Down"', 'instance="a"'),
                ('severity="critical"',),
                ('alertname!="Slow"',),
            ]
        )
    )
    # a quarter: to end at the very millisecond of a group's tick is a tie
    start = made + draw(st.sampled_from([0.0, 1800.25, 5400.25]))
    length = draw(st.sampled_from([1800.25, 9000.25]))
    return Mute(draw(st.sampled_from(["silence", "window"])), matchers, made, start, length)


@st.composite
def changes(draw: st.DrawFn) -> Change:
    made = draw(st.just(0.0) | seconds)
    people = draw(st.permutations(NAMES))
    return Change(
        draw(st.sampled_from(["override", "absence", "swap"])),
        draw(st.sampled_from(["first", "second"])),
        *people[:2],
        made,
        made + draw(st.sampled_from([0.0, 3607.0, 9001.0])),
        draw(st.sampled_from([3 * 3600.0, 7 * 3600.0])),
    )


cases = st.builds(
    Case,
    slow_configs(),
    st.sampled_from([9, 15, 21]),
    st.lists(fires, min_size=1, max_size=4, unique_by=lambda one: one.at).map(
        lambda found: sorted(found, key=lambda one: one.at)
    ),
    st.lists(answers, max_size=2),
    st.frozensets(st.tuples(st.sampled_from(NAMES), st.sampled_from(CHANNELS[:3])), max_size=2),
    st.lists(changes(), max_size=2),
    st.lists(mutes(), max_size=2),
)
