"""Merge one incident into another: two changes, one commit.

The button "Acknowledge all" of a message about many incidents.

A human answer becomes an event: the one way in for buttons, commands, links, pages and the API.

One action on many incidents: each by itself, so that one that forbids it does not keep the others from it.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections import Counter
from collections.abc import Iterable
from typing import Literal, NamedTuple, get_args

import msgspec

from amproxy.apply import APPLY_TRIES, after_commit, apply_event
from amproxy.config.structs import Urgency
from amproxy.context import Context
from amproxy.errors import Conflict, NotFound, StoreUnavailable
from amproxy.machine import responders, transition
from amproxy.machine.events import (
    Absorb,
    Acknowledge,
    Act,
    AddResponders,
    Escalate,
    Merge,
    Note,
    Reassign,
    Reopen,
    Resolve,
    Snooze,
    Unacknowledge,
)
from amproxy.model import Incident
from amproxy.notify.message import Press
from amproxy.respond.targets import BadAction, PageTarget, people_step_for_target, step_for_target
from amproxy.store import audit, incidents, storms
from amproxy.store.audit import AuditEntry
from amproxy.store.commit import commit

_INCIDENT_NUMBER = re.compile(r"#?(\d{1,9})", re.ASCII)  # an id is longer


async def resolve_incident_id(context: Context, text: str) -> str:
    """The id of the incident that somebody means by its number ("12", "#12"), which must be open, or by its id.

    Raises BadAction, StoreUnavailable.
    """
    found = _INCIDENT_NUMBER.fullmatch(text.strip())
    if found is None:
        return text.strip()
    incident = await incidents.find_by_number(context.wire, int(found[1]), incidents.OPEN_STATES)
    if incident is None:
        raise BadAction(f"there is no open incident #{found[1]}")
    return incident.id


async def merge_incident(context: Context, incident_id: str, into: str, *, user: str, via: str) -> Incident:
    """End an incident as part of another; returns it.

    Raises NotFound, Conflict (one of them is over, or they are the same), BadAction (there is no other), StoreUnavailable.
    """
    if not into:
        raise BadAction("into is needed: the id of the incident that takes this one in")
    for _ in range(APPLY_TRIES):
        one = await incidents.load(context.wire, incident_id)
        try:
            other, turns = await incidents.load_with_turns(context.wire, into)
        except NotFound:
            raise BadAction(f"there is no incident {into[:60]!r} to merge into") from None
        now, roster = context.now(), context.roster
        ended = transition(one, Merge(user=user, via=via, into=other.id, number=other.number), now, roster)
        event = Absorb(user=user, via=via, number=one.number, title=one.title, parts=responders.incident_groups(one))
        taken_in = transition(other, event, now, roster, turns)
        operations = incidents.change_operations(ended)
        operations.extend(incidents.change_operations(taken_in))
        for alert in await incidents.load_alerts(context.wire, one.id):
            incidents.save_alert(operations, other.id, alert)
        if await commit(context.wire, operations):
            after_commit(context, ended)
            after_commit(context, taken_in)
            return ended.incident
    raise StoreUnavailable(f"incident {incident_id} keeps changing")


ACKNOWLEDGE_ALL = "acknowledge-all"  # the value of the button is "acknowledge-all:BUNDLE"

# In the order in which they are told: what became of an incident, for one and for several.
_RESULT_TEXTS = {
    "acknowledged": ("acknowledged", "acknowledged"),
    "resolved": ("was resolved already", "were resolved already"),
    "taken": ("was acknowledged already", "were acknowledged already"),
    "changed": ("has triggered again since", "have triggered again since"),
    "gone": ("is not there any more", "are not there any more"),
}


async def acknowledge_all(context: Context, bundle_id: str, *, user: str, via: str) -> str:
    """Acknowledge what a bundle named, as far as it is still as it was drawn for; what to tell the one who pressed.

    Pressed twice, it changes nothing more. Raises StoreUnavailable.
    """
    epochs = await storms.load_bundle_epochs(context.wire, bundle_id)
    if not epochs:
        return "Nothing done: this button is too old."
    loaded = await incidents.load_many(context.wire, epochs)
    outcomes = await asyncio.gather(*(_acknowledge(context, loaded.get(name), epoch, user, via) for name, epoch in epochs.items()))
    found = Counter(outcomes)
    parts = [f"{found[name]} {words[found[name] > 1]}" for name, words in _RESULT_TEXTS.items() if found[name] or name == "acknowledged"]
    return f"{', '.join(parts)}."


async def _acknowledge(context: Context, incident: Incident | None, epoch: int, user: str, via: str) -> str:
    """One of the keys of _TOLD."""
    if incident is None:
        return "gone"
    outcome = _why_unchanged(incident, epoch)
    if outcome:
        return outcome
    try:
        await apply_event(context, incident.id, Acknowledge(user=user, via=via, epoch=epoch))
    except NotFound:
        return "gone"
    except Conflict:  # it changed since it was looked at
        return _why_unchanged(await incidents.load(context.wire, incident.id), epoch) or "changed"
    return "acknowledged"


def _why_unchanged(incident: Incident, epoch: int) -> str:
    """Why an incident is left as it is; "" = it waits for an answer."""
    if incident.state == "resolved":
        return "resolved"
    if incident.epoch != epoch:
        return "changed"
    return "taken" if incident.state == "acknowledged" else ""


ActionName = Literal[
    "acknowledge", "unacknowledge", "resolve", "reopen", "snooze", "escalate", "reassign", "responders", "merge", "note"
]  # fmt: skip
ACTIONS: tuple[ActionName, ...] = get_args(ActionName)
DEFAULT_SNOOZE = 3600.0  # seconds


class ActionRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Who asks for what."""

    action: ActionName
    user: str  # name in the file; "" = unknown
    via: str  # "web", "telegram", "slack", "email", "api"
    epoch: int | None = None
    until: float | None = None  # of a snooze, Unix seconds
    text: str = ""  # of a note
    to: PageTarget = PageTarget()  # of reassign and responders
    urgency: Urgency = "default"  # of the pages that these two cause
    into: str = ""  # of merge: the id of the other incident


