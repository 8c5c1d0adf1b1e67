"""Actions of people on incidents: the one entrance for buttons, commands, links, pages and the API.

Each answer of a person becomes an event of the machine. A merge is two events in one commit.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Final, Literal, NamedTuple, cast, get_args

import msgspec

from amproxy.apply import APPLY_TRIES, after_commit, apply_event
from amproxy.config.identities import find_account
from amproxy.config.structs import Urgency
from amproxy.context import Context
from amproxy.errors import Conflict, NotFound, StoreUnavailable
from amproxy.machine import events, transition
from amproxy.machine.responders import incident_groups
from amproxy.model import Incident
from amproxy.notify.message import Press
from amproxy.respond.rights import Principal, incident_refusal, principal_of_user
from amproxy.respond.targets import BadAction, PageTarget, people_step_for_target, step_for_target
from amproxy.store import audit, incidents, storms
from amproxy.store.audit import AuditEntry
from amproxy.store.commit import commit
from amproxy.text import DEFAULT_LANGUAGE, Phrase, load_texts
from amproxy.text.render import render_phrase

ActionName = Literal[
    "acknowledge",
    "unacknowledge",
    "resolve",
    "reopen",
    "snooze",
    "escalate",
    "reassign",
    "responders",
    "merge",
    "note",
]
ACTIONS: tuple[ActionName, ...] = get_args(ActionName)
DEFAULT_SNOOZE = 3600.0  # seconds
ACKNOWLEDGE_ALL = "acknowledge-all"  # the value of a bundle's button is "acknowledge-all:BUNDLE"

_INCIDENT_NUMBER = re.compile(r"#?(\d{1,9})", re.ASCII)  # an id is longer

# Actions that need nothing besides the person.
_PLAIN_EVENTS: Final[dict[str, Callable[..., events.Act]]] = {
    "acknowledge": events.Acknowledge,
    "unacknowledge": events.Unacknowledge,
    "resolve": events.Resolve,
    "reopen": events.Reopen,
    "escalate": events.Escalate,
}

# Actions of chat buttons, with the answer to the person who pressed.
_PRESS_RESULTS: Final = {
    "acknowledge": "acknowledged",
    "unacknowledge": "is triggered again",
    "resolve": "resolved",
    "snooze": "snoozed",
    "escalate": "escalated",
}

# Results of ACKNOWLEDGE_ALL in the order of the answer, in words for one incident and for several.
_BUNDLE_RESULTS: Final = {
    "acknowledged": ("acknowledged", "acknowledged"),
    "resolved": ("was resolved already", "were resolved already"),
    "before": ("was acknowledged already", "were acknowledged already"),
    "changed": ("has triggered again since", "have triggered again since"),
    "gone": ("is not there any more", "are not there any more"),
    "forbidden": ("belongs to another team", "belong to other teams"),
}


class ActionRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A person's wish for one action."""

    action: ActionName
    user: str  # name in the file; "" = unknown
    via: str  # "web", "telegram", "slack", "email", "api"
    epoch: int | None = None
    until: float | None = None  # of a snooze, Unix seconds
    text: str = ""  # of a note
    to: PageTarget = PageTarget()  # of reassign and responders
    urgency: Urgency = "default"  # of the pages that these two cause
    into: str = ""  # of merge: the id of the other incident


class BulkActionResult(NamedTuple):
    """The result for one of several incidents: the incident as it is now, or the error."""

    id: str
    incident: Incident | None
    error: Phrase | None = None


async def perform(context: Context, incident_id: str, request: ActionRequest) -> Incident:
    """Perform an action; return the incident as it is then.

    Raises NotFound, Conflict, BadAction, StoreUnavailable.
    """
    if request.action == "merge":
        return await _merge(context, incident_id, request)
    return await apply_event(context, incident_id, _build_event(context, request))


