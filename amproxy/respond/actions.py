"""Actions of people on incidents: the one entrance for buttons, commands, links, pages and the API.

Each answer of a person becomes an event of the machine. Merging and its undoing are in merging.py.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Final, Literal, NamedTuple, cast, get_args
from zoneinfo import ZoneInfo

import msgspec
from msgspec.structs import replace

from amproxy.apply import apply_event
from amproxy.config.identities import find_account
from amproxy.config.structs import Urgency
from amproxy.context import Context
from amproxy.errors import Conflict, NotFound, StoreUnavailable
from amproxy.grouping.flush import next_repeat
from amproxy.grouping.rights import Principal, incident_refusal, principal_of_user
from amproxy.incident_log import incident_fields
from amproxy.log import EventLog
from amproxy.machine import events
from amproxy.machine.merging import incident_groups
from amproxy.model import Incident
from amproxy.notify.message import Press
from amproxy.respond.merging import merge, unmerge
from amproxy.respond.targets import BadAction, PageTarget, people_step_for_target, step_for_target
from amproxy.store import audit, groups, incidents, removal, storms
from amproxy.store.audit import AuditEntry
from amproxy.store.commit import Operations, commit_decided
from amproxy.text import (
    DEFAULT_LANGUAGE,
    IncidentNumber,
    Moment,
    Phrase,
    PhraseValue,
    load_texts,
    phrase,
)
from amproxy.text.render import PhraseRenderer

log = EventLog(__name__)

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
    "unmerge",
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

# Actions of chat buttons.
_PRESSED: Final = frozenset({"acknowledge", "unacknowledge", "resolve", "snooze", "escalate"})

_BundleResult = Literal["acknowledged", "resolved", "before", "changed", "gone", "forbidden"]
# Results of ACKNOWLEDGE_ALL in the order of the answer.
_BUNDLE_RESULTS: Final[tuple[_BundleResult, ...]] = get_args(_BundleResult)


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
    user, via = request.user, request.via
    if request.action == "merge":
        return await merge(context, incident_id, request.into, user=user, via=via)
    if request.action == "unmerge":
        return await unmerge(context, incident_id, user=user, via=via)
    event = _build_event(context, request)
    if isinstance(event, events.Resolve):
        event = replace(event, quiet_until=await _load_quiet_until(context, incident_id))
    return await apply_event(context, incident_id, event)


async def _load_quiet_until(context: Context, incident_id: str) -> float | None:
    """The time at which alerts that still fire then page anew, although nothing has changed.

    None where none fires. Raises NotFound, StoreUnavailable.
    """
    incident, found = await incidents.load(context.wire, incident_id), list[float]()
    for group_id, part in incident_groups(incident).items():
        loaded = await groups.load_group_log(context.wire, group_id) if part.firing else None
        if loaded is not None:
            group, log = loaded
            for entry in log.values():
                if await _is_of(context, entry.incident, incident_id):
                    found.append(next_repeat(entry, group))
    return min(found, default=None)


async def _is_of(context: Context, named: str, incident_id: str) -> bool:
    """True where the incident that a log names is this one, or is part of it."""
    try:
        return bool(named) and (await incidents.load_current(context.wire, named)).id == incident_id
    except NotFound:
        return False


async def delete_incident(context: Context, incident_id: str, *, user: str, via: str) -> Incident:
    """Delete an incident that is over, with all that is stored of it; return it as it was.

    Raises NotFound, Conflict (it is open, or part of an open one), StoreUnavailable.
    """

    async def decide() -> tuple[Operations, Incident]:
        incident = await incidents.load(context.wire, incident_id)
        values: dict[str, PhraseValue] = {"number": str(incident.number)}
        if incident.state != "resolved":
            state = Phrase(f"refusal.state_{incident.state}")
            raise Conflict(Phrase("refusal.delete_open", {**values, "state": state}))
        operations = await removal.removal_operations(context.wire, incident)
        if root := await removal.find_open_root(context.wire, incident):
            other = str(root.number)
            raise Conflict(Phrase("refusal.delete_part", {**values, "other": other}))
        return operations, incident

    guarded = incidents.version_name(incident_id)
    incident = await commit_decided(context.wire, f"incident {incident_id}", decide, guarded)
    about = incident_fields(incident)
    log.info("deleted", **about, id=incident.id, title=incident.title, user=user, via=via)
    return incident


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

    The answer is in the language of chats, which is English. Raises StoreUnavailable only.
    """
    user = account_owner(context, pressed.channel, pressed.account)
    answer, done = await _perform_press(context, pressed, user)
    entry = AuditEntry(
        at=context.now(),
        user=user or "",
        via=pressed.channel,
        address=pressed.account,
        what=phrase("audit.pressed", button=pressed.value.partition(":")[0][:30], answer=answer),
        result="done" if done else "refused",
    )
    # The action is committed: raised now, the error would have the press tried again.
    with contextlib.suppress(StoreUnavailable):
        await audit.add(context.wire, entry, context.config.store.retention)
    return _press_answer(context, user, answer)


