"""One action on many incidents: each by itself, so that one that forbids it does not keep the others from it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from amproxy.context import Context
from amproxy.errors import Conflict, NotFound
from amproxy.model import Incident
from amproxy.respond.actions import Request, perform


class Outcome(NamedTuple):
    """What became of one of them: the incident as it is now, or why nothing was done."""

    id: str
    incident: Incident | None
    error: str = ""


async def perform_all(context: Context, ids: Iterable[str], request: Request) -> list[Outcome]:
    """In the order given, each once. Raises BadAction where the request makes no sense for any, and StoreUnavailable."""
    outcomes = []
    for incident_id in dict.fromkeys(ids):
        try:
            outcomes.append(Outcome(incident_id, await perform(context, incident_id, request)))
        except (Conflict, NotFound) as error:
            outcomes.append(Outcome(incident_id, None, str(error)))
    return outcomes
