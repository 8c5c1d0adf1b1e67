"""What will happen to an incident by itself, in words: the next step, and all that is still ahead. Pure.

It is what the plan says as of now. People are looked up again when a step runs, so an override may still change who is named.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice, takewhile

from amproxy.clock import utc
from amproxy.config import contacts
from amproxy.config.structs import Notify
from amproxy.machine import chains, silent
from amproxy.model import Chain, Incident
from amproxy.oncall.roster import Roster
from amproxy.text.phrase import People, Phrase
from amproxy.web.incidents.ahead_steps import Coming, steps

__all__ = ["Coming", "ahead", "next_step"]

MOST = 40  # steps shown


def next_step(incident: Incident, roster: Roster) -> Coming | None:
    """What happens next if nobody does anything; None = nothing."""
    return min((first for path in _paths(incident, roster) if (first := next(path, None))), key=lambda coming: coming.at, default=None)


def ahead(incident: Incident, roster: Roster) -> list[Coming]:
    """Everything up to the end of this round, or of the incident, in order."""
    found = sorted((coming for path in _paths(incident, roster) for coming in islice(path, MOST)), key=lambda coming: coming.at)
    end = min((coming.at for coming in found if coming.ends), default=None)
    return list(takewhile(lambda coming: end is None or coming.at <= end, found))[:MOST]


def _paths(incident: Incident, roster: Roster) -> list[Iterator[Coming]]:
    """Each thing that runs on its own clock; what comes first in the list goes first at the same moment."""
    if incident.state == "resolved":
        return []
    rules = [_rules(chain, incident, roster) for chain in incident.chains if chains.runs(incident, chain)]
    silence = _once(silent.due(incident), Phrase("ahead.silent"))
    match incident.state:
        case "triggered" if incident.held_until is not None:
            return [*rules, _once(incident.held_until, Phrase("ahead.held", {"reason": incident.held_by})), silence]
        case "triggered":
            return [*rules, steps(incident, roster), silence]
        case "acknowledged":
            reminder = _once(incident.reminder_due, Phrase("ahead.reminded", {"person": People((incident.acknowledged_by,))}))
            return [*rules, reminder, _once(incident.acknowledge_due, Phrase("ahead.runs_out")), silence]
        case _:
            return [_once(incident.snoozed_until, Phrase("ahead.snooze_ends"))]


def _once(at: float | None, what: Phrase) -> Iterator[Coming]:
    if at is not None:
        yield Coming(at, what)


def _rules(chain: Chain, incident: Incident, roster: Roster) -> Iterator[Coming]:
    """What is left of one person's notification rules."""
    user, at = roster.config.users.get(chain.user), chain.due
    if user is None or at is None:
        return
    waits, wakes = True, chains.wakes(incident, chain)  # after a rule that reaches nothing the next one does not wait
    for rule in contacts.rules(user, chain.urgency)[chain.position :]:
        if not isinstance(rule, Notify):
            at += rule.seconds if waits else 0.0
            continue
        quiet = None if wakes else roster.quiet_until(chain.user, utc(at))
        at = quiet.timestamp() if quiet else at
        if waits := any(contacts.address(user, channel) is not None for channel in rule.channels):
            yield Coming(at, Phrase("ahead.rule", {"person": People((chain.user,)), "channels": ", ".join(rule.channels)}))
