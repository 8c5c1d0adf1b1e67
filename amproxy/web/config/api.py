"""/api/v1/config: people, schedules, policies and routes as the file has them, and changes."""

from __future__ import annotations

from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from amproxy.clock import rfc3339
from amproxy.config.structs import Config, Policy, Receiver
from amproxy.edit.change import ConfigEntryChange, file_digest
from amproxy.edit.sections import READABLE_SECTIONS
from amproxy.model import Page
from amproxy.respond.rights import Principal
from amproxy.simulation.config_diff import ConfigDifference, PolicyChange, PolicyChangeExample
from amproxy.simulation.terminal import describe_policy_end, describe_step
from amproxy.web.config.change import (
    apply_change,
    load_sections,
    preview_change,
    problem_view,
    require_change_allowed,
    require_result_allowed,
)
from amproxy.web.http.deps import Deps
from amproxy.web.http.permissions import principal_of
from amproxy.web.http.request import parse_json_body
from amproxy.web.http.response import View, json_response


class ConfigPreviewRequest(msgspec.Struct, forbid_unknown_fields=True):
    change: ConfigEntryChange


class ConfigApplyRequest(msgspec.Struct, forbid_unknown_fields=True):
    change: ConfigEntryChange
    digest: str  # of the file that the preview was made from


class ConfigApi:
    def __init__(self, deps: Deps) -> None:
        self._deps, self._context = deps, deps.context

    def routes(self) -> list[Route]:
        return [
            Route("/api/v1/config", self.show, methods=["GET"]),
            Route("/api/v1/config/preview", self.preview, methods=["POST"]),
            Route("/api/v1/config/apply", self.apply, methods=["POST"]),
        ]

    async def show(self, request: Request) -> Response:
        """The file as it is on the disk; contacts only for those who may see them."""
        config, principal = self._context.config, principal_of(request)
        file = await load_sections(self._deps)
        sections = {
            section: file.sections.get(section, {} if section == "route" else [])
            for section in READABLE_SECTIONS
        }
        sections["users"] = [
            user if _may_see_contacts(principal, user) else _without_contacts(user)
            for user in sections["users"]
        ]
        return json_response(
            {
                "digest": file.digest,
                "in_force": file.digest == config.digest,
                "writable": file.writable,
                **sections,
                "receivers": [_receiver_view(receiver) for receiver in config.receivers.values()],
                "time_intervals": list(config.time_intervals),
            }
        )

    async def preview(self, request: Request) -> Response:
        """Preview a change; 200 also where the file would not load."""
        change = (await parse_json_body(request, ConfigPreviewRequest)).change
        require_change_allowed(request, self._context.config, change)
        old = self._context.config
        proposal, difference = await preview_change(self._deps, change)
        await require_result_allowed(request, old, change, proposal)
        new = proposal.loaded.config if proposal.loaded else old
        return json_response(
            {
                "diff": proposal.diff,
                "problems": list(map(problem_view, proposal.problems)),
                "warnings": list(map(problem_view, proposal.warnings)),
                "writable": proposal.writable,
                "digest": proposal.digest,
                "changes": difference_view(difference, old, new) if difference else None,
            }
        )

    async def apply(self, request: Request) -> Response:
        body = await parse_json_body(request, ConfigApplyRequest)
        require_change_allowed(request, self._context.config, body.change)
        proposal = await apply_change(self._deps, request, body.change, body.digest)
        return json_response(
            {
                "digest": file_digest(proposal.text.encode()),
                "warnings": list(map(problem_view, proposal.warnings)),
            }
        )


def _receiver_view(receiver: Receiver) -> View:
    policies = [
        one.settings.escalation_policy for one in receiver.integrations if one.kind == "oncall"
    ]
    return {"name": receiver.name, "escalation_policies": policies}


def _may_see_contacts(principal: Principal, user: dict[str, Any]) -> bool:
    itself = bool(principal.user) and principal.user == user.get("name")
    return itself or principal.role == "admin"


def _without_contacts(user: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in user.items() if key != "contacts"}


def difference_view(difference: ConfigDifference, old: Config, new: Config) -> View:
    """The difference that a change makes, as JSON values."""
    return {
        "shifts": [
            {
                "schedule": change.schedule,
                "start": rfc3339(change.start.timestamp()),
                "end": rfc3339(change.end.timestamp()),
                "before": change.before,
                "after": change.after,
            }
            for change in difference.shifts
        ],
        "hours": {
            user: {"before": round(before, 2), "after": round(after, 2)}
            for user, (before, after) in difference.hours.items()
        },
        "policies": [_policy_view(change, old, new) for change in difference.policies],
    }


def _policy_view(change: PolicyChange, old: Config, new: Config) -> View:
    return {
        "policy": change.name,
        "before": _policy_sentences(old, change.before),
        "after": _policy_sentences(new, change.after),
        "examples": [_example_view(example) for example in change.examples],
    }


def _policy_sentences(config: Config, policy: Policy | None) -> list[str] | None:
    if policy is None:
        return None
    steps = [describe_step(config, one) for one in policy.steps]
    return [*steps, describe_policy_end(config, policy)]


def _example_view(example: PolicyChangeExample) -> View:
    return {
        "labels": example.labels,
        "before": _pages_view(example.before),
        "after": _pages_view(example.after),
    }


def _pages_view(pages: list[tuple[float, Page]]) -> list[View]:
    return [
        {
            "after": seconds,
            "user": page.user or None,
            "receiver": page.receiver or None,
            "channel": page.channel,
            "policy": page.policy,
            "step": page.step,
            "reason": page.reason,
        }
        for seconds, page in pages
    ]
