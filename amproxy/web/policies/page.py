"""/policies: every policy in sentences and as a picture; one of them, simulated for an alert."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import UTC
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
    Receiver,
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
from amproxy.text import Phrase, Texts
from amproxy.text.policies import ending_phrases, step_phrase
from amproxy.text.render import PhraseRenderer, length_text, render_phrase
from amproxy.web.http.deps import Deps
from amproxy.web.http.permissions import may, principal_of
from amproxy.web.http.request import parse_simulation_query
from amproxy.web.http.templates import PageTemplates, reader_texts

# Lengths of a picture, in pixels.
_MARGIN: Final = 26
_MIN_DISTANCE: Final = 34  # between two actions without a wait
_MIN_WAIT: Final = 56
_MAX_WAIT: Final = 150
_OPEN_WAIT: Final = 90  # of a wait whose end is not known
_WAITS: Final = (Wait, WaitUntilStep, WaitForAlertsStep)


class StepSentence(NamedTuple):
    """One step in words."""

    number: int  # in the policy, from 1
    text: str
    wait: bool


class PolicyView(NamedTuple):
    """A policy as a page shows it."""

    policy: Policy
    sentences: list[StepSentence]
    ending: list[str]  # sentences for what holds after the steps
    picture: PolicyPicture
    usage: PolicyUsage


class PolicySimulationRow(NamedTuple):
    """One event of a simulation."""

    event: PolicyRunEvent
    after: str
    step: str  # the step that pages, in words
    note: str  # of an event that is no page


class PoliciesPage:
    def __init__(self, deps: Deps, templates: PageTemplates) -> None:
        self._context, self._templates = deps.context, templates

    def routes(self) -> list[Route]:
        return [
            Route("/policies", self.index, methods=["GET"]),
            Route("/policies/{name:path}", self.show, methods=["GET"]),
        ]

    async def index(self, request: Request) -> HTMLResponse:
        config, t = self._context.config, reader_texts(request)
        usage = find_policy_usage(config)
        views = [self._view(policy, t, usage[name]) for name, policy in config.policies.items()]
        return await self._templates.page(
            request, "policies.html", policies=views, delay_text=partial(delay_text, t)
        )

    async def show(self, request: Request) -> HTMLResponse:
        """One policy, and its simulation for the labels and the time of the query."""
        config, name, t = self._context.config, request.path_params["name"], reader_texts(request)
        policy = config.policies.get(name)
        if policy is None:
            raise NotFound(Phrase("refusal.no_policy", {"policy": name[:60]}))
        zone = zone_of_policy(config, policy)
        query = parse_simulation_query(request, zone, self._context.now())
        rows = None
        if query.labels is not None:
            events = run_policy(policy, query.labels, query.at, self._context.roster)
            rows = [self._simulation_row(event, t) for event in events]
        return await self._templates.page(
            request,
            "policy.html",
            view=self._view(policy, t, find_policy_usage(config)[name]),
            delay_text=partial(delay_text, t),
            query=query,
            simulation=rows,
            policy_zone=zone,
            may_edit=may(principal_of(request), "responder", policy.team),
        )

    def _view(self, policy: Policy, t: Texts, usage: PolicyUsage) -> PolicyView:
        sentences = [
            StepSentence(number, self._text(step_phrase(step), t), isinstance(step, _WAITS))
            for number, step in enumerate(policy.steps, 1)
        ]
        ending = [self._text(phrase, t) for phrase in ending_phrases(policy)]
        return PolicyView(policy, sentences, ending, draw_policy(policy), usage)

    def _simulation_row(self, event: PolicyRunEvent, t: Texts) -> PolicySimulationRow:
        entry, after = event.entry, delay_text(t, round(event.seconds))
        if not event.page:
            words = PhraseRenderer(
                t, full_name=partial(full_name, self._context.config), zone=event.at.tzinfo or UTC
            )
            return PolicySimulationRow(event, after, "", _describe_event(event, words))
        # Another policy may have taken over: the step is one of the policy that runs.
        policy = self._context.config.policies.get(entry.policy)
        steps = policy.steps if policy else ()
        known = 0 < entry.step <= len(steps)
        step = self._text(step_phrase(steps[entry.step - 1]), t) if known else ""
        return PolicySimulationRow(event, after, step, "")

    def _text(self, phrase: Phrase, t: Texts) -> str:
        return render_phrase(phrase, t, partial(full_name, self._context.config))


def full_name(config: Config, name: str) -> str:
    """The full name of a user; names that are nobody's stay as they are."""
    user = config.users.get(name)
    return user.full_name or name if user else name


