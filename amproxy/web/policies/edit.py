"""/change/policy: a policy as a form, a row for each step. Every button is a submit, so that it works without scripts."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from amproxy.edit.change import Change
from amproxy.edit.sections import read_words
from amproxy.errors import NotFound, Uneditable
from amproxy.web.config.change import allow, proposed
from amproxy.web.config.page import Form, preview
from amproxy.web.http.deps import Deps
from amproxy.web.http.errors import told
from amproxy.web.http.permissions import Forbidden
from amproxy.web.http.request import lists
from amproxy.web.http.templates import Looks
from amproxy.web.policies.policy_draft import KINDS, MOST_STEPS, WAITS, Draft, Step, changes, from_fields, from_words, moved

_PATH = "/change/policy"
_NEW = Draft(steps=(Step(kind="schedule"), Step(kind="wait", length="5m")))


class PolicyEdit:
    def __init__(self, deps: Deps, looks: Looks) -> None:
        self._deps, self._context, self._looks = deps, deps.context, looks

    def routes(self) -> list[Route]:
        return [Route(_PATH, self.show, methods=["GET"]), Route(_PATH, self.act, methods=["POST"])]

    async def show(self, request: Request) -> Response:
        """The policy that `name` of the query names, else an empty one. Who may not change it is led to where it can be read."""
        name = request.query_params.get("name", "")
        try:
            allow(request, self._context.config, Change(section="escalation_policies", name=name))
        except Forbidden:
            return RedirectResponse(f"/policies/{quote(name, safe='')}" if name else "/policies", 303)
        entry = await self._entry(name)
        return await self._draw(request, name, from_words(entry) if name else _NEW)

    async def act(self, request: Request) -> Response:
        """One of the buttons: a step is added, moved or deleted, or the change is shown."""
        fields = await lists(request)
        name, do = fields.get("policy", [""])[-1], fields.get("do", [""])[-1]
        draft = moved(from_fields(fields), do)
        if do not in ("preview", "remove"):
            allow(request, self._context.config, Change(section="escalation_policies", name=name))
            return await self._draw(request, name, draft)
        try:
            entry = await self._entry(name)
            change = Change(
                section="escalation_policies", name=name, set={} if do == "remove" else changes(draft, entry), delete=do == "remove"
            )
            allow(request, self._context.config, change)
            found = await proposed(self._deps, change)
        except Uneditable as error:
            return await self._draw(request, name, draft, [told(error).detail])
        if found.proposal.problems:
            return await self._draw(request, name, draft, [problem.message for problem in found.proposal.problems])
        source = Form(_PATH, {key: values for key, values in fields.items() if key != "do"})
        return await preview(request, self._looks, change, found, source=source)

    async def _entry(self, name: str) -> Mapping[str, Any]:
        """The policy as the file on the disk has it; {} for a new one. Raises NotFound, Uneditable."""
        if not name:
            return {}
        entry = (await asyncio.to_thread(read_words, self._context.config.path)).entry("escalation_policies", name)
        if entry is None:
            raise NotFound(f"the file has no policy {name[:60]}")
        return entry

    async def _draw(self, request: Request, name: str, draft: Draft, problems: Sequence[str] = ()) -> HTMLResponse:
        config = self._context.config
        schedules, receivers = list(config.schedules), list(config.receivers)
        targets = {
            "schedule": schedules,
            "next": schedules,
            "team": list(config.teams),
            "receiver": receivers,
            "webhook": receivers,
            "wait_until": list(config.time_intervals),
            "forward": [policy for policy in config.policies if policy != name],
        }
        return await self._looks.page(
            request, "policy_edit.html", 422 if problems else 200, name=name, draft=draft, problems=problems, kinds=KINDS, waits=WAITS,
            targets=targets, teams=list(config.teams), intervals=list(config.time_intervals), full=len(draft.steps) >= MOST_STEPS,
        )  # fmt: skip
