"""Read an exported history (reports.export, `GET /api/v1/history`): one incident a line."""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import datetime
from functools import cached_property
from typing import Annotated, Literal

import msgspec

from amproxy.config.structs import NotifyStep, Policy, Urgency
from amproxy.machine.recipients import TURN_REASONS
from amproxy.model import END_REASONS, EndReason

HISTORY_FORMAT: Literal["amproxy.history/1"] = "amproxy.history/1"
AwareTime = Annotated[datetime, msgspec.Meta(tz=True)]


class RecordedEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An event from outside, or of a time that ran out."""

    at: AwareTime
    kind: str
    user: str | None = None
    text: str = ""
    until: AwareTime | None = None
    firing: int | None = None
    resolved: int | None = None
    fresh: int | None = None  # alerts that were new
    severity: str | None = None  # of the gravest that fired
    joined: dict[str, str] | None = None  # labels of one that was graver, or paged anew
    to: tuple[str, ...] | None = None  # people who were paged by hand
    policy: str | None = None  # in force after it
    by: str | None = None  # what resolved it: an EndReason, or a person
    ended: str | None = None  # the EndReason, or "person"; older lines have `by` only

    @property
    def end_reason(self) -> EndReason | None:
        """The cause of the end; None = a person resolved it."""
        if self.ended is None and self.by is None and not self.user:
            return "policy"  # of lines that name neither: how long the alerts fired is not known
        return END_REASONS.get(self.ended or self.by or "")


class RecordedPage(msgspec.Struct, frozen=True, kw_only=True):
    """A page as it was."""

    due: AwareTime
    at: AwareTime | None = None  # when it went out
    kind: str = "page"
    user: str | None = None
    receiver: str | None = None
    channel: str
    policy: str = ""
    step: int = 0
    round: int = 1
    state: str
    reason: str = ""
    reason_code: str | None = None  # older lines have none

    def in_turn(self, plan: Policy) -> bool:
        """True where it was paged by round robin. plan: of its incident."""
        if self.reason_code is not None:
            return self.reason_code in TURN_REASONS
        known = self.policy == plan.name and 0 < self.step <= len(plan.steps)
        step = plan.steps[self.step - 1] if known else None
        return isinstance(step, NotifyStep) and step.pick == "round_robin"


class RecordedLabels(msgspec.Struct, frozen=True, kw_only=True):
    group_labels: dict[str, str] = {}
    common_labels: dict[str, str] = {}
    receiver: str | None = None
    group_key: str | None = None


class RecordedIncidentSummary(msgspec.Struct, frozen=True, kw_only=True):
    """An incident as the API's lists have it."""

    id: str
    number: int = 0
    title: str = ""
    state: str
    policy: str = ""
    started_at: AwareTime


class RecordedIncident(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """One line of the history."""

    format: Literal["amproxy.history/1"]
    incident: RecordedIncidentSummary
    plan: Policy
    urgency: Urgency | None = None
    labels: RecordedLabels
    events: tuple[RecordedEvent, ...] = ()
    pages: tuple[RecordedPage, ...] = ()

    @property
    def by_hand(self) -> bool:
        """True where a person opened it: it has no group."""
        return not self.labels.group_key

    @cached_property
    def start(self) -> float:
        """The beginning, Unix seconds."""
        return self.incident.started_at.timestamp()

    @cached_property
    def end(self) -> float:
        """The last that is known of it, Unix seconds."""
        moments = [event.at for event in self.events] + [page.at or page.due for page in self.pages]
        return max((at.timestamp() for at in moments), default=self.start)

    @cached_property
    def over(self) -> float:
        """The end for good, Unix seconds; inf = it is open, or was opened again since."""
        over = math.inf
        for event in self.events:
            if event.kind == "resolve":
                over = event.at.timestamp()
            elif event.kind in ("reopen", "unmerge"):
                over = math.inf
        return over

    @property
    def holds(self) -> list[tuple[float, float]]:
        """The periods in which nobody was paged because the alerts were muted, Unix seconds."""
        holds, since = [], math.inf
        for event in self.events:
            at = event.at.timestamp()
            if event.kind == "hold":
                since = min(since, at)
            elif event.kind in ("release", "resolve") and since < at:
                holds.append((since, at))
                since = math.inf
        return [*holds, (since, self.end)] if since < self.end else holds

    @cached_property
    def alert_labels(self) -> dict[str, str]:
        """The labels that its alerts shared."""
        return {**self.labels.common_labels, **self.labels.group_labels}


class BrokenHistoryLine(msgspec.Struct, frozen=True, kw_only=True):
    """A line that cannot be read."""

    line: int  # from 1
    message: str


_decode_incident = msgspec.json.Decoder(RecordedIncident).decode


def read_history(lines: Iterable[bytes]) -> tuple[list[RecordedIncident], list[BrokenHistoryLine]]:
    """Return the incidents in order of their beginning, and the lines that cannot be read."""
    records, broken = [], []
    # A broken line is reported and left out: one from another version must not spoil the rest.
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            records.append(_decode_incident(line))
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            message = f"no incident of an exported history: {error}"
            broken.append(BrokenHistoryLine(line=number, message=message))
    return sorted(records, key=lambda record: (record.start, record.incident.number)), broken


def select_by_start(
    records: Iterable[RecordedIncident], start: float | None, end: float | None
) -> list[RecordedIncident]:
    """Return those that began from `start` to before `end` (Unix seconds); None = no bound."""
    return [
        record
        for record in records
        if (start is None or start <= record.start) and (end is None or record.start < end)
    ]
