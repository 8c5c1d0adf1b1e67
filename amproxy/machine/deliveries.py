"""Events from deliveries: sent, failed and skipped pages, and updated messages."""

from __future__ import annotations

from typing import Final

from amproxy.machine.actions import remind_after_failure
from amproxy.machine.chains import try_next_contact
from amproxy.machine.draft import Draft
from amproxy.machine.events import Failed, Sent, Skipped, Updated
from amproxy.model import Incident, IncidentState, Page
from amproxy.text import IncidentNumber, Phrase, Words, phrase

STATE_PHRASES: Final[dict[IncidentState, Phrase]] = {
    "triggered": phrase("is.triggered"),
    "acknowledged": phrase("is.acknowledged"),
    "snoozed": phrase("is.snoozed"),
    "resolved": phrase("is.resolved"),
}


def on_sent(draft: Draft, event: Sent) -> None:
    page = _find_page(draft, event.page)
    if page is None:
        return
    page.state, page.sent_at, page.attempts, page.error = "sent", draft.now, event.attempt, ""
    page.ref = {} if page.once else event.ref
    page.shown, page.bundle = event.look, event.bundle
    result = phrase("outcome.delivered")
    if event.bundle:
        result = phrase("outcome.delivered_together", n=event.others)
    _record(draft, "sent", page, result)
    _update_outdated(draft, page)


def on_failed(draft: Draft, event: Failed) -> None:
    page = _find_page(draft, event.page)
    # Delivery is at least once: another attempt may have arrived already.
    if page is None or page.state == "sent":
        return
    page.state, page.attempts, page.error = "failed", event.attempt, event.error
    _record(draft, "failed", page, event.error)
    if page.kind == "reminder":
        remind_after_failure(draft, page)
    elif page.user and _is_unanswered(draft.incident, page):
        try_next_contact(draft, page)


def _is_unanswered(incident: Incident, page: Page) -> bool:
    # During a snooze too: its end finds the person's rules ready to go on.
    if incident.state in ("triggered", "snoozed"):
        return True
    return incident.state == "acknowledged" and page.insists


def on_skipped(draft: Draft, event: Skipped) -> None:
    page = _find_page(draft, event.page)
    if page is None or page.state != "due":
        return
    page.state, page.error = "skipped", event.reason
    _record(draft, "skipped", page, phrase("outcome.not_sent", reason=event.reason))


def on_updated(draft: Draft, event: Updated) -> None:
    page = _find_page(draft, event.page)
    if page is None:
        return
    page.updating, page.shown, page.ref = False, event.look, event.ref or {}
    _update_outdated(draft, page)


def skip_reason(incident: Incident, page: Page) -> Phrase | None:
    """The reason why a page that is due is not sent after all; None = it is sent.

    A page is sent while nobody has answered; one that insists also while somebody else has
    acknowledged. A reminder is sent while the person whom it reminds has acknowledged.
    """
    this = IncidentNumber(incident.number)
    if incident.merged_into:
        return phrase("outcome.is_merged", incident=this)
    state = phrase("outcome.is_so", incident=this, state=STATE_PHRASES[incident.state])
    if page.kind == "reminder":
        if incident.state != "acknowledged":
            return state
        if incident.acknowledged_by != page.user:
            return phrase("outcome.is_others", incident=this)
        return None
    if incident.state == "triggered":
        return None
    if incident.state == "acknowledged" and page.insists and incident.acknowledged_by != page.user:
        return None
    return state


def _find_page(draft: Draft, page_id: str) -> Page | None:
    return next((page for page in draft.incident.pages if page.id == page_id), None)


def _record(draft: Draft, kind: str, page: Page, result: Words) -> None:
    what = phrase(
        "event.receiver_page", channel=page.channel, receiver=page.receiver, result=result
    )
    if page.user:
        person = draft.people(page.user)
        what = phrase("event.page", channel=page.channel, person=person, result=result)
    draft.record(kind, what, user=page.user, channel=page.channel, step=page.step)


def _update_outdated(draft: Draft, page: Page) -> None:
    """Update a message once more where the incident changed while it was on its way."""
    if page.ref and page.shown < draft.incident.look:
        draft.update(page)
