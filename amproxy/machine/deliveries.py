"""What became of pages and of the messages about an incident.

Whether a page still stands at the moment of sending. Pure.
"""

from __future__ import annotations

from amproxy.machine import actions, chains
from amproxy.machine.draft import Draft
from amproxy.machine.events import Failed, Sent, Skipped, Updated
from amproxy.model import Incident, Page


def _find_page(draft: Draft, page_id: str) -> Page | None:
    return next((page for page in draft.incident.pages if page.id == page_id), None)


def _recipient_text(draft: Draft, page: Page) -> str:
    return draft.name(page.user) if page.user else f"receiver {page.receiver}"


def on_sent(draft: Draft, event: Sent) -> None:
    page = _find_page(draft, event.page)
    if page is None:
        return
    page.state, page.sent_at, page.attempts, page.error = "sent", draft.now, event.attempt, ""
    page.ref = {} if page.once else event.ref
    page.shown, page.bundle = event.look, event.bundle
    text = f"{page.channel} to {_recipient_text(draft, page)}: delivered{_bundle_text(event)}."
    draft.say("sent", text, user=page.user, channel=page.channel, step=page.step)
    if page.ref and page.shown < draft.incident.look:
        draft.update(page)


def _bundle_text(event: Sent) -> str:
    return f" in one message with {event.others} other{'s' if event.others != 1 else ''}" if event.bundle else ""


def on_failed(draft: Draft, event: Failed) -> None:
    page = _find_page(draft, event.page)
    if page is None or page.state == "sent":
        return
    page.state, page.attempts, page.error = "failed", event.attempt, event.error
    draft.say(
        "failed", f"{page.channel} to {_recipient_text(draft, page)}: {event.error}.", user=page.user, channel=page.channel, step=page.step
    )
    if page.kind == "reminder":
        actions.remind_after_failure(draft, page)
    elif page.user and (draft.incident.state == "triggered" or (page.insists and draft.incident.state != "resolved")):
        chains.try_next_contact(draft, page)


def on_skipped(draft: Draft, event: Skipped) -> None:
    page = _find_page(draft, event.page)
    if page is None or page.state != "due":
        return
    page.state, page.error = "skipped", event.reason
    draft.say(
        "skipped",
        f"{page.channel} to {_recipient_text(draft, page)}: not sent, {event.reason}.",
        user=page.user,
        channel=page.channel,
        step=page.step,
    )


def on_updated(draft: Draft, event: Updated) -> None:
    page = _find_page(draft, event.page)
    if page is None:
        return
    page.updating, page.shown, page.ref = False, event.look, event.ref or {}
    if page.ref and page.shown < draft.incident.look:
        draft.update(page)


def skip_reason(incident: Incident, page: Page) -> str:
    """Why a page that is due is not sent after all; "" = it is.

    A page goes out while nobody has answered; one that insists also while somebody else has acknowledged. A reminder goes out while
    the one whom it reminds holds the acknowledgement.
    """
    if incident.merged_into:
        return f"#{incident.number} is part of another incident by now"
    if page.kind == "reminder":
        if incident.state != "acknowledged":
            return f"#{incident.number} is {incident.state} by now"
        return "" if incident.acknowledged_by == page.user else f"#{incident.number} is acknowledged by somebody else by now"
    if incident.state == "triggered":
        return ""
    if incident.state == "acknowledged" and page.insists and incident.acknowledged_by != page.user:
        return ""
    return f"#{incident.number} is {incident.state} by now"
