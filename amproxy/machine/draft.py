"""The draft that a transition is worked out on."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import Any

from amproxy.model import Incident, Outgoing, Page, TimelineEntry
from amproxy.oncall.roster import Roster


@dataclass
class Draft:
    """A working copy of the incident, with what has been decided so far."""

    incident: Incident
    now: float
    roster: Roster
    turns: dict[str, int]  # round-robin pointers as stored
    timeline: list[TimelineEntry] = field(default_factory=list)
    outbox: list[Outgoing] = field(default_factory=list)
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
            Outgoing(
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
            Outgoing(
                id=new_id(), kind="update", channel=page.channel, incident=self.incident.id, page=page.id, user=page.user, due=self.now
            )
        )


_LETTERS = b"abcdefghijkmnpqrstuvwxyz23456789" * 8  # what a byte becomes: 32 letters, each as likely as any other


def new_id() -> str:
    """A short id that nobody can guess: 12 characters of base 32."""
    return secrets.token_bytes(12).translate(_LETTERS).decode()
