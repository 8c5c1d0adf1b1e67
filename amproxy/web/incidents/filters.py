"""The filters of the list of incidents: in its address, as fields of a form, and as chips. Pure."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Final, Literal, NamedTuple
from urllib.parse import urlencode

import msgspec
from starlette.datastructures import QueryParams

from amproxy.labels.matchers import Matcher
from amproxy.store import incidents
from amproxy.store.incidents import IncidentSummary
from amproxy.text import Phrase
from amproxy.web.http.format import MAX_FILTER_VALUE, order_labels
from amproxy.web.http.query import parse_parameters
from amproxy.web.http.refusals import RefusedRequest
from amproxy.web.incidents.query import (
    IncidentGroup,
    IncidentQuery,
    IncidentsParameters,
    parse_incident_query,
)

# The fields of an address that select incidents and say how they are shown.
LIST_FILTERS: Final = (
    *("state", "label", "team", "policy", "user", "text", "from", "to", "zone", "limit"),
    *("sort", "group", "rows"),
)
# Filters of an address in which the wrong ones are told from the right ones; each is tried.
MAX_TRIED_FILTERS: Final = 40
MAX_OFFERED_LABELS: Final = 12  # labels of the incidents shown, to narrow the list by
# Fields that say how the list looks, and not which incidents it has.
_LOOKS: Final = ("state", "limit", "zone", "sort", "group", "rows")
_DEFAULTS: Final = {("sort", "newest"), ("rows", "compact")}
_CHIPS: Final = ("label", "policy", "user", "from", "to")

ListRows = Literal["compact", "comfortable"]
Pairs = list[tuple[str, str]]  # name → value, as an address has them


class IncidentListParameters(IncidentsParameters, frozen=True, kw_only=True):
    """The query of the page."""

    group: Annotated[IncidentGroup, msgspec.Meta(description="What stands together.")] = ""
    rows: Annotated[ListRows, msgspec.Meta(description="How dense the list is.")] = "compact"


class IncidentListRequest(NamedTuple):
    """The right filters of an address, and what is wrong with the others."""

    query: IncidentQuery
    rows: ListRows
    problems: list[Phrase]


class FilterChip(NamedTuple):
    """A filter that is on, and the query of the list without it."""

    name: str
    value: str
    without: str


class OfferedLabel(NamedTuple):
    """A label of incidents that are shown, and the query of the list with it."""

    name: str
    value: str
    number: int  # of incidents that have it
    query: str


class ListSwitches(NamedTuple):
    """The filters that one press switches on or off, each with the query that it leads to."""

    mine: bool
    mine_query: str
    unanswered: bool
    unanswered_query: str
    density_query: str
    states_query: str | None  # the usual states; None = they are, or it is for `unanswered`
    chips: list[FilterChip]


def filter_pairs(params: QueryParams) -> Pairs:
    """The pairs of an address that select incidents and say how they are shown."""
    return [(name, value) for name, value in params.multi_items() if name in LIST_FILTERS and value]


def count_narrowing(filters: Pairs) -> int:
    """The number of filters besides states: without them there may be more incidents."""
    return sum(name not in _LOOKS for name, _ in filters)


def without_defaults(pairs: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """The pairs of an address without empty fields, default states, and a zone of no time."""
    defaults = set[str]()
    if sorted(value for name, value in pairs if name == "state") == sorted(incidents.OPEN_STATES):
        defaults.add("state")
    if not any(name in ("from", "to") and value for name, value in pairs):
        defaults.add("zone")
    return [
        (name, value)
        for name, value in pairs
        if value and name not in defaults and (name, value) not in _DEFAULTS
    ]


def parse_address(params: QueryParams) -> IncidentListRequest:
    """Raises HTTPException 422 where there are too many filters to tell which are wrong."""
    pairs = params.multi_items()
    try:
        return _parse_pairs(pairs)
    except RefusedRequest:
        if len(pairs) > MAX_TRIED_FILTERS:
            raise
    kept, problems = list[tuple[str, str]](), list[Phrase]()
    # times need their zone, a place in the list its order
    for pair in sorted(pairs, key=lambda one: (one[0] != "zone", one[0] == "cursor")):
        try:
            _parse_pairs([*kept, pair])
        except RefusedRequest as error:
            problems.append(error.phrase)
        else:
            kept.append(pair)
    return _parse_pairs(kept)._replace(problems=problems)


def _parse_pairs(pairs: list[tuple[str, str]]) -> IncidentListRequest:
    """Raises HTTPException 422."""
    given = parse_parameters(QueryParams(pairs), IncidentListParameters)
    return IncidentListRequest(parse_incident_query(given, given.group), given.rows, [])


def written_fields(filters: list[tuple[str, str]]) -> dict[str, list[str]]:
    """The fields of the form as they were filled in, right or wrong."""
    written: dict[str, list[str]] = {name: [] for name in LIST_FILTERS}
    for name, value in filters:
        written[name].append(value)
    return written


def switches(filters: Pairs, query: IncidentQuery, acting: str) -> ListSwitches:
    """acting: the reader, "" = nobody in particular."""
    mine, unanswered = query.user == acting != "", query.states == ("triggered",)
    usual = unanswered or query.states == incidents.OPEN_STATES
    plain, others = _without(filters, "state"), _without(filters, "user")
    tight = _without(filters, "rows")
    return ListSwitches(
        mine=mine,
        mine_query=urlencode(others if mine else [*others, ("user", acting)]),
        unanswered=unanswered,
        unanswered_query=urlencode(plain if unanswered else [*plain, ("state", "triggered")]),
        density_query=urlencode(tight if tight != filters else [*filters, ("rows", "comfortable")]),
        states_query=None if usual else urlencode(plain),
        chips=[
            FilterChip(*pair, urlencode([one for one in filters if one != pair]))
            for pair in filters
            if pair[0] in _CHIPS and pair != ("user", acting)
        ],
    )


def _without(filters: Pairs, name: str) -> Pairs:
    return [pair for pair in filters if pair[0] != name]


def offer_labels(
    summaries: list[IncidentSummary], filters: list[tuple[str, str]]
) -> list[OfferedLabel]:
    """The labels that most incidents shown have, those that all have last."""
    counted = Counter(
        label
        for summary in summaries
        for label in order_labels(summary.labels)
        if sum(map(len, label)) <= MAX_FILTER_VALUE
    )
    queries = {label: ("label", str(Matcher(label[0], "=", label[1]))) for label in counted}
    found = [
        OfferedLabel(*label, number, urlencode([*filters, queries[label]]))
        for label, number in counted.items()
        if queries[label] not in filters
    ]
    found.sort(key=lambda one: (one.number == len(summaries), -one.number))
    return found[:MAX_OFFERED_LABELS]


def view_pairs(view: str) -> list[tuple[str, str]]:
    return sorted(QueryParams(view).multi_items())
