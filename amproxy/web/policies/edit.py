"""/change/policy: a policy as a form, a row for each step.

Every button is a submit, so that it works without scripts. What the form does not change keeps
its spelling in the file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

import msgspec
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from amproxy.edit.change import ConfigEntryChange
from amproxy.errors import ConfigProblem, NotFound, Uneditable
from amproxy.text import Phrase
from amproxy.web.config.change import load_sections, preview_change, require_change_allowed
from amproxy.web.config.page import SourceForm, render_preview
from amproxy.web.http.deps import Deps
from amproxy.web.http.permissions import Forbidden, may, principal_of
from amproxy.web.http.request import parse_form_lists
from amproxy.web.http.response import describe_error
from amproxy.web.http.templates import PageTemplates

_NOTIFY_KINDS: Final = ("schedule", "next", "users", "team", "receiver")
WAIT_KINDS: Final = ("wait", "wait_until", "wait_for_alerts")
STEP_KINDS: Final = (*_NOTIFY_KINDS, *WAIT_KINDS, "webhook", "forward", "resolve")  # as offered
MAX_STEPS: Final = 50
_PATH: Final = "/change/policy"
_DURATIONS: Final = ("acknowledge_timeout", "acknowledge_reminder", "auto_resolve", "reopen_within")


class StepDraft(msgspec.Struct, frozen=True, kw_only=True):
    """The fields of one step; those that its kind does not use are empty."""

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
        return bool(
            self.matchers or self.only_in or self.not_in or self.important or self.if_nobody
        )


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
    reopen_on: str = ""
    reopen_matchers: str = ""  # one a line; they count where reopen_on is "matchers"
    flapping_more: str = ""
    flapping_within: str = ""
    flapping_hold: str = ""
    storm: str = ""  # "off" = every page is a message; "" = by the two fields below
    storm_more: str = ""
    storm_within: str = ""
    steps: tuple[StepDraft, ...] = ()


TEXT_FIELDS: Final = tuple(name for name in PolicyDraft.__struct_fields__ if name != "steps")
_NEW_POLICY: Final = PolicyDraft(steps=(StepDraft(), StepDraft(kind="wait", length="5m")))


class PolicyEditPage:
    def __init__(self, deps: Deps, templates: PageTemplates) -> None:
        self._deps, self._context, self._templates = deps, deps.context, templates

    def routes(self) -> list[Route]:
        return [
            Route(_PATH, self.show, methods=["GET"]),
            Route(_PATH, self.submit, methods=["POST"]),
        ]

    async def show(self, request: Request) -> Response:
        """The policy of the query's `name`, else an empty one.

        Readers who may not change it are led to the page that shows it.
        """
        name = request.query_params.get("name", "")
        try:
            self._require_allowed(request, name)
        except Forbidden:
            page = f"/policies/{quote(name, safe='')}" if name else "/policies"
            return RedirectResponse(page, 303)
        entry = await self._load_entry(name)
        return await self._render(request, name, draft_from_file(entry) if name else _NEW_POLICY)

    async def submit(self, request: Request) -> Response:
        """A button: a step is added, moved or deleted, or the change is shown."""
        fields = await parse_form_lists(request)
        name, command = fields.get("policy", [""])[-1], fields.get("do", [""])[-1]
        draft = apply_button(draft_from_form(fields), command)
        if command not in ("preview", "remove"):
            self._require_allowed(request, name)
            return await self._render(request, name, draft)
        try:
            entry = await self._load_entry(name)
            change = ConfigEntryChange(
                section="escalation_policies",
                name=name,
                set={} if command == "remove" else changed_keys(draft, entry),
                delete=command == "remove",
            )
            require_change_allowed(request, self._context.config, change)
            preview = await preview_change(self._deps, change)
        except Uneditable as error:
            return await self._render(request, name, draft, describe_error(error).phrase)
        if problems := preview.proposal.problems:
            return await self._render(request, name, draft, problems=problems)
        source = SourceForm(_PATH, {key: values for key, values in fields.items() if key != "do"})
        return await render_preview(request, self._templates, change, preview, source=source)

    def _require_allowed(self, request: Request, name: str) -> None:
        """Raises Forbidden."""
        change = ConfigEntryChange(section="escalation_policies", name=name)
        require_change_allowed(request, self._context.config, change)

    async def _load_entry(self, name: str) -> Mapping[str, Any]:
        """The policy of the file on the disk; {} for a new one. Raises NotFound, Uneditable."""
        if not name:
            return {}
        file = await load_sections(self._deps)
        entry = file.entry("escalation_policies", name)
        if entry is None:
            raise NotFound(Phrase("refusal.no_policy_in_file", {"policy": name[:60]}))
        return entry

    async def _render(
        self,
        request: Request,
        name: str,
        draft: PolicyDraft,
        problem: Phrase | None = None,
        problems: Sequence[ConfigProblem] = (),
    ) -> HTMLResponse:
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
        return await self._templates.page(
            request,
            "policy_edit.html",
            422 if problem or problems else 200,
            name=name,
            draft=draft,
            problem=problem,
            problems=problems,
            kinds=STEP_KINDS,
            waits=WAIT_KINDS,
            targets=targets,
            teams=[team for team in config.teams if may(principal_of(request), "responder", team)],
            intervals=list(config.time_intervals),
            full=len(draft.steps) >= MAX_STEPS,
        )


def draft_from_form(fields: Mapping[str, Sequence[str]]) -> PolicyDraft:
    """The draft of a submitted form, as policy_edit.html names its fields.

    Those of the third step begin with `s2-`.
    """
    steps = []
    for number in range(MAX_STEPS):
        if f"s{number}-kind" not in fields:
            break
        steps.append(_step_from_form(fields, f"s{number}-"))
    texts = {name: _last_value(fields, name) for name in TEXT_FIELDS}
    return PolicyDraft(**texts, steps=tuple(steps))


def apply_button(draft: PolicyDraft, command: str) -> PolicyDraft:
    """The draft after a button: `add KIND`, `up N`, `down N`, `delete N`, with N from 0.

    Any other command changes nothing.
    """
    action, _, operand = command.partition(" ")
    steps = list(draft.steps)
    if action == "add":
        if operand in STEP_KINDS and len(steps) < MAX_STEPS:
            steps.append(StepDraft(kind=operand, length="5m" if operand == "wait" else ""))
    elif operand.isascii() and operand.isdigit() and int(operand) < len(steps):
        place = int(operand)
        if action == "delete":
            del steps[place]
        elif action in ("up", "down"):
            other = max(0, min(len(steps) - 1, place + (1 if action == "down" else -1)))
            steps[place], steps[other] = steps[other], steps[place]
    return msgspec.structs.replace(draft, steps=tuple(steps))


def _step_from_form(fields: Mapping[str, Sequence[str]], prefix: str) -> StepDraft:
    def one(name: str) -> str:
        return _last_value(fields, prefix + name)

    def many(name: str) -> tuple[str, ...]:
        return tuple(dict.fromkeys(fields.get(prefix + name, ())))

    kind, matchers = one("kind"), (line.strip() for line in one("matchers").splitlines())
    return StepDraft(
        kind=kind if kind in STEP_KINDS else STEP_KINDS[0],
        target=one("target"),
        users=many("users"),
        turns=one("turns") == "1",
        important=one("important") == "1",
        length=one("length"),
        count=one("count"),
        matchers="\n".join(filter(None, matchers)),
        only_in=many("only"),
        not_in=many("not"),
        if_nobody=one("nobody"),
    )


def _last_value(fields: Mapping[str, Sequence[str]], name: str) -> str:
    return fields.get(name, [""])[-1].strip()


def draft_from_file(entry: Mapping[str, Any]) -> PolicyDraft:
    """A policy as the file has it."""
    repeat, flapping, storm = (entry.get(key) for key in ("repeat", "flapping", "storm"))
    reopen_on = entry.get("reopen_on")
    selects = reopen_on if isinstance(reopen_on, list | tuple) else []
    off, flapping = storm == "off", flapping or {}
    storm = {} if off else storm or {}
    return PolicyDraft(
        name=_as_text(entry.get("name")),
        team=_as_text(entry.get("team")),
        repeat=_as_text(repeat.get("times") if isinstance(repeat, dict) else repeat),
        repeat_from=_as_text(repeat.get("from") if isinstance(repeat, dict) else None),
        if_nobody=_if_nobody_field(entry.get("if_nobody")),
        after_snooze=_as_text(entry.get("after_snooze")),
        **{key: _as_text(entry.get(key)) for key in _DURATIONS},
        reopen_on="matchers" if selects else _as_text(reopen_on or None),
        reopen_matchers="\n".join(map(_as_text, selects)),
        flapping_more=_as_text(flapping.get("more_than")),
        flapping_within=_as_text(flapping.get("within")),
        flapping_hold=_as_text(flapping.get("hold")),
        storm="off" if off else "",
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
        return StepDraft(
            kind="wait_for_alerts",
            count=_as_text(alerts.get("more_than")),
            length=_as_text(alerts.get("within")),
        )
    if "wait" in step:
        return StepDraft(kind="wait", length=_as_text(step["wait"]))
    for kind in ("wait_until", "webhook", "forward"):
        if kind in step:
            return StepDraft(kind=kind, target=_as_text(step[kind]), **condition)
    if "resolve" in step:
        return StepDraft(kind="resolve", **condition)
    notify = step.get("notify") or {}
    key = next((key for key in ("users", "team", "receiver") if key in notify), "schedule")
    kind = "next" if key == "schedule" and notify.get("position") == "next" else key
    return StepDraft(
        kind=kind,
        target="" if key == "users" else _as_text(notify.get(key)),
        users=tuple(map(_as_text, notify.get("users") or ())),
        turns=notify.get("pick") == "round_robin",
        important=notify.get("urgency") == "important",
        **condition,
    )


def changed_keys(draft: PolicyDraft, entry: Mapping[str, Any]) -> dict[str, Any]:
    """The keys to set so that `entry`, as the file has it, means what the draft does.

    None takes a key away. A value that means the same is left out, however the file spells it.
    """
    before, after = _policy_keys(draft_from_file(entry)), _policy_keys(draft)
    keys = dict.fromkeys([*after, *before])
    changed = {key: after.get(key) for key in keys if after.get(key) != before.get(key)}
    old = [(_step_from_file(step), step) for step in entry.get("steps") or ()]
    if [step for step, _ in old] != list(draft.steps):
        changed["steps"] = [_step_to_file(step, old) for step in draft.steps]
    return changed


def _step_to_file(
    step: StepDraft, old: list[tuple[StepDraft, Mapping[str, Any]]]
) -> Mapping[str, Any]:
    """A step as the file spells it already, else anew."""
    return next((entry for known, entry in old if known == step), None) or _new_step_to_file(step)


def _policy_keys(draft: PolicyDraft) -> dict[str, Any]:
    """All keys but the steps."""
    repeat: Any = _as_number(draft.repeat)
    if draft.repeat_from not in ("", "1"):
        repeat = {"times": repeat, "from": _as_number(draft.repeat_from)}
    keys: dict[str, Any] = {
        "name": draft.name,
        "team": draft.team,
        "repeat": repeat,
        "if_nobody": _if_nobody_to_file(draft.if_nobody),
        "after_snooze": draft.after_snooze,
        **{key: getattr(draft, key) for key in _DURATIONS},
        "reopen_on": draft.reopen_on
        if draft.reopen_on != "matchers"
        else [line.strip() for line in draft.reopen_matchers.splitlines() if line.strip()],
        "flapping": _without_empty(
            more_than=_as_number(draft.flapping_more),
            within=draft.flapping_within,
            hold=draft.flapping_hold,
        ),
        "storm": draft.storm
        or _without_empty(more_than=_as_number(draft.storm_more), within=draft.storm_within),
    }
    return {key: value for key, value in keys.items() if value not in ("", None, {})}


def _as_number(text: str) -> int | str:
    """A number where the text is one; anything else is for the loader of the file to refuse."""
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
            action: dict[str, Any] = {step.kind: step.target}
        case "resolve":
            action = {"resolve": True}
        case _:
            action = {"notify": _recipient_keys(step)}
            if step.if_nobody:
                action["if_nobody"] = _if_nobody_to_file(step.if_nobody)
    conditions = {
        "matchers": step.matchers.split("\n") if step.matchers else [],
        "active_time_intervals": list(step.only_in),
        "mute_time_intervals": list(step.not_in),
    }
    return {**action, **{key: value for key, value in conditions.items() if value}}


def _recipient_keys(step: StepDraft) -> dict[str, Any]:
    more: dict[str, Any] = {}
    if step.turns and step.kind in ("users", "team"):
        more["pick"] = "round_robin"
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
