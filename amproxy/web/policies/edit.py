"""A policy while somebody edits it: between the file's words and the fields of a form. Pure.

What is not changed in the form keeps the words of the file, however these are written.

/change/policy: a policy as a form, a row for each step. Every button is a submit, so that it works without scripts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

import msgspec
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from amproxy.edit.change import ConfigEntryChange
from amproxy.edit.sections import read_file_sections
from amproxy.errors import NotFound, Uneditable
from amproxy.web.config.change import preview_change, require_change_allowed
from amproxy.web.config.page import SourceForm, render_preview
from amproxy.web.http.deps import Deps
from amproxy.web.http.errors import describe_error
from amproxy.web.http.permissions import Forbidden
from amproxy.web.http.request import parse_form_lists
from amproxy.web.http.templates import PageTemplates

STEP_KINDS: Final = (  # of steps, in the order in which they are offered
    *("schedule", "next", "users", "team", "receiver", "wait", "wait_until", "wait_for_alerts", "webhook", "forward", "resolve"),
)
WAIT_KINDS: Final = ("wait", "wait_until", "wait_for_alerts")
MAX_STEPS: Final = 50
_CONDITIONS: Final = ("matchers", "active_time_intervals", "mute_time_intervals")
_DURATIONS: Final = ("acknowledge_timeout", "acknowledge_reminder", "auto_resolve", "reopen_within")


class StepDraft(msgspec.Struct, frozen=True, kw_only=True):
    """The fields of one step; those that its kind has no use for are empty."""

    kind: str = "schedule"
    target: str = ""  # schedule, team, receiver, policy or time interval
    users: tuple[str, ...] = ()
    turns: bool = False  # one person in turn
    important: bool = False
    length: str = ""
    count: str = ""
    matchers: str = ""  # one a line
    only_in: tuple[str, ...] = ()
    not_in: tuple[str, ...] = ()
    if_nobody: str = ""  # "", "next_step", "wait_for_shift", "user NAME"

    @property
    def conditional(self) -> bool:
        return bool(self.matchers or self.only_in or self.not_in or self.important or self.if_nobody)


class PolicyDraft(msgspec.Struct, frozen=True, kw_only=True):
    """The fields of a policy."""

    name: str = ""
    team: str = ""
    repeat: str = ""
    repeat_from: str = ""
    if_nobody: str = ""
    acknowledge_timeout: str = ""
    acknowledge_reminder: str = ""
    after_snooze: str = ""
    auto_resolve: str = ""
    reopen_within: str = ""
    flapping_more: str = ""
    flapping_within: str = ""
    flapping_hold: str = ""
    storm_more: str = ""
    storm_within: str = ""
    steps: tuple[StepDraft, ...] = ()


TEXT_FIELDS: Final = tuple(name for name in PolicyDraft.__struct_fields__ if name != "steps")


# ------------------------------------------------------------------------------------------------------- from a form


def draft_from_form(fields: Mapping[str, Sequence[str]]) -> PolicyDraft:
    """The fields of a form, as `step.html` names them: those of step 3 begin with `s3-`."""

    def one(name: str) -> str:
        return fields.get(name, [""])[-1].strip()

    def many(name: str) -> tuple[str, ...]:
        return tuple(dict.fromkeys(fields.get(name, ())))

    steps = []
    for number in range(MAX_STEPS):
        at = f"s{number}-"
        if f"{at}kind" not in fields:
            break
        kind = one(f"{at}kind")
        steps.append(
            StepDraft(
                kind=kind if kind in STEP_KINDS else STEP_KINDS[0], target=one(f"{at}target"), users=many(f"{at}users"),
                turns=one(f"{at}turns") == "1", important=one(f"{at}important") == "1", length=one(f"{at}length"), count=one(f"{at}count"),
                matchers="\n".join(line.strip() for line in one(f"{at}matchers").splitlines() if line.strip()),
                only_in=many(f"{at}only"), not_in=many(f"{at}not"), if_nobody=one(f"{at}nobody"),
            )
        )  # fmt: skip
    return PolicyDraft(**{name: one(name) for name in TEXT_FIELDS}, steps=tuple(steps))


def apply_button(draft: PolicyDraft, do: str) -> PolicyDraft:
    """The draft after one of the buttons: `add KIND`, `up N`, `down N`, `delete N`; anything else changes nothing."""
    action, _, what = do.partition(" ")
    steps = list(draft.steps)
    if action == "add":
        if what in STEP_KINDS and len(steps) < MAX_STEPS:
            steps.append(StepDraft(kind=what, length="5m" if what == "wait" else ""))
    elif what.isascii() and what.isdigit() and int(what) < len(steps):
        place = int(what)
        if action == "delete":
            del steps[place]
        elif action in ("up", "down"):
            other = max(0, min(len(steps) - 1, place + (1 if action == "down" else -1)))
            steps[place], steps[other] = steps[other], steps[place]
    return msgspec.structs.replace(draft, steps=tuple(steps))


# ---------------------------------------------------------------------------------------------------- from the file


def draft_from_file(entry: Mapping[str, Any]) -> PolicyDraft:
    """A policy as the file has it."""
    repeat, flapping, storm = (entry.get(key) for key in ("repeat", "flapping", "storm"))
    flapping, storm = flapping or {}, storm or {}
    return PolicyDraft(
        name=_as_text(entry.get("name")),
        team=_as_text(entry.get("team")),
        repeat=_as_text(repeat.get("times") if isinstance(repeat, dict) else repeat),
        repeat_from=_as_text(repeat.get("from") if isinstance(repeat, dict) else None),
        if_nobody=_if_nobody_field(entry.get("if_nobody")),
        after_snooze=_as_text(entry.get("after_snooze")),
        **{key: _as_text(entry.get(key)) for key in _DURATIONS},
        flapping_more=_as_text(flapping.get("more_than")),
        flapping_within=_as_text(flapping.get("within")),
        flapping_hold=_as_text(flapping.get("hold")),
        storm_more=_as_text(storm.get("more_than")),
        storm_within=_as_text(storm.get("within")),
        steps=tuple(_step_from_file(step) for step in entry.get("steps") or ()),
    )


def _as_text(value: Any) -> str:
    return "" if value is None else str(value)


def _if_nobody_field(value: Any) -> str:
    return f"user {value.get('user')}" if isinstance(value, dict) else _as_text(value)


def _step_from_file(step: Mapping[str, Any]) -> StepDraft:
    condition: dict[str, Any] = {
        "matchers": "\n".join(map(_as_text, step.get("matchers") or ())),
        "only_in": tuple(map(_as_text, step.get("active_time_intervals") or ())),
        "not_in": tuple(map(_as_text, step.get("mute_time_intervals") or ())),
        "if_nobody": _if_nobody_field(step.get("if_nobody")),
    }
    if alerts := step.get("wait_for_alerts"):
        return StepDraft(kind="wait_for_alerts", count=_as_text(alerts.get("more_than")), length=_as_text(alerts.get("within")))
    if "wait" in step:
        return StepDraft(kind="wait", length=_as_text(step["wait"]))
    for kind in ("wait_until", "webhook", "forward"):
        if kind in step:
            return StepDraft(kind=kind, target=_as_text(step[kind]), **condition)
    if "resolve" in step:
        return StepDraft(kind="resolve", **condition)
    whom = step.get("notify") or {}
    key = next((key for key in ("users", "team", "receiver") if key in whom), "schedule")
    kind = "next" if key == "schedule" and whom.get("position") == "next" else key
    return StepDraft(
        kind=kind, target="" if key == "users" else _as_text(whom.get(key)), users=tuple(map(_as_text, whom.get("users") or ())),
        turns=whom.get("pick") == "round_robin", important=whom.get("urgency") == "important", **condition,
    )  # fmt: skip


# ------------------------------------------------------------------------------------------------------ to the file


def changed_keys(draft: PolicyDraft, entry: Mapping[str, Any]) -> dict[str, Any]:
    """What to set so that `entry`, as the file has it, says what the draft does: only keys that say something else."""
    before, after = _policy_keys(draft_from_file(entry)), _policy_keys(draft)
    found = {key: after.get(key) for key in dict.fromkeys([*after, *before]) if after.get(key) != before.get(key)}
    old = [(_step_from_file(step), step) for step in entry.get("steps") or ()]
    if [step for step, _ in old] != list(draft.steps):
        found["steps"] = [_step_to_file(step, old) for step in draft.steps]
    return found


def _step_to_file(step: StepDraft, old: list[tuple[StepDraft, Mapping[str, Any]]]) -> Mapping[str, Any]:
    """A step in the words that it has in the file already, else in new ones."""
    return next((words for known, words in old if known == step), None) or _new_step_to_file(step)


def _policy_keys(draft: PolicyDraft) -> dict[str, Any]:
    """All keys but the steps."""
    times = _as_number(draft.repeat)
    found: dict[str, Any] = {
        "name": draft.name,
        "team": draft.team,
        "repeat": {"times": times, "from": _as_number(draft.repeat_from)} if draft.repeat_from not in ("", "1") else times,
        "if_nobody": _if_nobody_to_file(draft.if_nobody),
        "after_snooze": draft.after_snooze,
        **{key: getattr(draft, key) for key in _DURATIONS},
        "flapping": _without_empty(more_than=_as_number(draft.flapping_more), within=draft.flapping_within, hold=draft.flapping_hold),
        "storm": _without_empty(more_than=_as_number(draft.storm_more), within=draft.storm_within),
    }
    return {key: value for key, value in found.items() if value not in ("", None, {})}


def _as_number(text: str) -> int | str:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else text


def _without_empty(**values: Any) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value != ""}


def _if_nobody_to_file(text: str) -> Any:
    kind, _, user = text.partition(" ")
    return {"user": user} if kind == "user" else text


def _new_step_to_file(step: StepDraft) -> dict[str, Any]:
    match step.kind:
        case "wait":
            return {"wait": step.length}
        case "wait_until":
            return {"wait_until": step.target}
        case "wait_for_alerts":
            return {"wait_for_alerts": {"more_than": _as_number(step.count), "within": step.length}}
        case "webhook" | "forward":
            deed: dict[str, Any] = {step.kind: step.target}
        case "resolve":
            deed = {"resolve": True}
        case _:
            deed = {"notify": _recipient_keys(step)}
            if step.if_nobody:
                deed["if_nobody"] = _if_nobody_to_file(step.if_nobody)
    conditions = dict(
        zip(_CONDITIONS, (step.matchers.split("\n") if step.matchers else [], list(step.only_in), list(step.not_in)), strict=True)
    )
    return {**deed, **{key: value for key, value in conditions.items() if value}}


def _recipient_keys(step: StepDraft) -> dict[str, Any]:
    more: dict[str, Any] = {"pick": "round_robin"} if step.turns and step.kind in ("users", "team") else {}
    if step.important and step.kind != "receiver":
        more["urgency"] = "important"
    match step.kind:
        case "users":
            return {"users": list(step.users), **more}
        case "team" | "receiver":
            return {step.kind: step.target, **more}
        case "next":
            return {"schedule": step.target, "position": "next", **more}
        case _:
            return {"schedule": step.target, **more}


_PATH = "/change/policy"
_NEW_POLICY = PolicyDraft(steps=(StepDraft(kind="schedule"), StepDraft(kind="wait", length="5m")))


class PolicyEditPage:
    def __init__(self, deps: Deps, looks: PageTemplates) -> None:
        self._deps, self._context, self._looks = deps, deps.context, looks

    def routes(self) -> list[Route]:
        return [Route(_PATH, self.show, methods=["GET"]), Route(_PATH, self.act, methods=["POST"])]

    async def show(self, request: Request) -> Response:
        """The policy that `name` of the query names, else an empty one. Who may not change it is led to where it can be read."""
        name = request.query_params.get("name", "")
        try:
            require_change_allowed(request, self._context.config, ConfigEntryChange(section="escalation_policies", name=name))
        except Forbidden:
            return RedirectResponse(f"/policies/{quote(name, safe='')}" if name else "/policies", 303)
        entry = await self._entry(name)
        return await self._draw(request, name, draft_from_file(entry) if name else _NEW_POLICY)

    async def act(self, request: Request) -> Response:
        """One of the buttons: a step is added, moved or deleted, or the change is shown."""
        fields = await parse_form_lists(request)
        name, do = fields.get("policy", [""])[-1], fields.get("do", [""])[-1]
        draft = apply_button(draft_from_form(fields), do)
        if do not in ("preview", "remove"):
            require_change_allowed(request, self._context.config, ConfigEntryChange(section="escalation_policies", name=name))
            return await self._draw(request, name, draft)
        try:
            entry = await self._entry(name)
            change = ConfigEntryChange(
                section="escalation_policies", name=name, set={} if do == "remove" else changed_keys(draft, entry), delete=do == "remove"
            )
            require_change_allowed(request, self._context.config, change)
            found = await preview_change(self._deps, change)
        except Uneditable as error:
            return await self._draw(request, name, draft, [describe_error(error).detail])
        if found.proposal.problems:
            return await self._draw(request, name, draft, [problem.message for problem in found.proposal.problems])
        source = SourceForm(_PATH, {key: values for key, values in fields.items() if key != "do"})
        return await render_preview(request, self._looks, change, found, source=source)

    async def _entry(self, name: str) -> Mapping[str, Any]:
        """The policy as the file on the disk has it; {} for a new one. Raises NotFound, Uneditable."""
        if not name:
            return {}
        entry = (await asyncio.to_thread(read_file_sections, self._context.config.path)).entry("escalation_policies", name)
        if entry is None:
            raise NotFound(f"the file has no policy {name[:60]}")
        return entry

    async def _draw(self, request: Request, name: str, draft: PolicyDraft, problems: Sequence[str] = ()) -> HTMLResponse:
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
            request, "policy_edit.html", 422 if problems else 200, name=name, draft=draft, problems=problems, kinds=STEP_KINDS, waits=WAIT_KINDS,
            targets=targets, teams=list(config.teams), intervals=list(config.time_intervals), full=len(draft.steps) >= MAX_STEPS,
        )  # fmt: skip
