"""Which of a lane's pages belong to which record: the incidents of one group follow each other, and may have become one."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict

from amproxy.model import Page
from amproxy.simulation.group import Lane
from amproxy.simulation.history import History
from amproxy.simulation.recorded import Record

_PUNCTUAL = 1.0  # seconds between what a record says of its beginning and its first page


class Shares:
    """Of a history that has run."""

    def __init__(self, history: History) -> None:
        records: defaultdict[int, list[Record]] = defaultdict(list)  # id of the lane → in order of their beginning
        self._shares: dict[int, _Share] = {}
        for record, lanes in zip(history.records, history.lanes, strict=True):
            for lane in lanes:
                records[id(lane)].append(record)
        for lane in {id(lane): lane for lanes in history.lanes for lane in lanes}.values():
            self._shares[id(lane)] = _Share(lane, records[id(lane)])

    def pages(self, lane: Lane, record: Record) -> list[Page]:
        """Those that the record's incident would have caused."""
        return self._shares[id(lane)].pages.get(record.incident.id, [])

    def part_of(self, lane: Lane, record: Record) -> int:
        """Number of the incident that its alerts would have become part of; 0 = they would have had one of their own."""
        return self._shares[id(lane)].part_of.get(record.incident.id, 0)

    def policy(self, lane: Lane, record: Record) -> str:
        """The policy that the record's incident would have followed last."""
        return self._shares[id(lane)].policies.get(record.incident.id) or str(lane.integration.settings.escalation_policy)


class _Share:
    """Of one lane, by id of the record's incident."""

    def __init__(self, lane: Lane, records: list[Record]) -> None:
        self.pages: defaultdict[str, list[Page]] = defaultdict(list)
        self.part_of: dict[str, int] = {}
        self.policies: dict[str, str] = {}
        firsts = [max(1, bisect_right(records, course.incident.started_at + _PUNCTUAL, key=_start)) - 1 for course in lane.courses]
        for number, (course, first) in enumerate(zip(lane.courses, firsts, strict=True)):
            # Up to the record that the next incident begins with; the first also has what began while nothing could be opened.
            last = max(first + 1, firsts[number + 1]) if number + 1 < len(firsts) else len(records)
            own = records[first if number else 0 : last]
            for record in own:
                self.policies[record.incident.id] = course.incident.policy
                speaker = _speaker(own, record.start)
                self.part_of[record.incident.id] = 0 if speaker is record else speaker.incident.number
            for page in course.pages:
                self.pages[_speaker(own, page.due).incident.id].append(page)


def _speaker(records: list[Record], at: float) -> Record:
    """The record that was open longest at a moment; where none was, the last that had begun."""
    begun = records[: max(1, bisect_right(records, at + _PUNCTUAL, key=_start))]
    return next((record for record in begun if record.over > at), begun[-1])


def _start(record: Record) -> float:
    return record.start