async def _perform_press(context: Context, pressed: Press, user: str | None) -> tuple[Phrase, bool]:
    """The answer, and True where the action was performed."""
    if user is None:
        channel, account = pressed.channel, pressed.account
        return phrase("press.unknown_account", channel=channel, account=account), False
    principal = principal_of_user(context.config, user, "chat")
    action, _, rest = pressed.value.partition(":")
    if action == ACKNOWLEDGE_ALL:
        return await acknowledge_all(context, rest, principal, via=pressed.channel), True
    incident_id, _, rest = rest.partition(":")
    epoch, _, argument = rest.partition(":")
    if action not in _PRESSED or not epoch.isdigit():
        return phrase("press.unknown_button"), False
    until = context.now() + float(argument) if action == "snooze" and argument.isdigit() else None
    name, via = cast(ActionName, action), pressed.channel
    request = ActionRequest(action=name, user=user, via=via, epoch=int(epoch), until=until)
    try:
        if reason := incident_refusal(principal, await incidents.load(context.wire, incident_id)):
            return phrase("press.refused", reason=reason), False
        incident = await perform(context, incident_id, request)
    except NotFound:
        return phrase("press.incident_gone"), False
    except (Conflict, BadAction) as error:
        return phrase("press.refused", reason=error.args[0]), False
    done = phrase(f"press.done_{action}", incident=IncidentNumber(incident.number))
    if action == "resolve" and incident.quiet_until:
        done = phrase("press.fires_on", done=done, until=Moment(incident.quiet_until))
    return done, True


def _press_answer(context: Context, user: str | None, answer: Phrase) -> str:
    """The words for a chat, in its language, which is English, with times on the user's clock."""
    person = context.config.users.get(user or "")
    zone = ZoneInfo(person.timezone if person else "UTC")
    words = PhraseRenderer(
        load_texts(DEFAULT_LANGUAGE),
        full_name=context.config.full_name,
        zone=zone,
        now=context.now(),
    )
    return words.text(answer)


def account_owner(context: Context, channel: str, account: str) -> str | None:
    """The user whose contact in a chat this is."""
    user = find_account(context.config.users.values(), channel, account)
    return user.name if user else None


async def acknowledge_all(
    context: Context, bundle_id: str, principal: Principal, *, via: str
) -> Phrase:
    """Acknowledge the incidents of a bundle that are still as it showed them; return the answer.

    A second press changes nothing more. Raises StoreUnavailable.
    """
    epochs = await storms.load_bundle_epochs(context.wire, bundle_id)
    if not epochs:
        return phrase("press.too_old")
    loaded = await incidents.load_many(context.wire, epochs)
    results = await asyncio.gather(
        *(
            _acknowledge(context, loaded.get(id), epoch, principal, via)
            for id, epoch in epochs.items()
        )
    )
    counts = Counter(results)
    told = tuple(
        phrase(f"press.all_{result}", n=counts[result])
        for result in _BUNDLE_RESULTS
        if counts[result] or result == "acknowledged"
    )
    return phrase("press.all", results=told)


async def _acknowledge(
    context: Context, incident: Incident | None, epoch: int, principal: Principal, via: str
) -> _BundleResult:
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


def _reason_unchanged(incident: Incident, epoch: int) -> _BundleResult | None:
    """The result for an incident left as it is; None = it waits for an answer."""
    if incident.state == "resolved":
        return "resolved"
    if incident.epoch != epoch:
        return "changed"
    return "before" if incident.state == "acknowledged" else None
