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

KINDS: Final = (  # of steps, in the order in which they are offered
    *("schedule", "next", "users", "team", "receiver", "wait", "wait_until", "wait_for_alerts", "webhook", "forward", "resolve"),
)
WAITS: Final = ("wait", "wait_until", "wait_for_alerts")
MOST_STEPS: Final = 50
_CONDITIONS: Final = ("matchers", "active_time_intervals", "mute_time_intervals")
_DURATIONS: Final = ("acknowledge_timeout", "acknowledge_reminder", "auto_resolve", "reopen_within")


class Step(msgspec.Struct, frozen=True, kw_only=True):
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


class Draft(msgspec.Struct, frozen=True, kw_only=True):
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
    steps: tuple[Step, ...] = ()


TEXTS: Final = tuple(name for name in Draft.__struct_fields__ if name != "steps")


# ------------------------------------------------------------------------------------------------------- from a form


def from_fields(fields: Mapping[str, Sequence[str]]) -> Draft:
    """The fields of a form, as `step.html` names them: those of step 3 begin with `s3-`."""

    def one(name: str) -> str:
        return fields.get(name, [""])[-1].strip()

    def many(name: str) -> tuple[str, ...]:
        return tuple(dict.fromkeys(fields.get(name, ())))

    steps = []
    for number in range(MOST_STEPS):
        at = f"s{number}-"
        if f"{at}kind" not in fields:
            break
        kind = one(f"{at}kind")
        steps.append(
            Step(
                kind=kind if kind in KINDS else KINDS[0], target=one(f"{at}target"), users=many(f"{at}users"),
                turns=one(f"{at}turns") == "1", important=one(f"{at}important") == "1", length=one(f"{at}length"), count=one(f"{at}count"),
                matchers="\n".join(line.strip() for line in one(f"{at}matchers").splitlines() if line.strip()),
                only_in=many(f"{at}only"), not_in=many(f"{at}not"), if_nobody=one(f"{at}nobody"),
            )
        )  # fmt: skip
    return Draft(**{name: one(name) for name in TEXTS}, steps=tuple(steps))


def moved(draft: Draft, do: str) -> Draft:
    """The draft after one of the buttons: `add KIND`, `up N`, `down N`, `delete N`; anything else changes nothing."""
    action, _, what = do.partition(" ")
    steps = list(draft.steps)
    if action == "add":
        if what in KINDS and len(steps) < MOST_STEPS:
            steps.append(Step(kind=what, length="5m" if what == "wait" else ""))
    elif what.isascii() and what.isdigit() and int(what) < len(steps):
        place = int(what)
        if action == "delete":
            del steps[place]
        elif action in ("up", "down"):
            other = max(0, min(len(steps) - 1, place + (1 if action == "down" else -1)))
            steps[place], steps[other] = steps[other], steps[place]
    return msgspec.structs.replace(draft, steps=tuple(steps))


# ---------------------------------------------------------------------------------------------------- from the file


def from_words(entry: Mapping[str, Any]) -> Draft:
    """A policy as the file has it."""
    repeat, flapping, storm = (entry.get(key) for key in ("repeat", "flapping", "storm"))
    flapping, storm = flapping or {}, storm or {}
    return Draft(
        name=_text(entry.get("name")),
        team=_text(entry.get("team")),
        repeat=_text(repeat.get("times") if isinstance(repeat, dict) else repeat),
        repeat_from=_text(repeat.get("from") if isinstance(repeat, dict) else None),
        if_nobody=_nobody(entry.get("if_nobody")),
        after_snooze=_text(entry.get("after_snooze")),
        **{key: _text(entry.get(key)) for key in _DURATIONS},
        flapping_more=_text(flapping.get("more_than")),
        flapping_within=_text(flapping.get("within")),
        flapping_hold=_text(flapping.get("hold")),
        storm_more=_text(storm.get("more_than")),
        storm_within=_text(storm.get("within")),
        steps=tuple(_step(step) for step in entry.get("steps") or ()),
    )


def _text(value: Any) -> str:
    return "" if value is None else str(value)


def _nobody(value: Any) -> str:
    return f"user {value.get('user')}" if isinstance(value, dict) else _text(value)


