"""Two incidents become one, and one becomes two again: each is two events in one commit.

It is guarded by the versions of both, so that no alert is ever in neither or in both; where another
commit was first, both are loaded anew.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from msgspec.structs import replace

from amproxy import offload
from amproxy.apply import after_commit, guard_turns
from amproxy.context import Context
from amproxy.correlate import muting
from amproxy.errors import Conflict, NotFound
from amproxy.machine import events, transition
from amproxy.machine.events import Hold
from amproxy.machine.merging import GroupDivision, divide_groups, incident_groups
from amproxy.model import Alert, Change, Incident, LogEntry, MergedGroup
from amproxy.respond.targets import BadAction
from amproxy.store import groups, incidents
from amproxy.store.commit import Operations, commit_decided
from amproxy.text import Phrase


async def merge(context: Context, incident_id: str, into: str, *, user: str, via: str) -> Incident:
    """End an incident as part of another; return it.

    Raises NotFound, Conflict (one of them is over, or they are the same), BadAction (there is no
    other), StoreUnavailable.
    """
    if not into:
        raise BadAction(Phrase("refusal.into_needed"))

    async def decide() -> tuple[Operations, tuple[Change, Change]]:
        one = await incidents.load(context.wire, incident_id)
        try:
            other, turns = await incidents.load_with_turns(context.wire, into)
        except NotFound:
            raise BadAction(Phrase("refusal.no_incident_into", {"incident": into[:60]})) from None
        now, roster = context.now(), context.roster
        merge = events.Merge(user=user, via=via, into=other.id, number=other.number)
        ended = transition(one, merge, now, roster)
        absorb = events.Absorb(
            user=user,
            via=via,
            id=one.id,
            number=one.number,
            title=one.title,
            groups=incident_groups(one),
        )
        extended = transition(other, absorb, now, roster, turns)
        operations = incidents.change_operations(ended)
        operations.extend(incidents.change_operations(extended))
        alerts = await incidents.load_current_alerts(context.wire, one)
        for holder in (ended.incident, extended.incident):
            await incidents.save_alerts(context.wire, operations, holder, alerts)
        return operations, (ended, extended)

    guarded = map(incidents.version_name, (incident_id, into))
    subject = f"incident {incident_id}"
    changes = await commit_decided(context.wire, subject, decide, *guarded)
    for change in changes:
        after_commit(context, change)
    return changes[0].incident


async def unmerge(context: Context, incident_id: str, *, user: str, via: str) -> Incident:
    """Make a merged incident one of its own again, with its alerts; return it.

    Its alerts are with the last of those that it was merged into, one into the other. Raises
    NotFound, Conflict (it is not part of another, or is over with it), StoreUnavailable.
    """

    async def decide() -> tuple[Operations, tuple[Change, Change]]:
        one, root = await _load_merged(context, incident_id)
        turns, now, roster = await incidents.load_turns(context.wire), context.now(), context.roster
        operations = Operations()
        division = await _divide(context, operations, one, root)
        taken, left = division.groups
        hold = await _find_hold(context, one, taken) if taken else None
        unmerge = events.Unmerge(user=user, via=via, root=root, groups=taken, hold=hold)
        own = transition(one, unmerge, now, roster, turns)
        take_out = events.TakeOut(
            user=user, via=via, number=one.number, title=one.title, groups=root.parts.keys() - left
        )
        then = turns | {name: turn for name, (_, turn) in own.turns.items()}
        rest = transition(root, take_out, now, roster, then)
        changes = guard_turns(own, turns), guard_turns(rest, turns)
        for change in changes:
            operations.extend(incidents.change_operations(change))
        await _move_alerts(context, operations, division, own.incident, root)
        return operations, changes

    guarded, subject = incidents.version_name(incident_id), f"incident {incident_id}"
    changes = await commit_decided(context.wire, subject, decide, guarded)
    for change in changes:
        after_commit(context, change)
    return changes[0].incident


async def _load_merged(context: Context, incident_id: str) -> tuple[Incident, Incident]:
    """An incident that was merged, and the one that has its alerts."""
    one = await incidents.load(context.wire, incident_id)
    number = {"number": str(one.number)}
    if not one.merged_into:
        raise Conflict(Phrase("refusal.not_merged", number))
    try:
        return one, await incidents.load_current(context.wire, one.merged_into)
    except NotFound:
        raise Conflict(Phrase("refusal.other_deleted", number)) from None


class _Division(NamedTuple):
    """The groups and the alerts of both once they are two again."""

    groups: GroupDivision
    taken: set[str]  # fingerprints of the merged incident, and those of its groups
    left: set[str]  # those of the other one's groups


async def _divide(
    context: Context, operations: Operations, one: Incident, root: Incident
) -> _Division:
    """Find out which groups are whose; the operations demand that it stays so.

    Raises StoreUnavailable.
    """
    logs, lines = dict[str, list[LogEntry]](), dict[str, list[str]]()
    for group_id in filter(None, root.parts):  # "" is the root itself, opened by hand
        log = await groups.claim_log(context.wire, operations, group_id)
        logs[group_id] = list(log.values())
        for entry in log.values():
            if entry.incident not in lines:
                lines[entry.incident] = await _load_line_ids(context, entry.incident)
    named = {group_id: [entry.incident for entry in log] for group_id, log in logs.items()}
    told = set(await incidents.load_alert_names(context.wire, one.id))
    division = _Division(divide_groups(one, root, named, lines), told, set())
    for entry in (entry for log in logs.values() for entry in log):
        if root.id in (line := lines[entry.incident]):
            names = division.taken if one.id in line else division.left
            await offload.run(len(entry.firing), names.update, _notified(entry))
    return division


def _notified(entry: LogEntry) -> Iterable[str]:
    return (*entry.firing, *entry.resolved)


async def _load_line_ids(context: Context, incident_id: str) -> list[str]:
    """The ids of an incident and of those that it is part of; [] = one of them is deleted."""
    if not incident_id:
        return []
    try:
        return [one.id for one in await incidents.load_line(context.wire, incident_id)]
    except NotFound:
        return []


async def _find_hold(context: Context, one: Incident, taken: dict[str, MergedGroup]) -> Hold | None:
    """The reason to hold back an incident that opens again: all of its alerts are muted."""
    found = await muting.find_hold(context, replace(one, parts=taken))
    return Hold(reason=found[0], until=found[1]) if found else None


async def _move_alerts(
    context: Context, operations: Operations, division: _Division, own: Incident, root: Incident
) -> None:
    """Store the alerts that go with the merged incident, as they are now."""
    alerts = await incidents.load_current_alerts(context.wire, root)

    def select() -> list[Alert]:
        return [alert for alert in alerts if alert.fingerprint in division.taken]

    moved = await offload.run(len(alerts), select)
    await incidents.save_alerts(context.wire, operations, own, moved)
    gone = [one.fingerprint for one in moved if one.fingerprint not in division.left]
    incidents.remove_alerts(operations, root.id, gone)
    await offload.scrap(alerts, moved)
