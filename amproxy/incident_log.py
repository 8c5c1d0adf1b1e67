"""The lines of the service's log about incidents, all of them made from a Change once it is stored.

They follow the timeline: its kinds are the messages, so what an incident's page tells can be found
in the log by the incident's number.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from amproxy.clock import utc
from amproxy.log import EventLog
from amproxy.model import Change, Incident, Page, TimelineEntry
from amproxy.text.render import in_english

log = EventLog(__name__)

# Kinds of the timeline that an operator should see before others.
_LEVELS: Final = {
    "failed": logging.ERROR,
    "nobody": logging.WARNING,
    "ended": logging.WARNING,
    "flapping": logging.WARNING,
}
_OF_PAGES: Final = frozenset({"sent", "failed", "skipped"})
# Kinds whose fields say all; what people wrote in a note is read on the page.
_SAY_ALL: Final = frozenset(
    {"opened", "alerts", "acknowledged", "snoozed", "resolved", "note", *_OF_PAGES}
)
_LEFT_OUT: Final = "note"


class IncidentLine(NamedTuple):
    """One line of the log: level, message, fields."""

    level: int
    msg: str
    fields: dict[str, Any]


def log_change(change: Change) -> None:
    """Write what a change that is stored has done."""
    for line in change_lines(change):
        log.log(line.level, line.msg, line.fields)


def change_lines(change: Change) -> Iterator[IncidentLine]:
    """One line for each entry of the timeline, then one for each page that was queued."""
    pages = {page.id: page for page in change.incident.pages}
    for entry in change.timeline:
        yield _entry_line(change, entry, pages)
    for message in change.outbox:
        if message.kind == "page":
            yield _paged_line(change.incident, pages[message.page])


def incident_fields(incident: Incident) -> dict[str, Any]:
    """The fields of every line about an incident."""
    return {
        "incident": incident.number,
        "source": incident.source,
        "policy": incident.policy,
    }


def _entry_line(change: Change, entry: TimelineEntry, pages: dict[str, Page]) -> IncidentLine:
    page = pages.get(change.page) if entry.kind in _OF_PAGES else None
    if page is not None and (page.user, page.channel) != (entry.user, entry.channel):
        page = None  # another page, which followed from this one's failure
    fields = incident_fields(change.incident)
    # A `forward` step changes the policy in the middle of a change.
    fields["policy"] = entry.policy or fields["policy"]
    fields["step"] = entry.step or None
    fields |= {"user": entry.user, "channel": entry.channel} if page is None else _recipient(page)
    if entry is change.timeline[0]:
        fields["via"] = change.via  # what follows in the same change is the machine's
    if entry.kind == "opened":
        fields |= _opened_fields(change.incident)
    for name, value in entry.data.items():
        if name != _LEFT_OUT and value != entry.user:
            fields.setdefault(name, _moment(value) if name == "until" else value)
    if page is not None:
        fields |= _delivery_fields(page)
    elif entry.kind not in _SAY_ALL or entry.kind == "failed":
        fields["detail"] = in_english(entry.words)
    return IncidentLine(_LEVELS.get(entry.kind, logging.INFO), _message(change, entry), fields)


def _moment(at: float) -> str:
    return f"{utc(at):%Y-%m-%dT%H:%M:%SZ}"


def _message(change: Change, entry: TimelineEntry) -> str:
    """The kind of an entry, but for those for which a log has a better word."""
    if entry.kind == "sent":
        return "delivered"
    later = entry.step > 1 or change.incident.round > 1
    if entry.kind == "step" and later and "users" in entry.data:
        return "escalated"
    return entry.kind


def _opened_fields(incident: Incident) -> dict[str, Any]:
    return {
        "id": incident.id,
        "title": incident.title,
        "receiver": incident.receiver,
        "team": incident.team,
    }


def _recipient(page: Page) -> dict[str, Any]:
    """A page's recipient and channel; no address, which may be a secret."""
    return {
        "user": page.user,
        "receiver": page.receiver,
        "integration": page.integration,
        "channel": page.channel,
        "kind": "" if page.kind == "page" else page.kind,
    }


def _delivery_fields(page: Page) -> dict[str, Any]:
    reason = in_english(page.error)
    if page.address:
        reason = reason.replace(page.address, "…")
    return {
        "attempt": page.attempts or None,
        "after": None if page.sent_at is None else max(0.0, page.sent_at - page.due),
        "bundle": page.bundle,
        "reason" if page.state == "skipped" else "error": reason,
    }


def _paged_line(incident: Incident, page: Page) -> IncidentLine:
    fields = incident_fields(incident)
    fields["policy"] = page.policy or fields["policy"]
    fields |= {"step": page.step or None, "round": page.round if page.round > 1 else None}
    return IncidentLine(logging.INFO, "paged", fields | _recipient(page))
