"""One recorded incident beside what would have become of it: whose pages are the same, and whose are not."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from amproxy.model import Page
from amproxy.simulation.echo import NEAR, TURN
from amproxy.simulation.group import Lane
from amproxy.simulation.recorded import PastPage, Record
from amproxy.simulation.shares import Shares

_AT_THE_SAME_TIME = 2.0  # seconds: a page that comes so shortly before an answer may have come after it in truth
_BY_HAND = {
    "escalate": "somebody ran the next step by hand",
    "reassign": "somebody reassigned it by hand",
    "add_responders": "more people were asked to join by hand",
    "merge": "another incident was merged into it",
}
_UNKNOWN_END = {"policy": "a step of its policy", "silent": "the lack of news", "merged": "a merge", "moved": "a change of the file"}


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """A page that arrived, or would have."""

    at: float  # Unix seconds
    kind: str  # page, reminder
    user: str  # "" = a receiver
    receiver: str
    channel: str
    policy: str
    step: int
    round: int
    reason: str

    @property
    def whom(self) -> tuple[str, str, str, str]:
        return self.kind, self.user, self.receiver, self.channel


class Way(msgspec.Struct, frozen=True, kw_only=True):
    """Where an incident went."""

    receiver: str
    policy: str


class Compared(msgspec.Struct, kw_only=True):
    """One incident, as it was and as it would have been."""

    record: Record
    before: Way
    now: list[Way]
    only_before: list[Call]
    only_now: list[Call]
    same: list[Call]  # as they were
    uncertain: list[str]  # why this may be wrong
    part_of: int = 0  # number of the incident that its alerts would have been part of; 0 = none

    @property
    def different(self) -> bool:
        return bool(self.only_before or self.only_now)

    @property
    def lost(self) -> bool:
        """Whether it would have reached no person, and did."""
        return not self.part_of and any(one.user for one in (*self.only_before, *self.same)) and not any(
            one.user for one in (*self.only_now, *self.same)
        )  # fmt: skip


def compare(record: Record, lanes: Sequence[Lane], shares: Shares, joined: int, end: float) -> Compared:
    """joined: number of the incident that speaks for its alerts where it has no lane; 0 = none does. end: of all that is recorded."""
    before = [_past(page) for page in record.pages if page.state == "sent"]
    not_sent = [_past(page) for page in record.pages if page.state not in ("sent", "failed")]
    now = [_foreseen(page) for lane in lanes for page in shares.pages(lane, record)]
    same, only_before, only_now = _pair(before, now)
    # What was on its way when somebody answered was not sent; so close to it nobody can say.
    _, _, only_now = _pair(not_sent, only_now)
    only_now = [call for call in only_now if call.at <= end and not _close_to_an_answer(record, call)]
    busy = [number for lane in lanes if (number := shares.part_of(lane, record))]
    compared = Compared(
        record=record,
        before=Way(receiver=record.labels.receiver or "", policy=record.incident.policy),
        now=[Way(receiver=lane.group.receiver, policy=shares.policy(lane, record)) for lane in lanes],
        only_before=only_before,
        only_now=only_now,
        same=same,
        uncertain=[],
        part_of=busy[0] if lanes and len(busy) == len(lanes) else joined if not lanes else 0,
    )
    compared.uncertain = list(dict.fromkeys(_doubts(compared, lanes)))
    return compared


def _past(page: PastPage) -> Call:
    return Call(
        at=page.due.timestamp(), kind=page.kind, user=page.user or "", receiver=page.receiver or "", channel=page.channel,
        policy=page.policy, step=page.step, round=page.round, reason=page.reason,
    )  # fmt: skip


def _foreseen(page: Page) -> Call:
    return Call(
        at=page.due, kind=page.kind, user=page.user, receiver=page.receiver, channel=page.channel, policy=page.policy, step=page.step,
        round=page.round, reason=page.reason,
    )  # fmt: skip


def _pair(before: Iterable[Call], now: Iterable[Call]) -> tuple[list[Call], list[Call], list[Call]]:
    """Those that are the same (as they were), those only before, those only now: pairs in order of time, no further apart than NEAR."""
    waiting: defaultdict[tuple[str, ...], deque[Call]] = defaultdict(deque)
    for call in sorted(now, key=lambda call: call.at):
        waiting[call.whom].append(call)
    same, only_before, only_now = [], [], []
    for call in sorted(before, key=lambda call: call.at):
        others = waiting[call.whom]
        while others and others[0].at < call.at - NEAR:
            only_now.append(others.popleft())
        if others and others[0].at <= call.at + NEAR:
            others.popleft()
            same.append(call)
        else:
            only_before.append(call)
    only_now += [call for others in waiting.values() for call in others]
    return same, only_before, sorted(only_now, key=lambda call: call.at)


def _close_to_an_answer(record: Record, call: Call) -> bool:
    return any(
        0 <= event.at.timestamp() - call.at <= _AT_THE_SAME_TIME and event.kind in ("acknowledge", "resolve", "snooze")
        for event in record.events
    )


def _doubts(found: Compared, lanes: Sequence[Lane]) -> Iterator[str]:
    record = found.record
    if record.by_hand:
        yield "it was opened by hand"
    for event in record.events:
        if event.kind in _BY_HAND and event.user is not None:
            yield _BY_HAND[event.kind]
    if not found.different:
        return
    if any(call.reason.startswith(TURN) for call in (*found.only_before, *found.only_now)):
        yield "whose turn it is in a round robin hangs on what came before"
    ends = [event.ended_by for event in record.events if event.kind == "resolve"]
    if ends and ends[-1] in _UNKNOWN_END:
        yield f"how long its alerts fired is not known, because {_UNKNOWN_END[ends[-1]]} ended it"
    if any(page.state == "failed" for page in record.pages):
        yield "a page of it failed then; when, is not recorded"
    several = any((event.firing or 0) + (event.resolved or 0) > 1 for event in record.events)
    if several and any(lane.group.labels != record.labels.group_labels for lane in lanes):
        yield "its alerts may fall into several groups now"