def delay_text(t: Texts, seconds: float | None) -> str:
    """The time from the beginning to an action; None = it depends."""
    if seconds is None:
        return "…"
    if not seconds:
        return t.plain("policies.at_once")
    return f"+{length_text(seconds, t)}"


def _describe_event(event: PolicyRunEvent, words: PhraseRenderer) -> str:
    """An event that is no page; rare ones in the words of the timeline."""
    t = words.t
    match event.entry.kind:
        case "forwarded":
            return t.plain("policies.forwards")
        case "repeat":
            return t.plain("policies.repeats")
        case "ended":
            return t.plain("policies.ended")
        case _:
            return words.text(event.entry.words)


class ReceiverUse(NamedTuple):
    """A receiver, and the matchers of each route to it, those of its parents first.

    () = a route for everything else.
    """

    receiver: str
    routes: list[tuple[Matcher, ...]]


class PolicyUsage(NamedTuple):
    """The places where a policy is used."""

    receivers: list[ReceiverUse]
    forwards: list[str]  # policies that hand over to this one


def find_policy_usage(config: Config) -> dict[str, PolicyUsage]:
    """Policy → where it is used."""
    routes: dict[str, list[tuple[Matcher, ...]]] = {}
    for name, matchers in _receiver_matchers(config.route, ()):
        routes.setdefault(name, []).append(matchers)
    usage = {name: PolicyUsage([], []) for name in config.policies}
    for receiver in config.receivers.values():
        for name in policies_of_receiver(receiver):
            use = ReceiverUse(receiver.name, routes.get(receiver.name, []))
            usage[name].receivers.append(use)
    for policy in config.policies.values():
        forwards = (step.policy for step in policy.steps if isinstance(step, ForwardStep))
        for name in dict.fromkeys(forwards):
            usage[name].forwards.append(policy.name)
    return usage


def policies_of_receiver(receiver: Receiver) -> list[str]:
    """The policies that a receiver follows, each once."""
    followed = (
        one.settings.escalation_policy for one in receiver.integrations if one.kind == "oncall"
    )
    return list(dict.fromkeys(followed))


def _receiver_matchers(
    route: AlertRoute, above: tuple[Matcher, ...]
) -> Iterator[tuple[str, tuple[Matcher, ...]]]:
    matchers = (*above, *route.matchers)
    yield route.receiver, matchers
    for child in route.routes:
        yield from _receiver_matchers(child, matchers)


class StepDot(NamedTuple):
    """One action, at its time."""

    x: int
    number: int  # of the step, from 1
    kind: str  # "page", "important", "notify", "forward" or "resolve"
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
        """Its length is not known."""
        return not isinstance(self.step, Wait)


class PolicyPicture(NamedTuple):
    """The steps on an axis of time: a dot for each action, a line for each wait."""

    width: int
    dots: list[StepDot]
    lines: list[WaitLine]


def draw_policy(policy: Policy) -> PolicyPicture:
    """One run of the steps, if nobody answers. Longer waits are longer, but not in proportion."""
    x, seconds, known = _MARGIN, 0.0, True
    dots: list[StepDot] = []
    lines: list[WaitLine] = []
    for number, step in enumerate(policy.steps, 1):
        if isinstance(step, _WAITS):
            length = _wait_width(step.seconds) if isinstance(step, Wait) else _OPEN_WAIT
            lines.append(WaitLine(x, x + length, step))
            x += length
            known = known and isinstance(step, Wait)
            seconds += step.seconds if isinstance(step, Wait) else 0
            continue
        if dots and dots[-1].x > x - _MIN_DISTANCE:
            x = dots[-1].x + _MIN_DISTANCE
        dots.append(
            StepDot(x, number, _dot_kind(step), _is_conditional(step), seconds if known else None)
        )
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
            return "notify"


def _is_conditional(step: Step) -> bool:
    return isinstance(step, Condition) and bool(
        step.matchers or step.active_time_intervals or step.mute_time_intervals
    )
