"""What a change to the file would do, shown before it is made, and making it: the way of every form that edits the file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import msgspec
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from amproxy.edit.change import Change
from amproxy.errors import Conflict, Uneditable
from amproxy.model import Page
from amproxy.simulation.config_diff import Example
from amproxy.text import Texts, plain
from amproxy.text.policies import length
from amproxy.web.config.change import Proposed, allow, apply, proposed
from amproxy.web.http.deps import Deps
from amproxy.web.http.errors import told
from amproxy.web.http.request import form, invalid, own_path
from amproxy.web.http.templates import Looks, language

SHOWN_SHIFTS: Final = 40
_PLACES: Final = {"users": "/people", "teams": "/people", "schedules": "/schedules", "escalation_policies": "/policies"}


class Diffed(NamedTuple):
    """A line of a diff, and what it is: "went", "came", "place" or ""."""

    text: str
    kind: str


class Tried(NamedTuple):
    """One alert and whom it pages, before and after: how long after it, and the page."""

    labels: Mapping[str, str]
    before: list[tuple[str, Page]]
    after: list[tuple[str, Page]]

    @property
    def same(self) -> bool:
        return _pages(self.before) == _pages(self.after)


class Form(NamedTuple):
    """The form that a change comes from: where it is sent, and its fields, so that one can go back to it."""

    path: str
    fields: Mapping[str, Sequence[str]]


class ChangePage:
    def __init__(self, deps: Deps, looks: Looks) -> None:
        self._deps, self._context, self._looks = deps, deps.context, looks

    def routes(self) -> list[Route]:
        return [Route("/change/apply", self.apply, methods=["POST"])]

    async def apply(self, request: Request) -> Response:
        """Make the change that a preview has shown; where it cannot be made, it is shown again with the reason."""
        fields = await form(request)
        try:
            change = msgspec.json.decode(fields.get("change", ""), type=Change)
        except msgspec.DecodeError:
            raise invalid("this is no change") from None
        allow(request, self._context.config, change)
        try:
            await apply(self._deps, request, change, fields.get("digest", ""))
        except (Conflict, Uneditable) as error:
            found = await proposed(self._deps, change)
            return await preview(request, self._looks, change, found, problem=told(error).detail)
        return RedirectResponse(own_path(fields.get("back") or place_of(change)), 303)


def place_of(change: Change) -> str:
    """The page to go to once a change is made."""
    return _PLACES[change.section]


async def preview(
    request: Request, looks: Looks, change: Change, found: Proposed, *, source: Form | None = None, problem: str = ""
) -> HTMLResponse:
    """The page that shows a change. source: the form to go back to; problem: why it was not made."""
    t, proposal = language(request), found.proposal
    difference = found.difference
    return await looks.page(
        request, "change.html", 409 if problem else 200, change=change, encoded=msgspec.json.encode(change).decode(), proposal=proposal,
        lines=_lines(proposal.diff), shifts=difference.shifts[:SHOWN_SHIFTS] if difference else [], problem=problem,
        more_shifts=max(0, len(difference.shifts) - SHOWN_SHIFTS) if difference else 0, hours=difference.hours if difference else {},
        tried=[_tried(example, t) for policy in difference.policies for example in policy.examples] if difference else [],
        source=source, back=place_of(change),
    )  # fmt: skip


def _lines(diff: str) -> list[Diffed]:
    """The lines below the two that name the file."""
    kinds = {"-": "went", "+": "came", "@": "place"}
    return [Diffed(line, kinds.get(line[:1], "")) for line in diff.splitlines()[2:]]


def _tried(example: Example, t: Texts) -> Tried:
    return Tried(example.labels, *([(_after(seconds, t), page) for seconds, page in pages] for pages in example[1:]))


def _after(seconds: float, t: Texts) -> str:
    return f"+{plain(length(seconds), t)}" if seconds else t.plain("policies.at_once")


def _pages(shown: list[tuple[str, Page]]) -> list[tuple[str, str, str, str]]:
    return [(after, page.user, page.receiver, page.channel) for after, page in shown]
