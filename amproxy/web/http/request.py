"""From a request's bytes to typed values. Everything that is wrong with them is an HTTPException with the right status.

What a page is asked to try out: labels and a moment, from the address. What is wrong with them is said on the page.
"""

from __future__ import annotations

import math
import re
from datetime import datetime
from typing import NamedTuple, TypeVar
from urllib.parse import parse_qs
from zoneinfo import ZoneInfo

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request

from amproxy.context import Context
from amproxy.labels.matchers import BadMatcher, Matcher, all_match, parse_matcher, parse_matchers
from amproxy.model import Incident, IncidentState
from amproxy.reports.insights import NO_TEAM
from amproxy.store import incidents
from amproxy.store.incidents import IncidentSummary
from amproxy.times import parse_command_time, to_utc, wall_to_utc

MAX_BODY_BYTES = 64 * 1024  # bytes of a body
MAX_FORM_FIELDS = 600  # of a form
DEFAULT_INCIDENTS_LIMIT = 100  # incidents of a list, unless asked otherwise
MAX_INCIDENTS_LIMIT = 500

_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(:\d\d(\.\d+)?)?([Zz]|[+-]\d\d:\d\d)?", re.ASCII)
_SPOILT_PLUS = re.compile(r" (\d\d:\d\d)$", re.ASCII)
_CURSOR = re.compile(r"\d{1,12}(\.\d{1,9})?-[a-z0-9]{1,40}", re.ASCII)

Body = TypeVar("Body", bound=msgspec.Struct)


def invalid(reason: str) -> HTTPException:
    """Well-formed, but wrong."""
    return HTTPException(422, reason)


