"""What the record of an incident says of things that the file does not decide: which contacts failed, whose turn it was."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator

from amproxy.config.structs import NotifyStep
from amproxy.model import Incident, Page
from amproxy.oncall.roster import Roster
from amproxy.simulation.incident import Turns, World
from amproxy.simulation.recorded import PastPage, Record

NEAR = 60.0  # seconds: pages to the same person over the same channel that lie no further apart are the same page
_PUNCTUAL = 20.0  # seconds that a step may be late; less than the pause between two rounds
_BEGIN_ANEW = ("unacknowledge", "reopen", "snooze_over", "escalate", "reassign")  # events after which the rounds are counted from 1
TURN = "next in turn of "  # how the reason of a page by round robin begins


class Echo(World):
    """Of all records whose alerts come into one group."""

    def __init__(self, roster: Roster) -> None:
        self._roster = roster
        self._near: defaultdict[tuple[str, str, int], list[tuple[float, bool]]] = defaultdict(list)  # whom, channel, slot → due, failed
        self._failed: set[tuple[str, str]] = set()  # (whom, channel)
        self._arrived: set[tuple[str, str]] = set()
        self._turns: defaultdict[int, list[PastPage]] = defaultdict(list)  # by slot
        self._meant: dict[str, PastPage] = {}  # pointer → the page whose turn it was set to

    def add(self, record: Record) -> None:
        for page in record.pages:
            whom, due = page.user or page.receiver or "", page.due.timestamp()
            if page.state in ("sent", "failed"):
                failed = page.state == "failed"
                (self._failed if failed else self._arrived).add((whom, page.channel))
                self._near[whom, page.channel, _slot(due)].append((due, failed))

        for page in _turns(record):
            self._turns[_slot(page.due.timestamp())].append(page)

    def refuse(self, page: Page) -> str:
        """A page fails that failed then; so does one over a channel over which nothing arrived then."""
        whom = page.user or page.receiver
        known = (one for slot in _slots(page.due) for one in self._near.get((whom, page.channel, slot), ()))
        near = [failed for due, failed in known if abs(due - page.due) <= NEAR]
        never = (whom, page.channel) in self._failed and (whom, page.channel) not in self._arrived
        return "it failed then" if (any(near) if near else never) else ""

    def turns(self, incident: Incident, now: float) -> Turns:
        """The turns that were taken, where the same step of the same policy took one at about this time."""
        if not self._turns:
            return {}
        near = [page for slot in _slots(now) for page in self._turns.get(slot, ()) if abs(page.due.timestamp() - now) <= _PUNCTUAL]
        return {key: turn for page in reversed(near) for key, turn in self._pointer(incident, page)}

    def took(self, pointers: Iterable[str]) -> None:
        """Each of them is taken once."""
        for key in pointers:
            page = self._meant.pop(key, None)
            if page:
                self._turns[_slot(page.due.timestamp())].remove(page)

    def _pointer(self, incident: Incident, page: PastPage) -> Iterator[tuple[str, int]]:
        plan = incident.plan if incident.policy == page.policy else self._roster.config.policies.get(page.policy)
        step = plan.steps[page.step - 1] if plan and 0 < page.step <= len(plan.steps) else None
        if not isinstance(step, NotifyStep) or step.pick != "round_robin":
            return
        team = self._roster.config.teams.get(step.team)
        people = team.members if team else step.users
        if page.user in people:
            key = f"{page.policy}/{page.step}/{step.team or ','.join(people)}"
            self._meant[key] = page
            yield key, people.index(page.user)


def _turns(record: Record) -> Iterable[PastPage]:
    """The first page of each turn: the next contacts of the same person follow it."""
    begun = [event.at for event in record.events if event.kind in _BEGIN_ANEW]
    first: dict[object, PastPage] = {}
    for page in record.pages:
        if page.reason.startswith(TURN) and page.kind == "page":
            first.setdefault((bisect_right(begun, page.due), page.policy, page.step, page.round), page)
    return first.values()


def _slot(at: float) -> int:
    return int(at // NEAR)


def _slots(at: float) -> tuple[int, int, int]:
    """All in which something near may lie."""
    slot = _slot(at)
    return slot - 1, slot, slot + 1
