"""A change to routes.yaml on its way: who may make it, what it would do, and how it takes effect. Pages and the API share it.

How the file on the disk stands: what `amproxy check` says of it, and whether it is the one in force.
"""

from __future__ import annotations

import asyncio
from datetime import datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

from starlette.requests import Request

from amproxy import metrics
from amproxy.calendars.fetch import warnings_ahead
from amproxy.check.report import report
from amproxy.clock import utc
from amproxy.config.structs import Config
from amproxy.context import Context
from amproxy.edit.change import WORDS, Change, Proposal, digest, propose, write
from amproxy.errors import ConfigError, ConfigProblem, Conflict, Uneditable
from amproxy.grouping.maintenance import ended_warnings
from amproxy.simulation.config_diff import Difference, Labels, changed_policies, difference
from amproxy.store import incidents
from amproxy.web.http.deps import Deps
from amproxy.web.http.permissions import principal_of, require, say

DAYS: Final = 28  # of shifts that are compared
_EXAMPLES: Final = 2  # alerts by which a policy is tried out before and after
_LOOKED_THROUGH: Final = 200  # of the latest incidents, for such alerts


class Proposed(NamedTuple):
    """A change as it would be, and what it would do; no difference where the file would not load."""

    proposal: Proposal
    difference: Difference | None


def allow(request: Request, config: Config, change: Change) -> None:
    """Raises Forbidden for somebody who may not make the change: what belongs to a team is its responders', people are their own."""
    asks = principal_of(request)
    match change.section:
        case "users":
            if asks.role != "admin" and not (asks.user and asks.user == change.name):
                require(request, "admin")
        case "teams":
            require(request, "responder", change.name)
        case "schedules" | "escalation_policies":
            things: Any = config.schedules if change.section == "schedules" else config.policies
            for team in (things[change.name].team if change.name in things else "", change.set.get("team")):
                require(request, "responder", team if isinstance(team, str) else "")


async def proposed(deps: Deps, change: Change, days: int = DAYS) -> Proposed:
    """What a change would do; nothing is written. Raises NotFound, Uneditable, StoreUnavailable."""
    context = deps.context
    now = utc(context.now())
    proposal = await _proposal(deps, change)
    if proposal.loaded is None:
        return Proposed(proposal, None)
    new = proposal.loaded.config
    recent = await _recent(deps, [*changed_policies(context.config, new)])
    found = await asyncio.to_thread(difference, context.config, new, context.by_hand, now, days, recent, context.calendars)
    return Proposed(proposal, found)


async def apply(deps: Deps, request: Request, change: Change, expected: str) -> Proposal:
    """Write the change into the file, if that still has the digest `expected`, and put it in force in all processes.

    Raises NotFound, Uneditable (also where the file would not load), Conflict (changed since, or cannot be written).
    """
    path = Path(deps.context.config.path)
    proposal = await _proposal(deps, change)
    if proposal.digest != expected:
        raise Conflict("the file has changed since: look at the change again")
    if proposal.loaded is None:
        raise Uneditable("; ".join(map(str, proposal.problems)))
    if not proposal.writable:
        raise Conflict("the file cannot be written from here: put the difference into it where it is kept")
    data = proposal.text.encode()
    before = await asyncio.to_thread(write, path, data, expected)
    try:
        await deps.reload()
    except ConfigError as error:
        await asyncio.to_thread(write, path, before, digest(data))
        metrics.reload_successful.set(1)  # of the file that is there again, and in force
        raise Uneditable(f"nothing was changed, because the file would not load: {error}") from None
    say(request, sentence(change))
    return proposal


def sentence(change: Change) -> str:
    """ "changed steps of policy platform in the file" """
    word = WORDS[change.section]
    if change.delete:
        return f"deleted {word} {change.name} in the file"
    if not change.name:
        return f"added {word} {change.set.get('name')} to the file"
    return f"changed {', '.join(change.set)} of {word} {change.name} in the file"


async def _proposal(deps: Deps, change: Change) -> Proposal:
    try:
        return await asyncio.to_thread(propose, deps.context.config.path, change, utc(deps.context.now()))
    except ConfigError as error:
        raise Uneditable(str(error)) from None


async def _recent(deps: Deps, names: list[str]) -> dict[str, list[Labels]]:
    """Policy → labels of its latest incidents, each set of labels once."""
    if not names:
        return {}
    found: dict[str, list[Labels]] = {name: [] for name in names}
    latest, _ = await incidents.listing(deps.context.wire, incidents.STATES, limit=_LOOKED_THROUGH)
    for incident in latest:
        labels = {**incident.common_labels, **incident.group_labels}
        known = found.get(incident.policy)
        if known is not None and incident.group and labels not in known and len(known) < _EXAMPLES:
            known.append(labels)
    return found


def problem_view(problem: ConfigProblem) -> dict[str, Any]:
    """One thing wrong or doubtful, as `amproxy check --json` has it."""
    view = {key: getattr(problem, key) for key in ("file", "line", "column", "path", "message")}
    return {**view, "kind": problem.kind} if problem.kind else view


FRESH = 600.0  # seconds: gaps ahead come nearer, so what was found is not true for ever


class FileState(NamedTuple):
    in_force: bool  # the file on the disk is the one that was loaded
    errors: list[dict[str, Any]]  # {file, line, column, path, message}
    warnings: list[dict[str, Any]]  # the same and kind


class FileChecks:
    """Checks the file when it has changed, and now and then: a page that keeps itself up to date asks often."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._known: tuple[str, float, dict[str, Any]] | None = None  # digest, when, what was found

    async def state(self) -> FileState:
        context, now = self._context, self._context.now()
        path = Path(context.config.path)
        found = await asyncio.to_thread(_digest, path)
        if self._known is None or self._known[0] != found or not 0 <= now - self._known[1] < FRESH:
            self._known = found, now, await asyncio.to_thread(_checked, path, utc(now))
        known = self._known[2]
        return FileState(found == context.config.digest, known["errors"], known["warnings"])


def _digest(path: Path) -> str:
    try:
        return digest(path.read_bytes())
    except OSError:
        return ""  # the check says why it cannot be read


def _checked(path: Path, now: datetime) -> dict[str, Any]:
    return report(path, also=lambda config: (*warnings_ahead(config, now), *ended_warnings(config, now)))
