"""Events from deliveries: sent, failed and skipped pages, and updated messages."""

from __future__ import annotations

from amproxy.machine.actions import remind_after_failure
from amproxy.machine.chains import try_next_contact
from amproxy.machine.draft import Draft
from amproxy.machine.events import Failed, Sent, Skipped, Updated
from amproxy.model import Incident, Page


def on_sent(draft: Draft, event: Sent) -> None:
    page = _find_page(draft, event.page)
    if page is None:
        return
    page.state, page.sent_at, page.attempts, page.error = "sent", draft.now, event.attempt, ""
    page.ref = {} if page.once else event.ref
    page.shown, page.bundle = event.look, event.bundle
    others = f"{event.others} other{'' if event.others == 1 else 's'}"
    _record(
        draft,
        "sent",
        page,
        f"delivered in one message with {others}" if event.bundle else "delivered",
    )
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
    _record(draft, "skipped", page, f"not sent, {event.reason}")


def on_updated(draft: Draft, event: Updated) -> None:
    page = _find_page(draft, event.page)
    if page is None:
        return
    page.updating, page.shown, page.ref = False, event.look, event.ref or {}
    _update_outdated(draft, page)


def skip_reason(incident: Incident, page: Page) -> str:
    """The reason why a page that is due is not sent after all; "" = it is sent.

    A page is sent while nobody has answered; one that insists also while somebody else has
    acknowledged. A reminder is sent while the person whom it reminds has acknowledged.
    """
    if incident.merged_into:
        return f"#{incident.number} is part of another incident by now"
    state = f"#{incident.number} is {incident.state} by now"
    if page.kind == "reminder":
        if incident.state != "acknowledged":
            return state
        if incident.acknowledged_by != page.user:
            return f"#{incident.number} is acknowledged by somebody else by now"
        return ""
    if incident.state == "triggered":
        return ""
    if incident.state == "acknowledged" and page.insists and incident.acknowledged_by != page.user:
        return ""
    return state


def _find_page(draft: Draft, page_id: str) -> Page | None:
    return next((page for page in draft.incident.pages if page.id == page_id), None)


def _record(draft: Draft, kind: str, page: Page, result: str) -> None:
    recipient = draft.name(page.user) if page.user else f"receiver {page.receiver}"
    text = f"{page.channel} to {recipient}: {result}."
    draft.record(kind, text, user=page.user, channel=page.channel, step=page.step)


def _update_outdated(draft: Draft, page: Page) -> None:
    """Update a message once more where the incident changed while it was on its way."""
    if page.ref and page.shown < draft.incident.look:
        draft.update(page)
