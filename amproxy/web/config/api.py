"""/api/v1/config: people, schedules, policies and routes as the file has them, and changes."""

from __future__ import annotations

from typing import Any

import msgspec
from starlette.requests import Request

from amproxy.clock import Timestamp, rfc3339
from amproxy.config.structs import Config, Policy, Receiver
from amproxy.edit.change import ConfigEntryChange, file_digest
from amproxy.grouping.rights import Principal
from amproxy.model import Page
from amproxy.simulation.config_diff import ConfigDifference, PolicyChange
from amproxy.simulation.terminal import describe_policy_end, describe_step
from amproxy.text.render import in_english
from amproxy.web.config.change import (
    ProblemView,
    apply_change,
    load_sections,
    preview_change,
    problem_view,
    require_change_allowed,
    require_result_allowed,
)
from amproxy.web.http.api import JsonBody, operation
from amproxy.web.http.deps import Deps
from amproxy.web.http.permissions import principal_of

FileEntry = dict[str, Any]  # as the file spells it


class ConfigPreviewRequest(msgspec.Struct, forbid_unknown_fields=True):
    change: ConfigEntryChange


class ConfigApplyRequest(msgspec.Struct, forbid_unknown_fields=True):
    change: ConfigEntryChange
    digest: str  # of the file that the preview was made from


class FileReceiverView(msgspec.Struct, kw_only=True):
    name: str
    escalation_policies: list[str]


class FileView(msgspec.Struct, kw_only=True):
    """The file as it is on the disk; its sections are as it spells them."""

    digest: str
    in_force: bool
    writable: bool
    route: FileEntry
    users: list[FileEntry]
    teams: list[FileEntry]
    schedules: list[FileEntry]
    escalation_policies: list[FileEntry]
    receivers: list[FileReceiverView]
    time_intervals: list[str]


class ShiftChangeView(msgspec.Struct, kw_only=True):
    schedule: str
    start: Timestamp
    end: Timestamp
    before: tuple[str, ...]
    after: tuple[str, ...]


class HoursChangeView(msgspec.Struct, kw_only=True):
    before: float
    after: float


class PreviewedPageView(msgspec.Struct, kw_only=True):
    after: float  # seconds after the alert
    user: str | None
    receiver: str | None
    channel: str
    policy: str
    step: int
    reason: str


class PolicyExampleView(msgspec.Struct, kw_only=True):
    labels: dict[str, str]
    before: list[PreviewedPageView]
    after: list[PreviewedPageView]


class PolicyChangeView(msgspec.Struct, kw_only=True):
    policy: str
    before: list[str] | None
    after: list[str] | None
    examples: list[PolicyExampleView]


class DifferenceView(msgspec.Struct, kw_only=True):
    shifts: list[ShiftChangeView]
    hours: dict[str, HoursChangeView]
    policies: list[PolicyChangeView]


class IncidentLossView(msgspec.Struct, kw_only=True):
    """An open incident whose steps to come name what the file would not have any more."""

    id: str
    number: int
    title: str
    lost: list[str]


class PreviewView(msgspec.Struct, kw_only=True):
    diff: str
    problems: list[ProblemView]
    warnings: list[ProblemView]
    writable: bool
    digest: str
    changes: DifferenceView | None
    incidents: list[IncidentLossView]


class AppliedView(msgspec.Struct, kw_only=True):
    digest: str
    warnings: list[ProblemView]


