"""The draft that a transition works on, and the state changes and waits that all events share."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import Any

from amproxy.model import Incident, OutgoingMessage, Page, TimelineEntry, WaitReason
from amproxy.oncall.roster import Roster

# Incident.resolved_by, where that is no person → the reason as a text.
RESOLVED_TEXTS = {
    "source": "its alerts are resolved",
    "expired": "no news from the source in time",
    "moved": "its alerts belong to other groups since the file changed",
    "policy": "a step of its policy ends it",
    "silent": "there was no news of it for long",
    "merged": "it is part of another incident now",
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
        self, kind: str, text: str, *, user: str = "", channel: str = "", step: int = 0, **data: Any
    ) -> None:
        """Write one fact into the timeline. data: the same facts for programs."""
        entry = TimelineEntry(
            at=self.now,
            kind=kind,
            text=text,
            user=user,
            channel=channel,
            policy=self.incident.policy,
            step=step,
            data=data,
        )
        self.timeline.append(entry)

    def name(self, user: str) -> str:
        """The name of a user in texts: the full one where the file has it; "" is "somebody"."""
        known = self.roster.config.users.get(user)
        return (known.full_name or user) if known else user or "somebody"

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

    def refresh_messages(self, news: str) -> None:
        """Have every message about the incident updated. news: the change in one sentence."""
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


def set_wait(draft: Draft, waiting: WaitReason, until: float | None, text: str) -> None:
    """Let the next step wait until a time (Unix seconds); None = until an event ends the wait.

    There is one wait at a time. text: the reason for people.
    """
    incident = draft.incident
    incident.step_due, incident.waiting, incident.waiting_for = until, waiting, text


def end_wait(draft: Draft) -> None:
    """Run the next step now."""
    set_wait(draft, "", draft.now, "")


def clear_wait(draft: Draft) -> None:
    """Run nothing of the policy any more."""
    set_wait(draft, "", None, "")


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
    incident.acknowledged_by, incident.acknowledged_at = "", None
    incident.snoozed_by, incident.snoozed_until = "", None
    incident.resolved_by, incident.resolved_at = "", None


def trigger_again(draft: Draft, kind: str, text: str, user: str, **data: Any) -> None:
    """Trigger the incident and begin its policy anew. data: of the timeline entry."""
    set_triggered(draft)
    stop_steps(draft)
    draft.record(kind, text, user=user, **data)
    restart_steps(draft)
    draft.refresh_messages(text)


def close_incident(draft: Draft, *, by: str, text: str, user: str = "", step: int = 0) -> None:
    """Resolve the incident; nothing is due any more."""
    incident = draft.incident
    incident.state, incident.resolved_by, incident.resolved_at = "resolved", by, draft.now
    incident.snoozed_until = None
    stop_steps(draft)
    incident.chains = []
    draft.record("resolved", text, user=user, step=step, by=by)
    draft.refresh_messages(text)
