"""The query of a list of incidents, for the API and the page, and the incidents that it finds."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

import msgspec

from amproxy.context import Context
from amproxy.labels.matchers import BadMatcher, Matcher, all_match, parse_matcher
from amproxy.model import Incident, IncidentState
from amproxy.reports.insights import NO_TEAM
from amproxy.store import incidents
from amproxy.store.incidents import IncidentSummary
from amproxy.text import Phrase
from amproxy.text.problems import matcher_fault
from amproxy.web.http.query import (
    DEFAULT_PAGE_LIMIT,
    IncidentFilterParameters,
    PageCursor,
    PageLimit,
    check_cursor,
)
from amproxy.web.http.request import invalid, known_zone, parse_time_param

_CURSOR = re.compile(r"\d{1,12}(\.\d{1,9})?-[a-z0-9]{1,40}", re.ASCII)


class IncidentsParameters(IncidentFilterParameters, frozen=True, kw_only=True):
    """The query of a list of incidents."""

    state: Annotated[
        tuple[IncidentState, ...],
        msgspec.Meta(description="Without it: all that are not resolved."),
    ] = ()
    label: Annotated[
        tuple[str, ...],
        msgspec.Meta(description='A matcher such as severity=~"critical|page"; all must hold.'),
    ] = ()
    text: Annotated[
        str,
        msgspec.Meta(
            description="Part of the title, the summary or the description; or a number such as"
            " #12."
        ),
    ] = ""
    limit: PageLimit = DEFAULT_PAGE_LIMIT
    cursor: PageCursor = ""


class IncidentQuery(msgspec.Struct, frozen=True, kw_only=True):
    """The filters of a list of incidents; texts are empty where all are wanted."""

    states: tuple[IncidentState, ...]
    matchers: tuple[Matcher, ...]
    team: str
    policy: str
    user: str
    text: str
    since: datetime | None
    until: datetime | None
    limit: int
    cursor: str

    def matches(self, summary: IncidentSummary) -> bool:
        """Check all but states and times. Labels are those of the group and those in common."""
        return (
            self.team in ("", summary.team or NO_TEAM)
            and self.policy in ("", summary.policy)
            and (not self.user or self.user in summary.people)
            and self._matches_text(summary)
            and all_match(self.matchers, summary.labels)
        )

    def _matches_text(self, summary: IncidentSummary) -> bool:
        return (
            not self.text
            or self.text.casefold() in summary.text
            or self.text == f"#{summary.number}"
        )


def parse_incident_query(given: IncidentsParameters) -> IncidentQuery:
    """The filters of a query. Raises HTTPException 422.

    Times without offset are of the parameter `zone`, else UTC.
    """
    matchers, zone = _parse_matchers(given.label), known_zone(given.zone)
    since, until = (
        parse_time_param(text, name, zone) if text else None
        for name, text in (("from", given.from_), ("to", given.to))
    )
    if since and until and since >= until:
        raise invalid(Phrase("refusal.to_after_from"))
    states = tuple(state for state in incidents.STATES if state in given.state)
    return IncidentQuery(
        states=states or incidents.OPEN_STATES,
        matchers=matchers,
        team=given.team.strip(),
        policy=given.policy.strip(),
        user=given.user.strip(),
        text=given.text.strip(),
        since=since,
        until=until,
        limit=given.limit,
        cursor=check_cursor(given.cursor, _CURSOR),
    )


def _parse_matchers(texts: Sequence[str]) -> tuple[Matcher, ...]:
    try:
        return tuple(parse_matcher(text) for text in texts if text.strip())
    except BadMatcher as error:
        raise invalid(Phrase("refusal.label_matcher", {"error": matcher_fault(error)})) from None


async def find_incidents(context: Context, query: IncidentQuery) -> tuple[list[Incident], str]:
    """The incidents of a query, newest first, and the next cursor. Raises StoreUnavailable."""
    return await incidents.list_incidents(
        context.wire,
        query.states,
        keep=query.matches,
        limit=query.limit,
        before=query.cursor,
        since=query.since.timestamp() if query.since else -math.inf,
        until=query.until.timestamp() if query.until else math.inf,
    )
