"""The draft that a transition is worked out on.

What a policy waits for before it goes on. There is one wait at a time, with its reason.

From one state to another: what begins, and what is not due any more.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import Any

from amproxy.model import Incident, OutgoingMessage, Page, TimelineEntry, WaitReason
from amproxy.oncall.roster import Roster


@dataclass
class Draft:
    """A working copy of the incident, with what has been decided so far."""

    incident: Incident
    now: float
    roster: Roster
    turns: dict[str, int]  # round-robin pointers as stored
    timeline: list[TimelineEntry] = field(default_factory=list)
    outbox: list[OutgoingMessage] = field(default_factory=list)
    moved_turns: dict[str, tuple[int, int]] = field(default_factory=dict)
    nobody: list[str] = field(default_factory=list)
    ran: set[tuple[str, int]] = field(default_factory=set)  # (policy, number) of the steps that ran at this moment

    def say(self, kind: str, text: str, *, user: str = "", channel: str = "", step: int = 0, **data: Any) -> None:
        """Write one fact into the timeline. data: what programs want of it."""
        self.timeline.append(
            TimelineEntry(at=self.now, kind=kind, text=text, user=user, channel=channel, policy=self.incident.policy, step=step, data=data)
        )

    def name(self, user: str) -> str:
        """How a user is called in texts."""
        known = self.roster.config.users.get(user)
        return (known.full_name or user) if known else user or "somebody"

    def page(self, page: Page) -> None:
        """Put a page on its way."""
        first = not any(p.user == page.user for p in self.incident.pages)
        self.incident.pages.append(page)
        self.outbox.append(
            OutgoingMessage(
                id=page.id, kind="page", channel=page.channel, incident=self.incident.id, page=page.id, user=page.user,
                urgent=first, due=page.due,
            )
        )  # fmt: skip

    def redraw(self, news: str) -> None:
        """Have every message about the incident show what it is now."""
        self.incident.look += 1
        self.incident.news = news
        for page in self.incident.pages:
            if page.ref and not page.updating:
                self.update(page)

    def update(self, page: Page) -> None:
        page.updating = True
        self.outbox.append(
            OutgoingMessage(
                id=new_id(), kind="update", channel=page.channel, incident=self.incident.id, page=page.id, user=page.user, due=self.now
            )
        )


_ID_LETTERS = b"abcdefghijkmnpqrstuvwxyz23456789" * 8  # what a byte becomes: 32 letters, each as likely as any other


def new_id() -> str:
    """A short id that nobody can guess: 12 characters of base 32."""
    return secrets.token_bytes(12).translate(_ID_LETTERS).decode()


def set_wait(draft: Draft, waiting: WaitReason, until: float | None, words: str) -> None:
    """Let the next step wait until a time (Unix seconds); None = until something else happens. words: for people."""
    incident = draft.incident
    incident.step_due, incident.waiting, incident.waiting_for = until, waiting, words


def end_wait(draft: Draft) -> None:
    """Run the next step now."""
    set_wait(draft, "", draft.now, "")


def clear_wait(draft: Draft) -> None:
    """Nothing of the plan runs any more."""
    set_wait(draft, "", None, "")


RESOLVED_TEXTS = {
    "source": "its alerts are resolved",
    "expired": "no news from the source in time",
    "moved": "its alerts belong to other groups since the file changed",
    "policy": "a step of its policy ends it",
    "silent": "there was no news of it for long",
    "merged": "it is part of another incident now",
}


def restart_steps(draft: Draft) -> None:
    """Begin the plan from its first step, now."""
    incident = draft.incident
    incident.position, incident.round = 0, 1
    _keep_manual_chains(draft)
    end_wait(draft)


def stop_steps(draft: Draft) -> None:
    """Nothing of the plan is due any more, nor of an answer. People who were asked by hand are still asked."""
    incident = draft.incident
    clear_wait(draft)
    _keep_manual_chains(draft)
    incident.acknowledge_due = incident.reminder_due = incident.step_left = None
    incident.held_until, incident.held_by = None, ""


def _keep_manual_chains(draft: Draft) -> None:
    draft.incident.chains = [chain for chain in draft.incident.chains if chain.insists]


def set_triggered(draft: Draft) -> None:
    """Whatever it was, it is triggered now; buttons drawn before are old. What is due then, the caller says."""
    incident = draft.incident
    incident.state, incident.epoch, incident.heard_at = "triggered", incident.epoch + 1, draft.now
    incident.acknowledged_by, incident.acknowledged_at = "", None
    incident.snoozed_by, incident.snoozed_until = "", None
    incident.resolved_by, incident.resolved_at = "", None


def trigger_again(draft: Draft, kind: str, text: str, user: str, **data: Any) -> None:
    """It is triggered and begins its plan anew. data: for the timeline."""
    set_triggered(draft)
    stop_steps(draft)
    draft.say(kind, text, user=user, **data)
    restart_steps(draft)
    draft.redraw(text)


def close_incident(draft: Draft, *, by: str, text: str, user: str = "", step: int = 0) -> None:
    """End the incident; nothing is due any more."""
    incident = draft.incident
    incident.state, incident.resolved_by, incident.resolved_at = "resolved", by, draft.now
    incident.snoozed_until = None
    stop_steps(draft)
    incident.chains = []
    draft.say("resolved", text, user=user, step=step, by=by)
    draft.redraw(text)
