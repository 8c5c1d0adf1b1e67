"""The draft that a transition works on, and the state changes and waits that all events share."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from amproxy.model import EndReason, Incident, OutgoingMessage, Page, TimelineEntry, WaitReason
from amproxy.oncall.roster import Roster
from amproxy.text import PeopleNames, Phrase, Words, phrase

END_PHRASES: Final[dict[EndReason, Phrase]] = {
    "source": phrase("end.source"),
    "expired": phrase("end.expired"),
    "unnamed": phrase("end.unnamed"),
    "moved": phrase("end.moved"),
    "policy": phrase("end.policy"),
    "silent": phrase("end.silent"),
    "merged": phrase("end.merged"),
}

# A byte → one of 32 letters. 256 is a multiple of 32, so that each letter is equally likely.
_ID_LETTERS = b"abcdefghijkmnpqrstuvwxyz23456789" * 8


@dataclass
class Draft:
    """A working copy of the incident, with what has been decided so far."""

    incident: Incident
    now: float  # Unix seconds
    roster: Roster
    turns: dict[str, int]  # round-robin pointers as stored
    timeline: list[TimelineEntry] = field(default_factory=list)
    outbox: list[OutgoingMessage] = field(default_factory=list)
    moved_turns: dict[str, tuple[int, int]] = field(default_factory=dict)
    nobody: list[str] = field(default_factory=list)
    # (policy, number) of each step that ran in this transition: none runs twice at one time.
    ran: set[tuple[str, int]] = field(default_factory=set)

    def record(
        self,
        kind: str,
        what: Phrase,
        *,
        user: str = "",
        channel: str = "",
        step: int = 0,
        **data: Any,
    ) -> None:
        """Write one fact into the timeline. data: the same facts for programs."""
        entry = TimelineEntry(
            at=self.now,
            kind=kind,
            what=what,
            user=user,
            channel=channel,
            policy=self.incident.policy,
            step=step,
            data=data,
        )
        self.timeline.append(entry)

    def name(self, user: str) -> str:
        """The name of a user in a refusal: the full one where the file has it; "" is "somebody"."""
        return self.roster.config.full_name(user) or "somebody"

    def people(self, *users: str) -> PeopleNames:
        """Users with the full names that they have now; "" is somebody."""
        full_names = tuple(map(self.roster.config.full_name, users))
        return PeopleNames(users, () if full_names == users else full_names)

    def page(self, page: Page) -> None:
        """Queue a page."""
        first = not any(p.user == page.user for p in self.incident.pages)
        self.incident.pages.append(page)
        message = OutgoingMessage(
            id=page.id,
            kind="page",
            channel=page.channel,
            incident=self.incident.id,
            page=page.id,
            user=page.user,
            integration=_destination(page),
            urgent=first,
            due=page.due,
        )
        self.outbox.append(message)

    def refresh_messages(self, news: Phrase) -> None:
        """Have every message about the incident updated. news: the change."""
        self.incident.look += 1
        self.incident.news = news
        for page in self.incident.pages:
            # One update of a message at a time: when it is done, `on_updated` queues the next.
            if page.ref and not page.updating:
                self.update(page)

    def update(self, page: Page) -> None:
        """Queue an update of the message of a page."""
        page.updating = True
        message = OutgoingMessage(
            id=new_id(),
            kind="update",
            channel=page.channel,
            incident=self.incident.id,
            page=page.id,
            user=page.user,
            integration=_destination(page),
            due=self.now,
        )
        self.outbox.append(message)


def _destination(page: Page) -> str:
    """The integration whose chat a page goes to; "" where it goes to a person."""
    return f"{page.receiver}/{page.integration}" if page.receiver else ""


def new_id() -> str:
    """A short id that nobody can guess: 12 characters of base 32."""
    return secrets.token_bytes(12).translate(_ID_LETTERS).decode()


def set_wait(
    draft: Draft, waiting: WaitReason, until: float | None, waiting_for: Words = ""
) -> None:
    """Let the next step wait until a time (Unix seconds); None = until an event ends the wait.

    There is one wait at a time.
    """
    incident = draft.incident
    incident.step_due, incident.waiting, incident.waiting_for = until, waiting, waiting_for


def end_wait(draft: Draft) -> None:
    """Run the next step now."""
    set_wait(draft, "", draft.now)


def clear_wait(draft: Draft) -> None:
    """Run nothing of the policy any more."""
    set_wait(draft, "", None)


def restart_steps(draft: Draft) -> None:
    """Begin the policy at its first step, now."""
    incident = draft.incident
    incident.position, incident.round = 0, 1
    _keep_manual_chains(draft)
    end_wait(draft)


def stop_steps(draft: Draft) -> None:
    """Cancel all that is due of the policy and of an acknowledgement, but no chain by hand."""
    incident = draft.incident
    clear_wait(draft)
    _keep_manual_chains(draft)
    incident.acknowledge_due = incident.reminder_due = incident.step_left = None
    incident.held_until, incident.held_by = None, ""


def _keep_manual_chains(draft: Draft) -> None:
    draft.incident.chains = [chain for chain in draft.incident.chains if chain.insists]


def set_triggered(draft: Draft) -> None:
    """Set the state to triggered, from any other; the caller sets what is due then."""
    incident = draft.incident
    # The new epoch makes buttons of earlier messages invalid.
    incident.state, incident.epoch, incident.heard_at = "triggered", incident.epoch + 1, draft.now
    incident.gravest, incident.joined, incident.joined_at = incident.severity, "", None
    incident.acknowledged_by, incident.acknowledged_at = "", None
    incident.snoozed_by, incident.snoozed_until = "", None
    incident.resolved_by, incident.ended, incident.resolved_at = "", "", None
    incident.quiet_until = None


def start_acknowledge_timeout(draft: Draft) -> None:
    """Let the acknowledgement run out in time, and remind its owner before, by the policy."""
    incident, plan = draft.incident, draft.incident.plan
    incident.acknowledge_due = incident.reminder_due = None
    if plan.acknowledge_timeout:
        incident.acknowledge_due = draft.now + plan.acknowledge_timeout
        if plan.acknowledge_reminder:
            incident.reminder_due = incident.acknowledge_due - plan.acknowledge_reminder


def trigger_again(draft: Draft, kind: str, what: Phrase, user: str, **data: Any) -> None:
    """Trigger the incident and begin its policy anew. data: of the timeline entry."""
    set_triggered(draft)
    stop_steps(draft)
    draft.record(kind, what, user=user, **data)
    restart_steps(draft)
    draft.refresh_messages(what)


def close_incident(
    draft: Draft, reason: EndReason, what: Phrase, *, user: str = "", step: int = 0
) -> None:
    """Resolve the incident without a person; nothing is due any more. user: who merged it."""
    _close(draft, reason, reason, what, user=user, step=step)


def close_by_hand(draft: Draft, what: Phrase, *, user: str, via: str) -> None:
    """Resolve the incident, as a person wants it."""
    _close(draft, "person", user or via, what, user=user)


def _close(
    draft: Draft,
    ended: EndReason | Literal["person"],
    by: str,
    what: Phrase,
    *,
    user: str,
    step: int = 0,
) -> None:
    incident = draft.incident
    incident.resolved_by, incident.resolved_at = by, draft.now
    if incident.state != "snoozed" or ended not in ("source", "expired", "unnamed"):
        # Alerts that come back soon find the snooze again that they ended in.
        incident.snoozed_until = None
    incident.state = "resolved"
    stop_steps(draft)
    incident.chains = []
    incident.ended = ended
    draft.record("resolved", what, user=user, step=step, by=by, ended=ended)
    draft.refresh_messages(what)
