"""/change/apply: the preview of a change to the file, and making it.

Every form that edits the file leads here.
"""

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
from amproxy.simulation.config_diff import ConfigDifference, PolicyChangeExample
from amproxy.text import Phrase, Texts
from amproxy.web.config.change import (
    ConfigChangePreview,
    apply_change,
    preview_change,
    require_change_allowed,
)
from amproxy.web.http.deps import Deps
from amproxy.web.http.request import invalid, own_path, parse_form
from amproxy.web.http.response import describe_error
from amproxy.web.http.templates import PageTemplates, reader_texts
from amproxy.web.policies.page import delay_text

MAX_LISTED_SHIFTS: Final = 40
_SECTION_PAGES: Final = {
    "users": "/people",
    "teams": "/people",
    "schedules": "/schedules",
    "escalation_policies": "/policies",
}


class DiffLine(NamedTuple):
    """A line of a diff."""

    text: str
    kind: str  # "removed", "added", "location" or ""


class ExampleComparison(NamedTuple):
    """The pages of one alert before and after the change."""

    labels: Mapping[str, str]
    before: list[tuple[str, Page]]  # how long after the alert, and the page
    after: list[tuple[str, Page]]

    @property
    def same(self) -> bool:
        return _page_keys(self.before) == _page_keys(self.after)


class SourceForm(NamedTuple):
    """The form that a change comes from, to go back to: its address and its fields."""

    path: str
    fields: Mapping[str, Sequence[str]]


class ChangePage:
    def __init__(self, deps: Deps, templates: PageTemplates) -> None:
        self._deps, self._context, self._templates = deps, deps.context, templates

    def routes(self) -> list[Route]:
        return [Route("/change/apply", self.apply, methods=["POST"])]

    async def apply(self, request: Request) -> Response:
        """Make the change of a preview; if that fails, show it again with the reason."""
        fields = await parse_form(request)
        try:
            change = msgspec.json.decode(fields.get("change", ""), type=ConfigEntryChange)
        except msgspec.DecodeError:
            raise invalid(Phrase("refusal.no_change")) from None
        require_change_allowed(request, self._context.config, change)
        try:
            await apply_change(self._deps, request, change, fields.get("digest", ""))
        except (Conflict, Uneditable) as error:
            preview = await preview_change(self._deps, change)
            problem = describe_error(error).phrase
            return await render_preview(request, self._templates, change, preview, problem=problem)
        return RedirectResponse(own_path(fields.get("back") or section_page(change)), 303)


def section_page(change: ConfigEntryChange) -> str:
    """The address of the page that lists the changed section."""
    return _SECTION_PAGES[change.section]


async def render_preview(
    request: Request,
    templates: PageTemplates,
    change: ConfigEntryChange,
    preview: ConfigChangePreview,
    *,
    source: SourceForm | None = None,
    problem: Phrase | None = None,
) -> HTMLResponse:
    """The page that shows a change. source: the form to go back to; problem: why it failed."""
    t, proposal = reader_texts(request), preview.proposal
    difference = preview.difference or ConfigDifference([], {}, [])
    examples = [example for policy in difference.policies for example in policy.examples]
    return await templates.page(
        request,
        "change.html",
        409 if problem else 200,
        change=change,
        encoded=msgspec.json.encode(change).decode(),
        proposal=proposal,
        lines=_diff_lines(proposal.diff),
        shifts=difference.shifts[:MAX_LISTED_SHIFTS],
        more_shifts=max(0, len(difference.shifts) - MAX_LISTED_SHIFTS),
        hours=difference.hours,
        examples=[_compare_example(example, t) for example in examples],
        losses=preview.losses,
        problem=problem,
        source=source,
        back=section_page(change),
    )


def _diff_lines(diff: str) -> list[DiffLine]:
    """The lines of a diff without its head of two lines, which names the file."""
    kinds = {"-": "removed", "+": "added", "@": "location"}
    return [DiffLine(line, kinds.get(line[:1], "")) for line in diff.splitlines()[2:]]


def _compare_example(example: PolicyChangeExample, t: Texts) -> ExampleComparison:
    before, after = (
        [(delay_text(t, seconds), page) for seconds, page in pages]
        for pages in (example.before, example.after)
    )
    return ExampleComparison(example.labels, before, after)


def _page_keys(pages: list[tuple[str, Page]]) -> list[tuple[str, str, str, str]]:
    return [(after, page.user, page.receiver, page.channel) for after, page in pages]
