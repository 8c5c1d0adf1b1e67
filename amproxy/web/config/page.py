"""What a change to the file would do, shown before it is made, and making it: the way of every form that edits the file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import msgspec
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from amproxy.edit.change import ConfigEntryChange
from amproxy.errors import Conflict, Uneditable
from amproxy.model import Page
from amproxy.simulation.config_diff import PolicyChangeExample
from amproxy.text import Texts, render_phrase
from amproxy.text.policies import duration_phrase
from amproxy.web.config.change import ConfigChangePreview, apply_change, preview_change, require_change_allowed
from amproxy.web.http.deps import Deps
from amproxy.web.http.errors import describe_error
from amproxy.web.http.request import invalid, own_path, parse_form
from amproxy.web.http.templates import PageTemplates, reader_texts

MAX_LISTED_SHIFTS: Final = 40
_SECTION_PAGES: Final = {"users": "/people", "teams": "/people", "schedules": "/schedules", "escalation_policies": "/policies"}


class DiffLine(NamedTuple):
    """A line of a diff, and what it is: "went", "came", "place" or ""."""

    text: str
    kind: str


class ExampleComparison(NamedTuple):
    """One alert and whom it pages, before and after: how long after it, and the page."""

    labels: Mapping[str, str]
    before: list[tuple[str, Page]]
    after: list[tuple[str, Page]]

    @property
    def same(self) -> bool:
        return _page_keys(self.before) == _page_keys(self.after)


class SourceForm(NamedTuple):
    """The form that a change comes from: where it is sent, and its fields, so that one can go back to it."""

    path: str
    fields: Mapping[str, Sequence[str]]


class ChangePage:
    def __init__(self, deps: Deps, looks: PageTemplates) -> None:
        self._deps, self._context, self._looks = deps, deps.context, looks

    def routes(self) -> list[Route]:
        return [Route("/change/apply", self.apply, methods=["POST"])]

    async def apply(self, request: Request) -> Response:
        """Make the change that a preview has shown; where it cannot be made, it is shown again with the reason."""
        fields = await parse_form(request)
        try:
            change = msgspec.json.decode(fields.get("change", ""), type=ConfigEntryChange)
        except msgspec.DecodeError:
            raise invalid("this is no change") from None
        require_change_allowed(request, self._context.config, change)
        try:
            await apply_change(self._deps, request, change, fields.get("digest", ""))
        except (Conflict, Uneditable) as error:
            found = await preview_change(self._deps, change)
            return await render_preview(request, self._looks, change, found, problem=describe_error(error).detail)
        return RedirectResponse(own_path(fields.get("back") or section_page(change)), 303)


def section_page(change: ConfigEntryChange) -> str:
    """The page to go to once a change is made."""
    return _SECTION_PAGES[change.section]


async def render_preview(
    request: Request,
    looks: PageTemplates,
    change: ConfigEntryChange,
    found: ConfigChangePreview,
    *,
    source: SourceForm | None = None,
    problem: str = "",
) -> HTMLResponse:
    """The page that shows a change. source: the form to go back to; problem: why it was not made."""
    t, proposal = reader_texts(request), found.proposal
    difference = found.difference
    return await looks.page(
        request, "change.html", 409 if problem else 200, change=change, encoded=msgspec.json.encode(change).decode(), proposal=proposal,
        lines=_diff_lines(proposal.diff), shifts=difference.shifts[:MAX_LISTED_SHIFTS] if difference else [], problem=problem,
        more_shifts=max(0, len(difference.shifts) - MAX_LISTED_SHIFTS) if difference else 0, hours=difference.hours if difference else {},
        tried=[_compare_example(example, t) for policy in difference.policies for example in policy.examples] if difference else [],
        source=source, back=section_page(change),
    )  # fmt: skip


def _diff_lines(diff: str) -> list[DiffLine]:
    """The lines below the two that name the file."""
    kinds = {"-": "went", "+": "came", "@": "place"}
    return [DiffLine(line, kinds.get(line[:1], "")) for line in diff.splitlines()[2:]]


def _compare_example(example: PolicyChangeExample, t: Texts) -> ExampleComparison:
    return ExampleComparison(example.labels, *([(_delay_text(seconds, t), page) for seconds, page in pages] for pages in example[1:]))


def _delay_text(seconds: float, t: Texts) -> str:
    return f"+{render_phrase(duration_phrase(seconds), t)}" if seconds else t.plain("policies.at_once")


def _page_keys(shown: list[tuple[str, Page]]) -> list[tuple[str, str, str, str]]:
    return [(after, page.user, page.receiver, page.channel) for after, page in shown]
