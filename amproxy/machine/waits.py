"""What a policy waits for before it goes on. There is one wait at a time, with its reason."""

from __future__ import annotations

from amproxy.machine.draft import Draft
from amproxy.model import Waiting


def wait(draft: Draft, waiting: Waiting, until: float | None, words: str) -> None:
    """Let the next step wait until a time (Unix seconds); None = until something else happens. words: for people."""
    incident = draft.incident
    incident.step_due, incident.waiting, incident.waiting_for = until, waiting, words


def go_on(draft: Draft) -> None:
    """Run the next step now."""
    wait(draft, "", draft.now, "")


def end(draft: Draft) -> None:
    """Nothing of the plan runs any more."""
    wait(draft, "", None, "")