async def perform_all(
    context: Context, ids: Iterable[str], request: ActionRequest
) -> list[BulkActionResult]:
    """Perform an action on several incidents in the order given, on each once.

    One whose state forbids it does not keep the others from it. Raises BadAction where the request
    makes no sense for any, and StoreUnavailable.
    """
    results = []
    for incident_id in dict.fromkeys(ids):
        try:
            incident = await perform(context, incident_id, request)
            results.append(BulkActionResult(incident_id, incident))
        except (Conflict, NotFound) as error:
            results.append(BulkActionResult(incident_id, None, error.args[0]))
    return results


def _build_event(context: Context, request: ActionRequest) -> events.Act:
    user, via, epoch = request.user, request.via, request.epoch
    if plain := _PLAIN_EVENTS.get(request.action):
        return plain(user=user, via=via, epoch=epoch)
    match request.action:
        case "reassign":
            to = step_for_target(context.config, request.to, request.urgency)
            return events.Reassign(user=user, via=via, epoch=epoch, to=to)
        case "responders":
            step = people_step_for_target(context.config, request.to, request.urgency)
            return events.AddResponders(user=user, via=via, epoch=epoch, to=step)
        case "snooze":
            until = request.until if request.until is not None else context.now() + DEFAULT_SNOOZE
            if until <= context.now():
                raise BadAction(Phrase("refusal.snooze_future"))
            return events.Snooze(user=user, via=via, epoch=epoch, until=until)
        case "note":
            if not request.text.strip():
                raise BadAction(Phrase("refusal.note_text"))
            return events.Note(user=user, via=via, text=request.text.strip())
        case _:
            raise BadAction(Phrase("refusal.no_single_action", {"action": request.action}))


async def _merge(context: Context, incident_id: str, request: ActionRequest) -> Incident:
    """End an incident as part of another; return it.

    Raises NotFound, Conflict (one of them is over, or they are the same), BadAction (there is no
    other), StoreUnavailable.
    """
    user, via, into = request.user, request.via, request.into
    if not into:
        raise BadAction(Phrase("refusal.into_needed"))
    # One commit guarded by the versions of both, so that no alert is ever in neither or in both;
    # where another commit was first, both are loaded anew.
    for _ in range(APPLY_TRIES):
        one = await incidents.load(context.wire, incident_id)
        try:
            other, turns = await incidents.load_with_turns(context.wire, into)
        except NotFound:
            raise BadAction(Phrase("refusal.no_incident_into", {"incident": into[:60]})) from None
        now, roster = context.now(), context.roster
        merge = events.Merge(user=user, via=via, into=other.id, number=other.number)
        ended = transition(one, merge, now, roster)
        absorb = events.Absorb(
            user=user, via=via, number=one.number, title=one.title, groups=incident_groups(one)
        )
        extended = transition(other, absorb, now, roster, turns)
        operations = incidents.change_operations(ended)
        operations.extend(incidents.change_operations(extended))
        alerts = await incidents.load_alerts(context.wire, one.id)
        await incidents.save_alerts(context.wire, operations, extended.incident, alerts)
        if await commit(context.wire, operations):
            after_commit(context, ended)
            after_commit(context, extended)
            return ended.incident
    raise StoreUnavailable(f"incident {incident_id} keeps changing")


async def resolve_incident_id(context: Context, text: str) -> str:
    """The id of the incident of a number ("12", "#12"), which must be open; an id stays as it is.

    Raises BadAction, StoreUnavailable.
    """
    found = _INCIDENT_NUMBER.fullmatch(text.strip())
    if found is None:
        return text.strip()
    incident = await incidents.find_by_number(context.wire, int(found[1]), incidents.OPEN_STATES)
    if incident is None:
        raise BadAction(Phrase("refusal.no_open_incident", {"number": found[1]}))
    return incident.id


async def handle_press(context: Context, pressed: Press) -> str:
    """Perform the action of a chat button; return the answer to the person who pressed it.

    Raises StoreUnavailable only.
    """
    user = account_owner(context, pressed.channel, pressed.account)
    text, done = await _perform_press(context, pressed, user)
    entry = AuditEntry(
        at=context.now(),
        user=user or "",
        via=pressed.channel,
        address=pressed.account,
        what=f"pressed {pressed.value.partition(':')[0][:30]}: {text}",
        result="done" if done else "refused",
    )
    # The action is committed: raised now, the error would have the press tried again.
    with contextlib.suppress(StoreUnavailable):
        await audit.add(context.wire, entry, context.config.store.retention)
    return text