async def perform(context: Context, incident_id: str, request: ActionRequest) -> Incident:
    """Do it; return the incident as it is then. Raises NotFound, Conflict, BadAction, StoreUnavailable."""
    if request.action == "merge":
        return await merge_incident(context, incident_id, request.into, user=request.user, via=request.via)
    return await apply_event(context, incident_id, _build_event(context, request))


def _build_event(context: Context, request: ActionRequest) -> Act:
    user, via, epoch = request.user, request.via, request.epoch
    match request.action:
        case "acknowledge":
            return Acknowledge(user=user, via=via, epoch=epoch)
        case "unacknowledge":
            return Unacknowledge(user=user, via=via, epoch=epoch)
        case "resolve":
            return Resolve(user=user, via=via, epoch=epoch)
        case "reopen":
            return Reopen(user=user, via=via, epoch=epoch)
        case "escalate":
            return Escalate(user=user, via=via, epoch=epoch)
        case "reassign":
            return Reassign(user=user, via=via, epoch=epoch, to=step_for_target(context.config, request.to, request.urgency))
        case "responders":
            return AddResponders(user=user, via=via, epoch=epoch, to=people_step_for_target(context.config, request.to, request.urgency))
        case "snooze":
            until = request.until if request.until is not None else context.now() + DEFAULT_SNOOZE
            if until <= context.now():
                raise BadAction("the end of a snooze must lie in the future")
            return Snooze(user=user, via=via, epoch=epoch, until=until)
        case "note":
            if not request.text.strip():
                raise BadAction("a note needs a text")
            return Note(user=user, via=via, text=request.text.strip())
        case _:
            raise BadAction(f"{request.action} is no action on one incident")


async def handle_press(context: Context, pressed: Press) -> str:
    """Do what a chat button asks for; return what to tell the one who pressed it. Raises StoreUnavailable only."""
    user = account_owner(context, pressed.channel, pressed.account)
    said, done = await _perform_press(context, pressed, user)
    what = f"pressed {pressed.value.partition(':')[0][:30]}: {said}"
    entry = AuditEntry(
        at=context.now(), user=user or "", via=pressed.channel, address=pressed.account, what=what, result="done" if done else "refused"
    )
    with contextlib.suppress(StoreUnavailable):  # it has happened; raised now, it would be taken for something to try again
        await audit.add(context.wire, entry, context.config.store.retention)
    return said


async def _perform_press(context: Context, pressed: Press, user: str | None) -> tuple[str, bool]:
    """What to tell, and whether something was done."""
    if user is None:
        return f"Nobody in amproxy's file has the {pressed.channel} id {pressed.account}.", False
    if context.config.sign_in and context.config.users[user].role == "viewer":
        return f"Nothing done: {user} is a viewer, who may look and not act.", False
    action, _, rest = pressed.value.partition(":")
    if action == ACKNOWLEDGE_ALL:
        return await acknowledge_all(context, rest, user=user, via=pressed.channel), True
    incident_id, _, rest = rest.partition(":")
    epoch, _, argument = rest.partition(":")
    if action not in ("acknowledge", "unacknowledge", "resolve", "snooze", "escalate") or not epoch.isdigit():
        return "amproxy does not know this button.", False
    until = context.now() + float(argument) if action == "snooze" and argument.isdigit() else None
    request = ActionRequest(action=action, user=user, via=pressed.channel, epoch=int(epoch), until=until)  # type: ignore[arg-type]
    try:
        incident = await perform(context, incident_id, request)
    except NotFound:
        return "This incident is not there any more.", False
    except (Conflict, BadAction) as error:
        return f"Nothing done: {error}.", False
    return f"#{incident.number} {_result_text(action)}.", True


def _result_text(action: str) -> str:
    return {
        "acknowledge": "acknowledged", "unacknowledge": "is triggered again", "resolve": "resolved", "snooze": "snoozed",
        "escalate": "escalated",
    }[action]  # fmt: skip


def account_owner(context: Context, channel: str, account: str) -> str | None:
    """The user whose contact in a chat this is."""
    for user in context.config.users.values():
        if user.contacts.get(channel) == account:
            return user.name
    return None


class BulkActionResult(NamedTuple):
    """What became of one of them: the incident as it is now, or why nothing was done."""

    id: str
    incident: Incident | None
    error: str = ""


async def perform_all(context: Context, ids: Iterable[str], request: ActionRequest) -> list[BulkActionResult]:
    """In the order given, each once. Raises BadAction where the request makes no sense for any, and StoreUnavailable."""
    outcomes = []
    for incident_id in dict.fromkeys(ids):
        try:
            outcomes.append(BulkActionResult(incident_id, await perform(context, incident_id, request)))
        except (Conflict, NotFound) as error:
            outcomes.append(BulkActionResult(incident_id, None, str(error)))
    return outcomes
