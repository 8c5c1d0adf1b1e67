"""A human answer becomes an event: the one way in for buttons, commands, links, pages and the API."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from amproxy.config.structs import NotifyStep, Policy, Urgency
from amproxy.context import Context
from amproxy.correlate.opening import open_by_hand
from amproxy.errors import AmproxyError, Conflict, NotFound
from amproxy.escalate.apply import apply, committed
from amproxy.machine import transition
from amproxy.machine.events import Acknowledge, Act, Escalate, Note, Opened, Resolve, Snooze, Unacknowledge
from amproxy.model import Incident
from amproxy.respond import bundles
from amproxy.respond.press import Press
from amproxy.store import incidents
from amproxy.store.commit import commit

ActionName = Literal["acknowledge", "unacknowledge", "resolve", "snooze", "escalate", "note"]
ACTIONS: tuple[ActionName, ...] = ("acknowledge", "unacknowledge", "resolve", "snooze", "escalate", "note")
DEFAULT_SNOOZE = 3600.0  # seconds


class BadAction(AmproxyError):
    """The request for an action makes no sense (HTTP 422)."""


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """Who asks for what."""

    action: ActionName
    user: str  # name in the file; "" = unknown
    via: str  # "web", "telegram", "slack", "email", "api"
    epoch: int | None = None
    until: float | None = None  # of a snooze, Unix seconds
    text: str = ""  # of a note


async def perform(context: Context, incident_id: str, request: Request) -> Incident:
    """Do it; return the incident as it is then. Raises NotFound, Conflict, BadAction, StoreUnavailable."""
    return await apply(context, incident_id, _event(context, request))


def _event(context: Context, request: Request) -> Act:
    user, via, epoch = request.user, request.via, request.epoch
    match request.action:
        case "acknowledge":
            return Acknowledge(user=user, via=via, epoch=epoch)
        case "unacknowledge":
            return Unacknowledge(user=user, via=via, epoch=epoch)
        case "resolve":
            return Resolve(user=user, via=via, epoch=epoch)
        case "escalate":
            return Escalate(user=user, via=via, epoch=epoch)
        case "snooze":
            until = request.until if request.until is not None else context.now() + DEFAULT_SNOOZE
            if until <= context.now():
                raise BadAction("the end of a snooze must lie in the future")
            return Snooze(user=user, via=via, epoch=epoch, until=until)
        case "note":
            if not request.text.strip():
                raise BadAction("a note needs a text")
            return Note(user=user, via=via, text=request.text.strip())


async def press(context: Context, pressed: Press) -> str:
    """Do what a chat button asks for; return what to tell the one who pressed it. Raises StoreUnavailable only."""
    user = account_owner(context, pressed.channel, pressed.account)
    if user is None:
        return f"Nobody in amproxy's file has the {pressed.channel} id {pressed.account}."
    action, _, rest = pressed.value.partition(":")
    if action == bundles.BUTTON:
        return await bundles.acknowledge_all(context, rest, user=user, via=pressed.channel)
    incident_id, _, rest = rest.partition(":")
    epoch, _, argument = rest.partition(":")
    if action not in ("acknowledge", "unacknowledge", "resolve", "snooze", "escalate") or not epoch.isdigit():
        return "amproxy does not know this button."
    until = context.now() + float(argument) if action == "snooze" and argument.isdigit() else None
    request = Request(action=action, user=user, via=pressed.channel, epoch=int(epoch), until=until)  # type: ignore[arg-type]
    try:
        incident = await perform(context, incident_id, request)
    except NotFound:
        return "This incident is not there any more."
    except (Conflict, BadAction) as error:
        return f"Nothing done: {error}."
    return f"#{incident.number} {_done(action)}."


def _done(action: str) -> str:
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


async def open_incident(
    context: Context, *, title: str, by: str, users: Sequence[str] = (), schedule: str = "", policy: str = "",
    urgency: Urgency | None = None, text: str = "",
) -> Incident:  # fmt: skip
    """Page someone by hand: exactly one of users, schedule, policy. Raises BadAction, NotFound, StoreUnavailable."""
    if not title.strip():
        raise BadAction("a title is needed")
    plan = _plan(context, users, schedule, policy)
    now = context.now()
    incident = await open_by_hand(context, title=title.strip(), policy=plan, urgency=urgency, text=text, now=now)
    turns = await incidents.turns(context.wire)
    change = transition(incident, Opened(reason=f"paged by hand by {by or 'somebody'}", by=by), now, context.roster, turns)
    if not await commit(context.wire, incidents.operations(change)):
        raise Conflict("somebody took the same turn at the same moment; try again")
    committed(context, change)
    return change.incident


def _plan(context: Context, users: Sequence[str], schedule: str, policy: str) -> Policy:
    if sum(map(bool, (users, schedule, policy))) != 1:
        raise BadAction("exactly one of users, schedule and policy is needed")
    config = context.config
    for user in users:
        if user not in config.users:
            raise NotFound(f"there is no user {user}")
    if schedule and schedule not in config.schedules:
        raise NotFound(f"there is no schedule {schedule}")
    if policy:
        if policy not in config.policies:
            raise NotFound(f"there is no policy {policy}")
        return config.policies[policy]
    return Policy(name="by hand", steps=(NotifyStep(schedule=schedule, users=tuple(users)),))