async def _perform_press(context: Context, pressed: Press, user: str | None) -> tuple[str, bool]:
    """The answer, and True where the action was performed."""
    if user is None:
        return f"Nobody in amproxy's file has the {pressed.channel} id {pressed.account}.", False
    principal = principal_of_user(context.config, user, "chat")
    action, _, rest = pressed.value.partition(":")
    if action == ACKNOWLEDGE_ALL:
        return await acknowledge_all(context, rest, principal, via=pressed.channel), True
    incident_id, _, rest = rest.partition(":")
    epoch, _, argument = rest.partition(":")
    if action not in _PRESS_RESULTS or not epoch.isdigit():
        return "amproxy does not know this button.", False
    until = context.now() + float(argument) if action == "snooze" and argument.isdigit() else None
    name, via = cast(ActionName, action), pressed.channel
    request = ActionRequest(action=name, user=user, via=via, epoch=int(epoch), until=until)
    try:
        if reason := incident_refusal(principal, await incidents.load(context.wire, incident_id)):
            return _refusal_text(context, reason), False
        incident = await perform(context, incident_id, request)
    except NotFound:
        return "This incident is not there any more.", False
    except (Conflict, BadAction) as error:
        return _refusal_text(context, error.args[0]), False
    return f"#{incident.number} {_PRESS_RESULTS[action]}.", True


def _refusal_text(context: Context, reason: Phrase) -> str:
    """A refusal in a chat, in its language, which is English."""
    words = render_phrase(reason, load_texts(DEFAULT_LANGUAGE), context.config.full_name)
    return f"Nothing done: {words}."


def account_owner(context: Context, channel: str, account: str) -> str | None:
    """The user whose contact in a chat this is."""
    user = find_account(context.config.users.values(), channel, account)
    return user.name if user else None


async def acknowledge_all(
    context: Context, bundle_id: str, principal: Principal, *, via: str
) -> str:
    """Acknowledge the incidents of a bundle that are still as it showed them; return the answer.

    A second press changes nothing more. Raises StoreUnavailable.
    """
    epochs = await storms.load_bundle_epochs(context.wire, bundle_id)
    if not epochs:
        return "Nothing done: this button is too old."
    loaded = await incidents.load_many(context.wire, epochs)
    results = await asyncio.gather(
        *(
            _acknowledge(context, loaded.get(id), epoch, principal, via)
            for id, epoch in epochs.items()
        )
    )
    counts = Counter(results)
    texts = [
        f"{counts[result]} {words[counts[result] > 1]}"
        for result, words in _BUNDLE_RESULTS.items()
        if counts[result] or result == "acknowledged"
    ]
    return f"{', '.join(texts)}."


async def _acknowledge(
    context: Context, incident: Incident | None, epoch: int, principal: Principal, via: str
) -> str:
    """A key of _BUNDLE_RESULTS."""
    if incident is None:
        return "gone"
    if incident_refusal(principal, incident):
        return "forbidden"
    if reason := _reason_unchanged(incident, epoch):
        return reason
    try:
        acknowledge = events.Acknowledge(user=principal.user, via=via, epoch=epoch)
        await apply_event(context, incident.id, acknowledge)
    except NotFound:
        return "gone"
    except Conflict:  # it has changed since it was loaded
        changed = await incidents.load(context.wire, incident.id)
        return _reason_unchanged(changed, epoch) or "changed"
    return "acknowledged"


def _reason_unchanged(incident: Incident, epoch: int) -> str:
    """The key of _BUNDLE_RESULTS for an incident left as it is; "" = it waits for an answer."""
    if incident.state == "resolved":
        return "resolved"
    if incident.epoch != epoch:
        return "changed"
    return "before" if incident.state == "acknowledged" else ""
