"""The query of a list of incidents, for the API and the page, and the incidents that it finds."""

from __future__ import annotations

import base64
import binascii
import math
import re
from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from typing import Annotated, Final, Literal, assert_never

import msgspec

from amproxy.context import Context
from amproxy.labels.matchers import BadMatcher, Matcher, all_match, parse_matcher
from amproxy.labels.severity import severity_rank
from amproxy.model import Incident, IncidentState
from amproxy.reports.insights import NO_TEAM
from amproxy.store import incidents
from amproxy.store.incidents import IncidentSummary, ListPosition, SortPosition
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

# of the newest first; of another order a SortPosition
_CURSOR = re.compile(r"\d{1,12}(\.\d{1,9})?-[a-z0-9]{1,40}", re.ASCII)
_SORT_CURSOR = re.compile(r"[A-Za-z0-9_=-]{1,2000}", re.ASCII)
LONGEST_KEY: Final = 300  # characters of a team or alertname that count for the order

IncidentSort = Literal["newest", "oldest", "severity", "team", "alertname"]
IncidentGroup = Literal["", "severity", "team", "alertname", "age"]
# Seconds from which on an incident has the next of AGES.
AGE_LIMITS: Final = (3600.0, 86400.0, 7 * 86400.0)
AGES: Final = ("hour", "day", "week", "older")

_encode = msgspec.msgpack.Encoder().encode
_position = msgspec.msgpack.Decoder(SortPosition).decode


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
    sort: Annotated[
        IncidentSort,
        msgspec.Meta(
            description="The order; of equal ones the newest first. By severity: the gravest first."
        ),
    ] = "newest"
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
    sort: IncidentSort
    group: IncidentGroup  # incidents that share it stand together
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


def group_key(by: IncidentGroup | IncidentSort, summary: IncidentSummary, age: float) -> str:
    """The name of an incident's group; "" = it has none. age: seconds since it began."""
    match by:
        case "" | "newest" | "oldest":
            return ""
        case "severity":
            return summary.gravity.casefold()
        case "team":
            return summary.team
        case "alertname":
            return summary.labels.get("alertname", "")
        case "age":
            return AGES[sum(age >= limit for limit in AGE_LIMITS)]
        case other:
            assert_never(other)


def sort_position(
    query: IncidentQuery, position: ListPosition, summary: IncidentSummary, now: float
) -> SortPosition:
    """The place of an incident in the order of a query. now: Unix seconds."""
    age = now - position.started
    group, sort = query.group, query.sort
    keys = (
        _sort_key(group, group_key(group, summary, age)),
        _sort_key(sort, group_key(sort, summary, age)),
    )
    at = position.started if sort == "oldest" else -position.started
    return SortPosition(keys, at, position.id)


@lru_cache(maxsize=2000)
def _sort_key(by: IncidentGroup | IncidentSort, name: str) -> str:
    """The name of a group as a text whose order is that of the groups; those without come last."""
    if by == "age":
        return str(AGES.index(name))
    text, rank = name[:LONGEST_KEY], severity_rank(name) if by == "severity" else 0
    return f"{9 - rank} {not name:d} {text.casefold()} {text}"


def parse_incident_query(given: IncidentsParameters, group: IncidentGroup = "") -> IncidentQuery:
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
        sort=given.sort,
        group=group,
        limit=given.limit,
        cursor=_check_cursor(given.cursor, is_sorted=bool(group) or given.sort != "newest"),
    )


def _check_cursor(cursor: str, *, is_sorted: bool) -> str:
    check_cursor(cursor, _SORT_CURSOR if is_sorted else _CURSOR)
    if cursor and is_sorted:
        _parse_position(cursor)
    return cursor


def _parse_position(cursor: str) -> SortPosition:
    """Raises HTTPException 422."""
    try:
        return _position(base64.urlsafe_b64decode(cursor))
    except (binascii.Error, msgspec.DecodeError, UnicodeDecodeError):
        raise invalid(Phrase("refusal.cursor")) from None


def _format_position(position: SortPosition) -> str:
    return base64.urlsafe_b64encode(_encode(position)).decode()


def _parse_matchers(texts: Sequence[str]) -> tuple[Matcher, ...]:
    try:
        return tuple(parse_matcher(text) for text in texts if text.strip())
    except BadMatcher as error:
        raise invalid(Phrase("refusal.label_matcher", {"error": matcher_fault(error)})) from None


async def find_incidents(context: Context, query: IncidentQuery) -> tuple[list[Incident], str]:
    """The incidents of a query in its order, and the next cursor. Raises StoreUnavailable."""
    since = query.since.timestamp() if query.since else -math.inf
    until = query.until.timestamp() if query.until else math.inf
    if query.sort == "newest" and not query.group:
        return await incidents.list_incidents(
            context.wire,
            query.states,
            keep=query.matches,
            limit=query.limit,
            before=query.cursor,
            since=since,
            until=until,
        )
    now = context.now()
    found, rest = await incidents.list_sorted(
        context.wire,
        query.states,
        lambda position, summary: sort_position(query, position, summary, now),
        keep=query.matches,
        limit=query.limit,
        after=_parse_position(query.cursor) if query.cursor else None,
        since=since,
        until=until,
    )
    return found, _format_position(rest) if rest else ""