def _step(step: Mapping[str, Any]) -> Step:
    condition: dict[str, Any] = {
        "matchers": "\n".join(map(_text, step.get("matchers") or ())),
        "only_in": tuple(map(_text, step.get("active_time_intervals") or ())),
        "not_in": tuple(map(_text, step.get("mute_time_intervals") or ())),
        "if_nobody": _nobody(step.get("if_nobody")),
    }
    if alerts := step.get("wait_for_alerts"):
        return Step(kind="wait_for_alerts", count=_text(alerts.get("more_than")), length=_text(alerts.get("within")))
    if "wait" in step:
        return Step(kind="wait", length=_text(step["wait"]))
    for kind in ("wait_until", "webhook", "forward"):
        if kind in step:
            return Step(kind=kind, target=_text(step[kind]), **condition)
    if "resolve" in step:
        return Step(kind="resolve", **condition)
    whom = step.get("notify") or {}
    key = next((key for key in ("users", "team", "receiver") if key in whom), "schedule")
    kind = "next" if key == "schedule" and whom.get("position") == "next" else key
    return Step(
        kind=kind, target="" if key == "users" else _text(whom.get(key)), users=tuple(map(_text, whom.get("users") or ())),
        turns=whom.get("pick") == "round_robin", important=whom.get("urgency") == "important", **condition,
    )  # fmt: skip


# ------------------------------------------------------------------------------------------------------ to the file


def changes(draft: Draft, entry: Mapping[str, Any]) -> dict[str, Any]:
    """What to set so that `entry`, as the file has it, says what the draft does: only keys that say something else."""
    before, after = _words(from_words(entry)), _words(draft)
    found = {key: after.get(key) for key in dict.fromkeys([*after, *before]) if after.get(key) != before.get(key)}
    old = [(_step(step), step) for step in entry.get("steps") or ()]
    if [step for step, _ in old] != list(draft.steps):
        found["steps"] = [_kept(step, old) for step in draft.steps]
    return found


def _kept(step: Step, old: list[tuple[Step, Mapping[str, Any]]]) -> Mapping[str, Any]:
    """A step in the words that it has in the file already, else in new ones."""
    return next((words for known, words in old if known == step), None) or _step_words(step)


def _words(draft: Draft) -> dict[str, Any]:
    """All keys but the steps."""
    times = _number(draft.repeat)
    found: dict[str, Any] = {
        "name": draft.name,
        "team": draft.team,
        "repeat": {"times": times, "from": _number(draft.repeat_from)} if draft.repeat_from not in ("", "1") else times,
        "if_nobody": _nobody_words(draft.if_nobody),
        "after_snooze": draft.after_snooze,
        **{key: getattr(draft, key) for key in _DURATIONS},
        "flapping": _filled(more_than=_number(draft.flapping_more), within=draft.flapping_within, hold=draft.flapping_hold),
        "storm": _filled(more_than=_number(draft.storm_more), within=draft.storm_within),
    }
    return {key: value for key, value in found.items() if value not in ("", None, {})}


def _number(text: str) -> int | str:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else text


def _filled(**values: Any) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value != ""}


def _nobody_words(text: str) -> Any:
    kind, _, user = text.partition(" ")
    return {"user": user} if kind == "user" else text


def _step_words(step: Step) -> dict[str, Any]:
    match step.kind:
        case "wait":
            return {"wait": step.length}
        case "wait_until":
            return {"wait_until": step.target}
        case "wait_for_alerts":
            return {"wait_for_alerts": {"more_than": _number(step.count), "within": step.length}}
        case "webhook" | "forward":
            deed: dict[str, Any] = {step.kind: step.target}
        case "resolve":
            deed = {"resolve": True}
        case _:
            deed = {"notify": _whom(step)}
            if step.if_nobody:
                deed["if_nobody"] = _nobody_words(step.if_nobody)
    conditions = dict(
        zip(_CONDITIONS, (step.matchers.split("\n") if step.matchers else [], list(step.only_in), list(step.not_in)), strict=True)
    )
    return {**deed, **{key: value for key, value in conditions.items() if value}}


def _whom(step: Step) -> dict[str, Any]:
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
