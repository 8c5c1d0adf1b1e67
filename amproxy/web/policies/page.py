"""/policies: every policy in sentences and as a picture, and one of them tried out on an alert."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import Route

from amproxy.config.structs import Policy, Wait, WaitForAlertsStep, WaitUntilStep
from amproxy.errors import NotFound
from amproxy.simulation.alert import zone_of
from amproxy.simulation.rehearsal import Moment, rehearsal
from amproxy.text import Texts
from amproxy.text.phrase import Phrase, plain
from amproxy.text.policies import ending, length, step_phrase
from amproxy.web.http.deps import Deps
from amproxy.web.http.permissions import may, principal_of
from amproxy.web.http.question import question
from amproxy.web.http.templates import Looks, language
from amproxy.web.policies.picture import Picture, picture
from amproxy.web.policies.policy_usage import Usage, usage


class Sentence(NamedTuple):
    """One step: its number in the policy, and what it does; waits stand between the deeds."""

    number: int
    text: str
    wait: bool


class Told(NamedTuple):
    """A policy as a page tells it."""

    policy: Policy
    sentences: list[Sentence]
    ending: list[str]
    picture: Picture
    used: Usage


class Happening(NamedTuple):
    """A row of a rehearsal."""

    moment: Moment
    after: str
    step: str  # what the step does that pages
    note: str  # what happens instead of a page


class PoliciesPage:
    def __init__(self, deps: Deps, looks: Looks) -> None:
        self._context, self._looks = deps.context, looks

    def routes(self) -> list[Route]:
        return [
            Route("/policies", self.index, methods=["GET"]),
            Route("/policies/{name}", self.show, methods=["GET"]),
        ]

    async def index(self, request: Request) -> HTMLResponse:
        t, used = language(request), usage(self._context.config)
        told = [self._told(policy, t, used[policy.name]) for policy in self._context.config.policies.values()]
        return await self._looks.page(request, "policies.html", policies=told, axis=partial(self._axis, t))

    async def show(self, request: Request) -> HTMLResponse:
        config, name, t = self._context.config, request.path_params["name"], language(request)
        policy = config.policies.get(name)
        if policy is None:
            raise NotFound(f"there is no policy {name[:60]}")
        zone = zone_of(config, policy)
        asks = question(request, zone, self._context.now())
        happenings = None
        if asks.labels is not None:
            found = rehearsal(policy, asks.labels, asks.at, self._context.roster)
            happenings = [self._happening(moment, t) for moment in found]
        return await self._looks.page(
            request, "policy.html", told=self._told(policy, t, usage(config)[name]), axis=partial(self._axis, t), question=asks,
            happenings=happenings, policy_zone=zone, may_edit=may(principal_of(request), "responder", policy.team),
        )  # fmt: skip

    def _say(self, phrase: Phrase, t: Texts) -> str:
        return plain(phrase, t, self._called)

    def _called(self, name: str) -> str:
        known = self._context.config.users.get(name)
        return known.full_name or name if known else name

    def _told(self, policy: Policy, t: Texts, used: Usage) -> Told:
        waits = (Wait, WaitUntilStep, WaitForAlertsStep)
        sentences = [
            Sentence(number, self._say(step_phrase(step), t), isinstance(step, waits)) for number, step in enumerate(policy.steps, 1)
        ]
        return Told(policy, sentences, [self._say(phrase, t) for phrase in ending(policy)], picture(policy), used)

    def _axis(self, t: Texts, seconds: float | None) -> str:
        """How long after the beginning a dot of a picture stands."""
        if seconds is None:
            return "…"
        return f"+{plain(length(seconds), t)}" if seconds else t.plain("policies.at_once")

    def _happening(self, moment: Moment, t: Texts) -> Happening:
        page, entry = moment.page, moment.entry
        steps = self._context.config.policies[entry.policy].steps if entry.policy in self._context.config.policies else ()
        step = self._say(step_phrase(steps[entry.step - 1]), t) if page and 0 < entry.step <= len(steps) else ""
        return Happening(moment, self._axis(t, round(moment.seconds)), step, "" if page else _note(moment, t))


def _note(moment: Moment, t: Texts) -> str:
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
