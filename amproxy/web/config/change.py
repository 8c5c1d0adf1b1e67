"""Changes to the file, for pages and the API: permission, preview, applying.

And the state of the file on the disk: its problems, as `amproxy check` reports them, and whether
it is the one in force.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
from msgspec import UNSET, UnsetType, structs
from starlette.requests import Request

from amproxy import metrics
from amproxy.apply import follow_rename_in_file
from amproxy.calendars.fetch import schedule_warnings
from amproxy.check.report import FoundProblems, find_problems
from amproxy.clock import utc
from amproxy.config.files import file_size, read_bytes
from amproxy.config.identities import identities
from amproxy.config.loader import load
from amproxy.config.networks import Reach
from amproxy.config.parts import join_loaded, split_loaded
from amproxy.config.structs import Config, Policy, Schedule
from amproxy.edit.change import (
    ConfigChangeProposal,
    ConfigEntryChange,
    file_digest,
    is_writable,
    propose_change,
    write_file,
)
from amproxy.edit.sections import ConfigFileSections, read_file_sections
from amproxy.errors import ConfigError, ConfigProblem, Conflict, SideProcessFailed, Uneditable
from amproxy.grouping.maintenance import expired_window_warnings
from amproxy.machine.events import Renamed
from amproxy.machine.lost_names import IncidentLoss, find_losses, follow_rename
from amproxy.notify.channels.webhook.settings import contact_reach
from amproxy.simulation.config_diff import (
    AlertLabels,
    ConfigDifference,
    changed_policies,
    compare_configs,
)
from amproxy.store import incidents
from amproxy.text import PeopleNames, Phrase, PhraseValue, ScheduleName, phrase
from amproxy.text.problems import problems_phrase, side_process_fault
from amproxy.text.render import arguments_of, code_of
from amproxy.web.http.deps import Deps
from amproxy.web.http.permissions import (
    Forbidden,
    may,
    principal_of,
    require_role,
    set_audit_phrase,
)
from amproxy.web.http.refusals import error_phrase

COMPARED_DAYS: Final = 28  # of shifts that are compared
# Gaps ahead come nearer, so the result of a check is not true for ever.
MAX_CHECK_AGE: Final = 600.0  # seconds
_MAX_EXAMPLES: Final = 2  # alerts by which a policy is simulated before and after
_MAX_SEARCHED_INCIDENTS: Final = 200  # of the latest incidents, for such alerts


class ConfigChangePreview(NamedTuple):
    """A proposed change and the difference it makes; None where the file would not load."""

    proposal: ConfigChangeProposal
    difference: ConfigDifference | None
    losses: Sequence[IncidentLoss] = ()  # open incidents that lose somebody


def require_change_allowed(request: Request, config: Config, change: ConfigEntryChange) -> None:
    """Raise Forbidden for a change that the caller may not make.

    Responders change what belongs to their team, people their own entry.
    """
    principal = principal_of(request)
    match change.section:
        case "users":
            # Also for a new person, who has no name yet.
            if not (principal.user and principal.user == change.name):
                require_role(request, "admin")
        case "teams":
            # A team gives rights to its members: who makes one decides about all.
            if change.name:
                require_role(request, "responder", change.name)
            else:
                require_role(request, "admin")
        case "schedules" | "escalation_policies":
            entries: Mapping[str, Schedule | Policy] = (
                config.schedules if change.section == "schedules" else config.policies
            )
            old = entries.get(change.name)
            require_role(request, "responder", old.team if old else "")
            # The new team as well: responders give an entry to teams of their own only.
            team = change.set.get("team")
            require_role(request, "responder", team if isinstance(team, str) else "")


async def require_result_allowed(
    request: Request, config: Config, change: ConfigEntryChange, proposal: ConfigChangeProposal
) -> None:
    """Check a change by what the file then says. Raises Forbidden, Uneditable.

    Whoever is no admin changes only those of their contacts by which nobody is recognised, and
    nobody sets an address that amproxy would not call.
    """
    if change.section != "users" or proposal.loaded is None:
        return
    before = proposal.before.config if proposal.before else config
    after, is_admin = proposal.loaded.config, may(principal_of(request), "admin")
    kept, made = (
        identities(file.users[change.name], with_sign_in=file.sign_in is not None)
        if change.name in file.users
        else {}
        for file in (before, after)
    )
    if kept != made and not is_admin:
        keys = sorted({key for _, key in kept.items() ^ made.items()})
        raise Forbidden(Phrase("refusal.identity_keys", {"keys": ", ".join(keys)}))
    name = change.name or str(change.set.get("name", ""))
    old, new = (
        file.users[name].contacts.get("webhook", "") if name in file.users else ""
        for file in (before, after)
    )
    if new and new != old:
        # here, because it brings an HTTP client along
        from amproxy.notify.channels.reach import refused_url

        reach = Reach(contact_reach(after.global_).networks, own_machine=is_admin)
        if reason := await refused_url(new, reach):
            raise Uneditable(Phrase("refusal.webhook_address", {"reason": reason}))


async def preview_change(
    deps: Deps, change: ConfigEntryChange, days: int = COMPARED_DAYS
) -> ConfigChangePreview:
    """Preview a change; nothing is written. Raises NotFound, Uneditable, StoreUnavailable."""
    context, now = deps.context, utc(deps.context.now())
    proposal = await _propose_change(deps, change)
    if proposal.loaded is None:
        return ConfigChangePreview(proposal, None)
    new = context.with_subscriptions(proposal.loaded.config)
    recent = await _recent_labels(deps, [*changed_policies(context.config, new)])
    difference = await asyncio.to_thread(
        compare_configs,
        context.config,
        new,
        context.schedule_changes,
        now,
        days,
        recent,
        context.calendars,
    )
    open_incidents = await incidents.load_open(context.wire)
    if renamed := _rename_of(change):
        open_incidents = [structs.replace(one) for one in open_incidents]
        for incident in open_incidents:
            follow_rename(incident, renamed.section, renamed.old, renamed.new)
    losses = find_losses(new, open_incidents, context.config)
    return ConfigChangePreview(proposal, difference, losses)


async def apply_change(
    deps: Deps, request: Request, change: ConfigEntryChange, expected: str
) -> ConfigChangeProposal:
    """Write a change into the file, and put it in force in all processes.

    expected: the digest that the file must still have. Raises NotFound, Uneditable (also where the
    file would not load), Conflict (changed since, or cannot be written).
    """
    path = Path(deps.context.config.path)
    proposal = await _propose_change(deps, change)
    if proposal.digest != expected:
        raise Conflict(Phrase("refusal.file_changed"))
    if proposal.loaded is None:
        raise Uneditable(
            Phrase("refusal.would_not_load", {"problems": problems_phrase(proposal.problems)})
        )
    await require_result_allowed(request, deps.context.config, change, proposal)
    if not proposal.writable:
        raise Conflict(Phrase("refusal.read_only"))
    data = proposal.text.encode()
    before = await asyncio.to_thread(write_file, path, data, expected)
    try:
        await deps.reload()
    except ConfigError as error:
        # The old file goes back, unless somebody has changed it meanwhile. It is the one in
        # force, so the metric of the failed reload must not alarm.
        await asyncio.to_thread(write_file, path, before, file_digest(data))
        metrics.reload_successful.set(1)
        raise Uneditable(
            Phrase("refusal.put_back", {"problems": problems_phrase(error.problems)})
        ) from None
    if renamed := _rename_of(change):
        # Where this is cut short, the policies of the file stand in at the next steps.
        await follow_rename_in_file(deps.context, renamed)
    set_audit_phrase(request, change_phrase(change))
    return proposal


def _rename_of(change: ConfigEntryChange) -> Renamed | None:
    new = change.set.get("name")
    if not change.name or not isinstance(new, str) or new == change.name:
        return None
    if change.section not in ("schedules", "escalation_policies"):
        return None
    return Renamed(section=change.section, old=change.name, new=new)


def change_phrase(change: ConfigEntryChange) -> Phrase:
    """ "changed steps of policy platform in the file" """
    name = change.name or str(change.set.get("name"))
    values: dict[str, PhraseValue] = {"noun": phrase(f"refusal.entry_{change.section}")}
    if change.section == "schedules":
        values["name"] = ScheduleName(name)
    else:
        values["name"] = PeopleNames((name,)) if change.section == "users" else name
    if change.delete:
        return phrase("audit.entry_deleted", **values)
    if not change.name:
        return phrase("audit.entry_added", **values)
    return phrase("audit.entry_changed", keys=", ".join(change.set), **values)


async def _propose_change(deps: Deps, change: ConfigEntryChange) -> ConfigChangeProposal:
    try:
        first, *parts = await _run_on_file(deps, _propose_in_parts, change, utc(deps.context.now()))
    except ConfigError as error:
        raise Uneditable(
            Phrase("refusal.would_not_load", {"problems": problems_phrase(error.problems)})
        ) from None
    proposal: ConfigChangeProposal = first
    return proposal._replace(loaded=join_loaded(parts)) if parts else proposal


def _propose_in_parts(path: Path, change: ConfigEntryChange, now: datetime) -> Iterator[Any]:
    """`propose_change` without what would be loaded, which follows in parts where there is any."""
    proposal = propose_change(path, change, now)
    yield proposal._replace(loaded=None)
    if proposal.loaded is not None:
        yield from split_loaded(proposal.loaded)


async def load_sections(deps: Deps) -> ConfigFileSections:
    """The sections of the file on the disk. Raises Uneditable.

    A file is taken apart once, however often somebody opens a form: that takes a tenth of a second.
    """
    path = Path(deps.context.config.path)
    known = deps.sections.get(path)
    if known is not None and known[:2] == await asyncio.to_thread(_state_of, path):
        return known
    [found] = await _run_on_file(deps, read_file_sections)
    sections: ConfigFileSections = found
    deps.sections.clear()
    deps.sections[path] = sections
    return sections


def _state_of(path: Path) -> tuple[str, bool] | None:
    """The digest of a file and whether it can be written; None where it cannot be read."""
    try:
        return file_digest(read_bytes(path)), is_writable(path)
    except ConfigProblem:
        return None


async def _run_on_file(deps: Deps, function: Callable[..., Any], *arguments: Any) -> list[Any]:
    """Call a function with the path of the file beside the loop. Raises Uneditable."""
    path = Path(deps.context.config.path)
    try:
        return await deps.side_process.run(function, path, *arguments, size=file_size(path))
    except SideProcessFailed as error:
        reason = side_process_fault(error)
        raise Uneditable(Phrase("refusal.file_unread_now", {"reason": reason})) from None


async def _recent_labels(deps: Deps, names: list[str]) -> dict[str, list[AlertLabels]]:
    """Policy → labels of its latest incidents, each set of labels once."""
    if not names:  # most changes touch no policy: spare the reading of incidents
        return {}
    found: dict[str, list[AlertLabels]] = {name: [] for name in names}
    latest, _ = await incidents.list_incidents(
        deps.context.wire, incidents.STATES, limit=_MAX_SEARCHED_INCIDENTS
    )
    for incident in latest:
        labels = {**incident.common_labels, **incident.group_labels}
        known = found.get(incident.policy)
        # An incident made by hand has no group, and its labels are no example of an alert.
        if known is None or not incident.group:
            continue
        if labels not in known and len(known) < _MAX_EXAMPLES:
            known.append(labels)
    return found


class ProblemView(msgspec.Struct, kw_only=True):
    """An error or warning, as `amproxy check --json` has it."""

    file: str
    line: int
    column: int
    path: str
    message: str
    code: str
    arguments: dict[str, Any]
    kind: str | UnsetType = UNSET  # of a warning


def problem_view(problem: ConfigProblem) -> ProblemView:
    return ProblemView(
        file=problem.file,
        line=problem.line,
        column=problem.column,
        path=problem.path,
        message=problem.message,
        code=code_of(problem.words, alone=True),
        arguments=arguments_of(problem.words),
        kind=problem.kind or UNSET,
    )


class ConfigFileState(NamedTuple):
    in_force: bool  # the file on the disk is the one that was loaded
    errors: list[ConfigProblem]
    warnings: list[ConfigProblem]


class ConfigFileChecker:
    """Checks the file when it has changed, and every MAX_CHECK_AGE.

    Pages that keep themselves up to date need the result often, and a check takes a while.
    """

    def __init__(self, deps: Deps) -> None:
        self._deps, self._context = deps, deps.context
        self._last: tuple[str, float, FoundProblems] | None = None  # digest, Unix seconds

    async def state(self) -> ConfigFileState:
        context, now = self._context, self._context.now()
        path = Path(context.config.path)
        digest, last = await asyncio.to_thread(_file_digest, path), self._last
        # Below 0 the clock was set back.
        if last is None or last[0] != digest or not 0 <= now - last[1] < MAX_CHECK_AGE:
            try:
                [found] = await _run_on_file(self._deps, _check_file, utc(now))
            except Uneditable as error:
                problem = ConfigProblem(error_phrase(error), file=str(path))
                return ConfigFileState(digest == context.config.digest, [problem], [])
            self._last = last = digest, now, found
        return ConfigFileState(digest == context.config.digest, last[2].errors, last[2].warnings)


def _file_digest(path: Path) -> str:
    try:
        return file_digest(read_bytes(path))
    except ConfigProblem:
        return ""  # the check says why it cannot be read


def _check_file(path: Path, now: datetime) -> FoundProblems:
    return find_problems(
        lambda: load(path),
        also=lambda config: (
            *schedule_warnings(config, now),
            *expired_window_warnings(config, now),
        ),
    )