class ConfigApi:
    def __init__(self, deps: Deps) -> None:
        self._deps, self._context = deps, deps.context

    @operation(
        "file",
        "GET /api/v1/config",
        "showFile",
        "The file's own words, as far as they may be shown",
        errors=(422,),
    )
    async def show(self, request: Request) -> FileView:
        """The file as it is on the disk; contacts only for those who may see them."""
        config, principal = self._context.config, principal_of(request)
        file = await load_sections(self._deps)
        return FileView(
            digest=file.digest,
            in_force=file.digest == config.digest,
            writable=file.writable,
            route=file.sections.get("route", {}),
            users=[
                user if _may_see_contacts(principal, user) else _without_contacts(user)
                for user in file.sections.get("users", [])
            ],
            teams=file.sections.get("teams", []),
            schedules=file.sections.get("schedules", []),
            escalation_policies=file.sections.get("escalation_policies", []),
            receivers=[_file_receiver_view(receiver) for receiver in config.receivers.values()],
            time_intervals=list(config.time_intervals),
        )

    @operation(
        "file",
        "POST /api/v1/config/preview",
        "previewChange",
        "What a change would do",
        errors=(404,),
    )
    async def preview(self, request: Request, body: JsonBody[ConfigPreviewRequest]) -> PreviewView:
        """Preview a change; 200 also where the file would not load."""
        change = (await body.read()).change
        require_change_allowed(request, self._context.config, change)
        old = self._context.config
        proposal, difference, losses = await preview_change(self._deps, change)
        await require_result_allowed(request, old, change, proposal)
        new = proposal.loaded.config if proposal.loaded else old
        return PreviewView(
            diff=proposal.diff,
            problems=list(map(problem_view, proposal.problems)),
            warnings=list(map(problem_view, proposal.warnings)),
            writable=proposal.writable,
            digest=proposal.digest,
            changes=_difference_view(difference, old, new) if difference else None,
            incidents=[
                IncidentLossView(
                    id=loss.id,
                    number=loss.number,
                    title=loss.title,
                    lost=[in_english(one) for one in loss.lost],
                )
                for loss in losses
            ],
        )

    @operation(
        "file",
        "POST /api/v1/config/apply",
        "applyChange",
        "Write a change into the file",
        errors=(404, 409),
    )
    async def apply(self, request: Request, body: JsonBody[ConfigApplyRequest]) -> AppliedView:
        given = await body.read()
        require_change_allowed(request, self._context.config, given.change)
        proposal = await apply_change(self._deps, request, given.change, given.digest)
        return AppliedView(
            digest=file_digest(proposal.text.encode()),
            warnings=list(map(problem_view, proposal.warnings)),
        )


def _file_receiver_view(receiver: Receiver) -> FileReceiverView:
    return FileReceiverView(
        name=receiver.name,
        escalation_policies=[
            one.settings.escalation_policy for one in receiver.integrations if one.kind == "oncall"
        ],
    )


def _may_see_contacts(principal: Principal, user: FileEntry) -> bool:
    itself = bool(principal.user) and principal.user == user.get("name")
    return itself or principal.role == "admin"


def _without_contacts(user: FileEntry) -> FileEntry:
    return {key: value for key, value in user.items() if key != "contacts"}


def _difference_view(difference: ConfigDifference, old: Config, new: Config) -> DifferenceView:
    return DifferenceView(
        shifts=[
            ShiftChangeView(
                schedule=change.schedule,
                start=rfc3339(change.start.timestamp()),
                end=rfc3339(change.end.timestamp()),
                before=change.before,
                after=change.after,
            )
            for change in difference.shifts
        ],
        hours={
            user: HoursChangeView(before=round(before, 2), after=round(after, 2))
            for user, (before, after) in difference.hours.items()
        },
        policies=[_policy_change_view(change, old, new) for change in difference.policies],
    )


def _policy_change_view(change: PolicyChange, old: Config, new: Config) -> PolicyChangeView:
    return PolicyChangeView(
        policy=change.name,
        before=_policy_sentences(old, change.before),
        after=_policy_sentences(new, change.after),
        examples=[
            PolicyExampleView(
                labels=dict(example.labels),
                before=_previewed_page_views(example.before),
                after=_previewed_page_views(example.after),
            )
            for example in change.examples
        ],
    )


def _policy_sentences(config: Config, policy: Policy | None) -> list[str] | None:
    if policy is None:
        return None
    steps = [describe_step(config, one) for one in policy.steps]
    return [*steps, describe_policy_end(config, policy)]


def _previewed_page_views(pages: list[tuple[float, Page]]) -> list[PreviewedPageView]:
    return [
        PreviewedPageView(
            after=seconds,
            user=page.user or None,
            receiver=page.receiver or None,
            channel=page.channel,
            policy=page.policy,
            step=page.step,
            reason=in_english(page.reason),
        )
        for seconds, page in pages
    ]
