"""Where a policy is used: by which receivers, by which routes these are reached, and which policies hand over to it. Pure.

A policy drawn on an axis of time: a dot for each deed, a line for each wait. Pure; lengths are pixels.

/policies: every policy in sentences and as a picture, and one of them tried out on an alert.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial
from typing import Final, NamedTuple

from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import Route

from amproxy.config.structs import (
    Condition,
    Config,
    ForwardStep,
    NotifyStep,
    Policy,
    ResolveStep,
    Step,
    Wait,
    WaitForAlertsStep,
    WaitUntilStep,
)
from amproxy.config.structs import Route as AlertRoute
from amproxy.errors import NotFound
from amproxy.labels.matchers import Matcher
from amproxy.simulation.alert import zone_of_policy
from amproxy.simulation.simulate import PolicyRunEvent, run_policy
from amproxy.text import Phrase, Texts, render_phrase
from amproxy.text.policies import duration_phrase, ending_phrases, step_phrase
from amproxy.web.http.deps import Deps
from amproxy.web.http.permissions import may, principal_of
from amproxy.web.http.request import parse_simulation_query
from amproxy.web.http.templates import PageTemplates, reader_texts


class ReceiverUse(NamedTuple):
    """One receiver, and the ways to it: the matchers of each route that leads there, those above it first; () = everything else."""

    receiver: str
    ways: list[tuple[Matcher, ...]]


class PolicyUsage(NamedTuple):
    uses: list[ReceiverUse]
    forwards: list[str]  # policies that hand over to this one


def find_policy_usage(config: Config) -> dict[str, PolicyUsage]:
    """Policy → where it is used."""
    ways: dict[str, list[tuple[Matcher, ...]]] = {}
    for name, matchers in _receiver_matchers(config.route, ()):
        ways.setdefault(name, []).append(matchers)
    found = {name: PolicyUsage([], []) for name in config.policies}
    for receiver in config.receivers.values():
        for name in dict.fromkeys(one.settings.escalation_policy for one in receiver.integrations if one.kind == "oncall"):
            found[name].uses.append(ReceiverUse(receiver.name, ways.get(receiver.name, [])))
    for policy in config.policies.values():
        for name in dict.fromkeys(step.policy for step in policy.steps if isinstance(step, ForwardStep)):
            found[name].forwards.append(policy.name)
    return found


def _receiver_matchers(route: AlertRoute, above: tuple[Matcher, ...]) -> Iterator[tuple[str, tuple[Matcher, ...]]]:
    matchers = (*above, *route.matchers)
    yield route.receiver, matchers
    for child in route.routes:
        yield from _receiver_matchers(child, matchers)


_MARGIN: Final = 26
_MIN_DISTANCE: Final = 34  # between two deeds without a wait
_MIN_WAIT: Final = 56  # of a wait
_MAX_WAIT: Final = 150
_OPEN_WAIT: Final = 90  # of a wait whose end is not known


class StepDot(NamedTuple):
    """One deed, at its moment."""

    x: int
    number: int  # of the step, from 1
    kind: str  # "page", "important", "tell", "forward" or "resolve"
    conditional: bool
    seconds: float | None  # after the beginning; None = it depends


class WaitLine(NamedTuple):
    """One wait."""

    start: int
    end: int
    step: Step

    @property
    def middle(self) -> int:
        return (self.start + self.end) // 2

    @property
    def open(self) -> bool:
        """Nobody knows how long it lasts."""
        return not isinstance(self.step, Wait)


class PolicyPicture(NamedTuple):
    width: int
    dots: list[StepDot]
    lines: list[WaitLine]


def draw_policy(policy: Policy) -> PolicyPicture:
    """One round of the steps, if nobody answers. Long waits are drawn longer, but not as much as they are."""
    x, seconds = _MARGIN, 0.0
    known = True
    dots: list[StepDot] = []
    lines: list[WaitLine] = []
    for number, step in enumerate(policy.steps, 1):
        if isinstance(step, Wait | WaitUntilStep | WaitForAlertsStep):
            length = _wait_width(step.seconds) if isinstance(step, Wait) else _OPEN_WAIT
            lines.append(WaitLine(x, x + length, step))
            x += length
            known = known and isinstance(step, Wait)
            seconds += step.seconds if isinstance(step, Wait) else 0
            continue
        if dots and dots[-1].x > x - _MIN_DISTANCE:
            x = dots[-1].x + _MIN_DISTANCE
        dots.append(StepDot(x, number, _dot_kind(step), _is_conditional(step), seconds if known else None))
    return PolicyPicture(x + _MARGIN, dots, lines)


def _wait_width(seconds: float) -> int:
    return min(_MAX_WAIT, _MIN_WAIT + round(18 * math.log2(1 + seconds / 120)))


def _dot_kind(step: Step) -> str:
    match step:
        case NotifyStep(receiver=""):
            return "important" if step.urgency == "important" else "page"
        case ForwardStep():
            return "forward"
        case ResolveStep():
            return "resolve"
        case _:
            return "tell"


def _is_conditional(step: Step) -> bool:
    return isinstance(step, Condition) and bool(step.matchers or step.active_time_intervals or step.mute_time_intervals)


class StepSentence(NamedTuple):
    """One step: its number in the policy, and what it does; waits stand between the deeds."""

    number: int
    text: str
    wait: bool


class PolicyView(NamedTuple):
    """A policy as a page tells it."""

    policy: Policy
    sentences: list[StepSentence]
    ending: list[str]
    picture: PolicyPicture
    used: PolicyUsage


class PolicySimulationRow(NamedTuple):
    """A row of a rehearsal."""

    moment: PolicyRunEvent
    after: str
    step: str  # what the step does that pages
    note: str  # what happens instead of a page


class PoliciesPage:
    def __init__(self, deps: Deps, looks: PageTemplates) -> None:
        self._context, self._looks = deps.context, looks

    def routes(self) -> list[Route]:
        return [
            Route("/policies", self.index, methods=["GET"]),
            Route("/policies/{name}", self.show, methods=["GET"]),
        ]

    async def index(self, request: Request) -> HTMLResponse:
        t, used = reader_texts(request), find_policy_usage(self._context.config)
        told = [self._told(policy, t, used[policy.name]) for policy in self._context.config.policies.values()]
        return await self._looks.page(request, "policies.html", policies=told, axis=partial(self._axis, t))

    async def show(self, request: Request) -> HTMLResponse:
        config, name, t = self._context.config, request.path_params["name"], reader_texts(request)
        policy = config.policies.get(name)
        if policy is None:
            raise NotFound(f"there is no policy {name[:60]}")
        zone = zone_of_policy(config, policy)
        asks = parse_simulation_query(request, zone, self._context.now())
        happenings = None
        if asks.labels is not None:
            found = run_policy(policy, asks.labels, asks.at, self._context.roster)
            happenings = [self._happening(moment, t) for moment in found]
        return await self._looks.page(
            request, "policy.html", told=self._told(policy, t, find_policy_usage(config)[name]), axis=partial(self._axis, t), question=asks,
            happenings=happenings, policy_zone=zone, may_edit=may(principal_of(request), "responder", policy.team),
        )  # fmt: skip

    def _say(self, phrase: Phrase, t: Texts) -> str:
        return render_phrase(phrase, t, self._called)

    def _called(self, name: str) -> str:
        known = self._context.config.users.get(name)
        return known.full_name or name if known else name

    def _told(self, policy: Policy, t: Texts, used: PolicyUsage) -> PolicyView:
        waits = (Wait, WaitUntilStep, WaitForAlertsStep)
        sentences = [
            StepSentence(number, self._say(step_phrase(step), t), isinstance(step, waits)) for number, step in enumerate(policy.steps, 1)
        ]
        return PolicyView(policy, sentences, [self._say(phrase, t) for phrase in ending_phrases(policy)], draw_policy(policy), used)

    def _axis(self, t: Texts, seconds: float | None) -> str:
        """How long after the beginning a dot of a picture stands."""
        if seconds is None:
            return "…"
        return f"+{render_phrase(duration_phrase(seconds), t)}" if seconds else t.plain("policies.at_once")

    def _happening(self, moment: PolicyRunEvent, t: Texts) -> PolicySimulationRow:
        page, entry = moment.page, moment.entry
        steps = self._context.config.policies[entry.policy].steps if entry.policy in self._context.config.policies else ()
        step = self._say(step_phrase(steps[entry.step - 1]), t) if page and 0 < entry.step <= len(steps) else ""
        return PolicySimulationRow(moment, self._axis(t, round(moment.seconds)), step, "" if page else _describe_event(moment, t))


def _describe_event(moment: PolicyRunEvent, t: Texts) -> str:
    """What happens beside pages; what is rare is told as the timeline has it."""
    match moment.entry.kind:
        case "forwarded":
            return t.plain("policies.takes_over")
        case "repeat":
            return t.plain("policies.again")
        case "ended":
            return t.plain("policies.no_more")
        case _:
            return moment.entry.text
