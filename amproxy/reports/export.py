"""Export: tables as CSV for spreadsheets, and incidents as lines of the history, to be replayed.

Contacts are left out of the history: some of their addresses are secrets. Entries of the timeline
from before `data` was stored lack `until`, `firing`, `resolved`, `fresh`, `by` and `to`: None then.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, Generic, Literal, TypeVar

import msgspec

from amproxy.clock import Timestamp, rfc3339
from amproxy.config.structs import Policy, Urgency
from amproxy.model import Incident, Page, PageKind, PageState, TimelineEntry
from amproxy.simulation.recorded import HISTORY_FORMAT
from amproxy.text.render import PhraseRenderer, arguments_of, code_of

ListedIncident = TypeVar("ListedIncident")  # as the API's lists have it

# A spreadsheet takes a cell that begins so for a formula, and runs it: names of alerts and people
# come from anywhere. Tab, CR and newline count because some drop them before they look.
_FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r", "\n")

# Timeline entries of events from outside, or of a time that ran out → their kind in the history.
# What the policy did then stands in `pages`.
_EVENT_KINDS: Final = {
    "opened": "opened",
    "alerts": "alerts",
    "acknowledged": "acknowledge",
    "unacknowledged": "unacknowledge",
    "resolved": "resolve",
    "snoozed": "snooze",
    "triggered": "snooze_over",
    "escalated": "escalate",
    "note": "note",
    "reopened": "reopen",
    "merged": "merge",
    "unmerged": "unmerge",
    "taken_out": "take_out",
    "joined": "acknowledge",
    "renewed": "acknowledge",
    "reassigned": "reassign",
    "responders": "add_responders",
    "held": "hold",
    "released": "release",
}


def csv_text(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> str:
    """Return a table as CSV (RFC 4180) with a header row, safe to open in a spreadsheet.

    A map in a cell is flattened, as in csv_columns; None is empty, true and false are words. A text
    that a spreadsheet would take for a formula begins with an apostrophe.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(columns)
    for row in rows:
        cells = dict(_flatten_row(row))
        writer.writerow([_csv_cell(cells[name]) for name in columns])
    return out.getvalue()


def csv_columns(row: type[msgspec.Struct]) -> list[str]:
    """Return the columns of rows of this kind: those of a struct in a cell are NAME_FIELD."""
    columns = list[str]()
    for field in msgspec.structs.fields(row):
        if isinstance(field.type, type) and issubclass(field.type, msgspec.Struct):
            inner = csv_columns(field.type)
            columns += (f"{field.encode_name}_{name}" for name in inner)
        else:
            columns.append(field.encode_name)
    return columns


def _flatten_row(row: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in row.items():
        if isinstance(value, Mapping):
            yield from _flatten_row(value, f"{prefix}{name}_")
        else:
            yield f"{prefix}{name}", value


def _csv_cell(value: Any) -> Any:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str) and value.startswith(_FORMULA_STARTS):
        return f"'{value}"
    return value


class HistoryLabels(msgspec.Struct, kw_only=True):
    group_labels: dict[str, str]
    common_labels: dict[str, str]
    receiver: str | None
    group_key: str | None


class HistoryEvent(msgspec.Struct, kw_only=True):
    at: Timestamp
    kind: str
    user: str | None
    text: str
    code: str | None
    arguments: dict[str, Any] | None
    until: Timestamp | None
    firing: int | None
    resolved: int | None
    fresh: int | None
    severity: str | None  # of the gravest that fires
    joined: dict[str, str] | None  # labels of a new alert that is graver, or pages anew
    by: str | None
    ended: str | None  # the reason, or "person"
    to: list[str] | None
    policy: str | None


class HistoryPage(msgspec.Struct, kw_only=True):
    due: Timestamp
    at: Timestamp | None
    kind: PageKind
    user: str | None
    receiver: str | None
    channel: str
    policy: str
    step: int
    round: int
    state: PageState
    reason: str
    reason_code: str | None
    reason_arguments: dict[str, Any] | None


class HistoryLine(msgspec.Struct, Generic[ListedIncident], kw_only=True):
    """An incident with all that is needed to replay it under another policy."""

    format: Literal["amproxy.history/1"]
    incident: ListedIncident
    plan: dict[str, Any]  # the policy as it was stored
    forwards: dict[str, dict[str, Any]]
    urgency: Urgency | None
    team: str | None
    labels: HistoryLabels
    events: list[HistoryEvent]
    pages: list[HistoryPage]


def history_line(
    incident: Incident,
    timeline: Iterable[TimelineEntry],
    view: ListedIncident,
    words: PhraseRenderer,
) -> HistoryLine[ListedIncident]:
    """One line of the history.

    timeline: oldest first; view: the incident as in the API's lists; words: of its texts.
    """
    return HistoryLine(
        format=HISTORY_FORMAT,
        incident=view,
        plan=_policy_fields(incident.plan),
        forwards={name: _policy_fields(plan) for name, plan in incident.forwards.items()},
        urgency=incident.urgency,
        team=incident.team or None,
        labels=HistoryLabels(
            group_labels=incident.group_labels,
            common_labels=incident.common_labels,
            receiver=incident.receiver or None,
            group_key=incident.group_key or None,
        ),
        events=[_history_event(entry, words) for entry in timeline if entry.kind in _EVENT_KINDS],
        pages=[_history_page(page, words) for page in incident.pages],
    )


def _history_event(entry: TimelineEntry, words: PhraseRenderer) -> HistoryEvent:
    until = entry.data.get("until")
    return HistoryEvent(
        at=rfc3339(entry.at),
        kind=_EVENT_KINDS[entry.kind],
        user=entry.user or None,
        text=words.text(entry.words),
        code=code_of(entry.what),
        arguments=arguments_of(entry.what),
        until=rfc3339(until) if isinstance(until, int | float) else None,
        firing=entry.data.get("firing"),
        resolved=entry.data.get("resolved"),
        fresh=entry.data.get("fresh"),
        severity=entry.data.get("severity"),
        joined=entry.data.get("joined"),
        by=entry.data.get("by"),
        ended=entry.data.get("ended"),
        to=entry.data.get("to"),
        policy=entry.policy or None,
    )


def _history_page(page: Page, words: PhraseRenderer) -> HistoryPage:
    return HistoryPage(
        due=rfc3339(page.due),
        at=rfc3339(page.sent_at),
        kind=page.kind,
        user=page.user or None,
        receiver=page.receiver or None,
        channel=page.channel,
        policy=page.policy,
        step=page.step,
        round=page.round,
        state=page.state,
        reason=words.text(page.reason),
        reason_code=code_of(page.reason),
        reason_arguments=arguments_of(page.reason),
    )


def _policy_fields(plan: Policy) -> Any:
    """Return the policy as it was stored, without the places in a file."""
    return _without_places(msgspec.to_builtins(plan))


def _without_places(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_places(inner) for name, inner in value.items() if name != "place"}
    if isinstance(value, list | tuple):
        return [_without_places(inner) for inner in value]
    return value
