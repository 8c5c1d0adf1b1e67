"""Which of a lane's pages belong to which record: the incidents of one group follow each other, and may have become one."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict

from amproxy.foresight.history import History
from amproxy.foresight.lane import Lane
from amproxy.foresight.records import Record
from amproxy.model import Page

_PUNCTUAL = 1.0  # seconds between what a record says of its beginning and its first page


class Shares:
    """Of a history that has run."""

    def __init__(self, history: History) -> None:
        self._records: defaultdict[int, list[Record]] = defaultdict(list)  # id of the lane → in order of their beginning
        self._pages: dict[int, dict[str, list[Page]]] = {}
        for record, lanes in zip(history.records, history.lanes, strict=True):
            for lane in lanes:
                self._records[id(lane)].append(record)
        for lane in {id(lane): lane for lanes in history.lanes for lane in lanes}.values():
            self._pages[id(lane)] = self._shared(lane)

    def pages(self, lane: Lane, record: Record) -> list[Page]:
        """Those that the record's incident would have caused."""
        return self._pages[id(lane)].get(record.incident.id, [])

    def part_of(self, lane: Lane, record: Record) -> int:
        """Number of the incident that its alerts would have become part of; 0 = they would have had one of their own."""
        other = self._speaker(self._records[id(lane)], record.start)
        return 0 if other is record else other.incident.number

    def policy(self, lane: Lane, record: Record) -> str:
        """The policy that the record's incident would have followed last."""
        courses = [course for course in lane.courses if course.incident.started_at <= record.start + _PUNCTUAL] or lane.courses
        return courses[-1].incident.policy if courses else str(lane.integration.settings.escalation_policy)

    def _shared(self, lane: Lane) -> dict[str, list[Page]]:
        records, shared = self._records[id(lane)], defaultdict[str, list[Page]](list)
        for course in lane.courses:
            for page in course.pages:
                shared[self._speaker(records, page.due).incident.id].append(page)
        return shared

    def _speaker(self, records: list[Record], at: float) -> Record:
        """The record that was open longest at a moment; where none was, the last that had begun."""
        begun = max(1, bisect_right(records, at + _PUNCTUAL, key=lambda record: record.start))
        last = records[begun - 1]
        # Records of one group hardly overlap: as far back as they do.
        first = begun - 1
        while first and records[first - 1].over > at:
            first -= 1
        return records[first] if first < begun - 1 else last