async def parse_json_body(request: Request, kind: type[Body]) -> Body:
    """A JSON body as a struct; no body at all counts as {}. Raises HTTPException 400, 413, 415, 422."""
    data = await _read_body(request)
    if not data:
        data = b"{}"
    elif _media_type(request) != "application/json":
        raise HTTPException(415, "the body must be JSON, with Content-Type: application/json")
    try:
        return msgspec.json.decode(data, type=kind)
    except msgspec.ValidationError as error:
        raise invalid(str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise HTTPException(400, f"the body is not JSON: {error}") from None


async def parse_form(request: Request) -> dict[str, str]:
    """The fields of a page's form; of repeated ones the last. Raises HTTPException 400, 413, 415."""
    return {name: values[-1] for name, values in (await parse_form_lists(request)).items()}


async def parse_form_lists(request: Request) -> dict[str, list[str]]:
    """The fields of a page's form, each with all that it holds. Raises HTTPException 400, 413, 415."""
    data = await _read_body(request)
    if data and _media_type(request) != "application/x-www-form-urlencoded":
        raise HTTPException(415, "the body must be a form")
    try:
        return parse_qs(data.decode("utf-8"), keep_blank_values=True, max_num_fields=MAX_FORM_FIELDS)
    except ValueError:
        raise HTTPException(400, "the form cannot be read") from None


async def _read_body(request: Request) -> bytes:
    data = bytearray()
    async for chunk in request.stream():
        data += chunk
        if len(data) > MAX_BODY_BYTES:
            raise HTTPException(413, f"the body is longer than {MAX_BODY_BYTES} bytes")
    return bytes(data)


def _media_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def parse_time_param(text: str, name: str, zone: str | None = None) -> datetime:
    """An RFC 3339 time as a moment in UTC. Without offset it is wall-clock time of `zone`, and refused where there is none.

    name: what the value is called, for the error. Raises HTTPException 422.
    """
    text = _SPOILT_PLUS.sub(r"+\1", text)  # a "+" in a query that was not escaped arrives as a space
    wrong = invalid(f"{name} is not an RFC 3339 time such as 2026-01-05T09:00:00Z: {text[:60]!r}")
    if not _TIME.fullmatch(text):
        raise wrong
    try:
        at = datetime.fromisoformat(text.upper())
        if at.tzinfo:
            return to_utc(at)
    except (ValueError, OverflowError):
        raise wrong from None
    if zone is None:
        raise invalid(f"{name} needs an offset from UTC, such as 2026-01-05T09:00:00Z")
    return wall_to_utc(at, ZoneInfo(zone))


def known_user(context: Context, user: str | None) -> str:
    """The name of a user of the file, "" where none is given. Raises HTTPException 422 for one whom the file does not know."""
    if user and user not in context.config.users:
        raise invalid(f"there is no user {user[:60]!r}")
    return user or ""


def known_zone(name: str | None) -> str:
    """The name of a time zone; UTC where none is given. Raises HTTPException 422."""
    try:
        ZoneInfo(name or "UTC")
    except (KeyError, ValueError, OSError):  # unknown; not a name at all; a folder of the database, such as "Europe"
        raise invalid(f"there is no time zone {str(name)[:60]!r}") from None
    return name or "UTC"


def own_path(path: str) -> str:
    """Back to one of our own pages, whatever a form or address says."""
    return path if path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable() else "/"


class IncidentQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which incidents a query asks for; texts are empty where all are wanted."""

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

    def keeps(self, summary: IncidentSummary) -> bool:
        """Whether an incident of these states and times is asked for. Labels are those of the group and those in common."""
        return (
            self.team in ("", summary.team or NO_TEAM)
            and self.policy in ("", summary.policy)
            and (not self.user or self.user in summary.people)
            and (not self.text or self.text.casefold() in summary.text or self.text == f"#{summary.number}")
            and all_match(self.matchers, summary.labels)
        )


def parse_incident_query(request: Request) -> IncidentQuery:
    """What a query asks for: state and label may be repeated; times without offset are of `zone`, else UTC. Raises HTTPException 422."""
    query = request.query_params
    states = tuple(state for state in incidents.STATES if state in query.getlist("state"))
    for state in query.getlist("state"):
        if state and state not in incidents.STATES:
            raise invalid(f"state is one of {', '.join(incidents.STATES)}, not {state[:60]!r}")
    try:
        matchers = tuple(parse_matcher(text) for text in query.getlist("label") if text.strip())
    except BadMatcher as error:
        raise invalid(f"label is no matcher: {str(error)[:300]}") from None
    zone = known_zone(query.get("zone"))
    since, until = (parse_time_param(query[name], name, zone) if query.get(name) else None for name in ("from", "to"))
    if since and until and since >= until:
        raise invalid("to must lie after from")
    limit, cursor = query.get("limit", str(DEFAULT_INCIDENTS_LIMIT)), query.get("cursor", "")
    if not re.fullmatch("[0-9]{1,9}", limit) or not 1 <= int(limit) <= MAX_INCIDENTS_LIMIT:
        raise invalid(f"limit is a number from 1 to {MAX_INCIDENTS_LIMIT}")
    if cursor and not _CURSOR.fullmatch(cursor):
        raise invalid("cursor is not one that an earlier answer gave")
    team, policy, user, text = (query.get(name, "").strip() for name in ("team", "policy", "user", "text"))
    return IncidentQuery(
        states=states or incidents.OPEN_STATES, matchers=matchers, team=team, policy=policy, user=user, text=text, since=since, until=until,
        limit=int(limit), cursor=cursor,
    )  # fmt: skip


async def find_incidents(context: Context, query: IncidentQuery) -> tuple[list[Incident], str]:
    """Incidents that a query asks for, newest first, and the cursor of the rest. Raises StoreUnavailable."""
    return await incidents.list_incidents(
        context.wire, query.states, keep=query.keeps, limit=query.limit, before=query.cursor,
        since=query.since.timestamp() if query.since else -math.inf, until=query.until.timestamp() if query.until else math.inf,
    )  # fmt: skip


MAX_LABELS_LENGTH = 2000  # characters of labels: what fits into an address


class SimulationQuery(NamedTuple):
    """What was written, and what it means; `labels` is None where nothing is asked, or where it is wrong."""

    text: str
    at_text: str
    labels: dict[str, str] | None
    at: datetime
    wrong: str


def parse_simulation_query(request: Request, zone: str, now: float) -> SimulationQuery:
    """`labels` and `at` of a query; a time without offset is of `zone`. now: Unix seconds."""
    text, at_text = request.query_params.get("labels", "").strip()[:MAX_LABELS_LENGTH], request.query_params.get("at", "").strip()[:40]
    at = parse_command_time(None, zone, now)
    try:
        at = parse_command_time(at_text or None, zone, now)
        return SimulationQuery(text, at_text, parse_labels(text) if text else None, at, "")
    except ValueError as error:
        return SimulationQuery(text, at_text, None, at, str(error)[:300])


def parse_labels(text: str) -> dict[str, str]:
    """`alertname="Down", team="ops"`, with or without braces, quotes and commas. Raises ValueError."""
    parts = [text] if '"' in text else re.split(r"[,\s]+", text.strip("{}, "))
    try:
        found = [matcher for part in parts for matcher in parse_matchers(part)]
    except BadMatcher as error:
        raise ValueError(f"not labels: {error}") from None
    if wrong := next((matcher for matcher in found if matcher.op != "="), None):
        raise ValueError(f"{wrong}: an alert has values, so only = can stand here")
    return {matcher.name: matcher.value for matcher in found if matcher.value}
