"""Which deliveries a query asks for: the same for the API and the page."""

from __future__ import annotations

import re
from typing import get_args

import msgspec
from starlette.requests import Request

from amproxy.context import Context
from amproxy.store import deliveries
from amproxy.store.deliveries import Delivery, Outcome
from amproxy.web.http.request import invalid, time

LIMIT, LONGEST = 100, 500  # entries of a page
_CURSOR = re.compile(r"\d{1,16}-\d{1,10}", re.ASCII)
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """Texts are empty where all are wanted; times are Unix seconds."""

    channel: str
    user: str
    receiver: str
    outcomes: tuple[Outcome, ...]
    incident: str  # an id, or a number
    text: str
    since: float | None
    until: float | None
    limit: int
    cursor: str

    def wants(self, delivery: Delivery) -> bool:
        return (
            self.channel in ("", delivery.channel)
            and self.user in ("", delivery.user)
            and self.receiver in ("", delivery.receiver)
            and (not self.outcomes or delivery.outcome in self.outcomes)
            and (not self.incident or any(self.incident in (id_, str(number)) for id_, number in delivery.incidents))
            and (not self.text or any(self.text in text.casefold() for text in (delivery.subject, delivery.error)))
        )


def asked(request: Request, zone: str | None = None) -> Asked:
    """zone: of times without offset; None = they are refused. Raises HTTPException 422."""
    query = request.query_params
    outcomes = tuple(outcome for outcome in OUTCOMES if outcome in query.getlist("outcome"))
    for outcome in query.getlist("outcome"):
        if outcome and outcome not in OUTCOMES:
            raise invalid(f"outcome is one of {', '.join(OUTCOMES)}, not {outcome[:60]!r}")
    limit, cursor = query.get("limit", str(LIMIT)), query.get("cursor", "")
    if not re.fullmatch("[0-9]{1,9}", limit) or not 1 <= int(limit) <= LONGEST:
        raise invalid(f"limit is a number from 1 to {LONGEST}")
    if cursor and not _CURSOR.fullmatch(cursor):
        raise invalid("cursor is not one that an earlier answer gave")
    since, until = (time(query[name], name, zone).timestamp() if query.get(name) else None for name in ("from", "to"))
    return Asked(
        channel=query.get("channel", ""), user=query.get("user", ""), receiver=query.get("receiver", ""), outcomes=outcomes,
        incident=query.get("incident", "").strip().lstrip("#"), text=query.get("text", "").strip().casefold(), since=since, until=until,
        limit=int(limit), cursor=cursor,
    )  # fmt: skip


async def find(context: Context, query: Asked) -> deliveries.Page:
    """Raises StoreUnavailable."""
    return await deliveries.listing(context.wire, query.wants, since=query.since, until=query.until, limit=query.limit, before=query.cursor)
