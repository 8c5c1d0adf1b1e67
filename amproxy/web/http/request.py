"""Typed values from a request: JSON bodies, forms, times, and the queries of simulations.

A wrong value is an HTTPException with the right status; only a simulation's query, which somebody
is still typing, carries its error to the page.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import NamedTuple, TypeVar
from urllib.parse import parse_qs
from zoneinfo import ZoneInfo

import msgspec
from starlette.requests import ClientDisconnect, Request

from amproxy.context import Context
from amproxy.labels.matchers import BadMatcher, parse_matchers
from amproxy.text import Phrase, PhraseValue
from amproxy.text.problems import matcher_fault
from amproxy.times import parse_command_time, parse_iso_time, to_utc, wall_to_utc
from amproxy.web.http.refusals import RefusedRequest, error_phrase

MAX_BODY_BYTES = 64 * 1024
MAX_FORM_FIELDS = 600
MAX_LABELS_LENGTH = 2000  # characters of labels: they must fit into an address

# Fields whose names are in the texts.
_FIELD_NAMES = frozenset(["from", "to", "start", "end", "until", "for", "span", "at", "expires"])

_FORM_KEY = "amproxy.form"  # of an ASGI scope: the fields of the form, once they were read

_SPOILT_PLUS = re.compile(r" (\d\d:\d\d)$", re.ASCII)

Body = TypeVar("Body", bound=msgspec.Struct)


def invalid(reason: Phrase) -> RefusedRequest:
    """Return the error for a value that is well-formed, but wrong."""
    return RefusedRequest(422, reason)


def field_name(name: str) -> PhraseValue:
    """The name of a field of a form or query, for a refusal."""
    return Phrase(f"refusal.name_{name}") if name in _FIELD_NAMES else name


async def parse_json_body(request: Request, kind: type[Body]) -> Body:
    """A JSON body as a struct; no body counts as {}. Raises HTTPException 400, 413, 415, 422."""
    data = await _read_body(request)
    if not data:
        data = b"{}"
    elif _media_type(request) != "application/json":
        raise RefusedRequest(415, Phrase("refusal.body_json"))
    try:
        return msgspec.json.decode(data, type=kind)
    except msgspec.ValidationError as error:
        raise invalid(Phrase("refusal.json_value", {"error": str(error)})) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RefusedRequest(400, Phrase("refusal.not_json", {"error": str(error)})) from None


async def parse_form(request: Request) -> dict[str, str]:
    """A form's fields, of repeated ones the last. Raises HTTPException 400, 413, 415."""
    return {name: values[-1] for name, values in (await parse_form_lists(request)).items()}


async def parse_form_lists(request: Request) -> dict[str, list[str]]:
    """A form's fields, each with all its values. Raises HTTPException 400, 413, 415."""
    if _FORM_KEY in request.scope:
        known: dict[str, list[str]] = request.scope[_FORM_KEY]
        return known
    request.scope[_FORM_KEY] = {}  # of a form that cannot be read
    data = await _read_body(request)
    if data and _media_type(request) != "application/x-www-form-urlencoded":
        raise RefusedRequest(415, Phrase("refusal.body_form"))
    try:
        fields = parse_qs(
            data.decode("utf-8"), keep_blank_values=True, max_num_fields=MAX_FORM_FIELDS
        )
    except ValueError:
        raise RefusedRequest(400, Phrase("refusal.form_unread")) from None
    request.scope[_FORM_KEY] = fields
    return fields


async def sent_fields(request: Request) -> list[tuple[str, str]]:
    """The fields of a form that was refused, to be sent once more.

    Empty where the form cannot be read, or has a password, which no page may show.
    """
    try:
        fields = await parse_form_lists(request)
    except (RefusedRequest, ClientDisconnect, RuntimeError):  # RuntimeError: something has read it
        return []
    if "password" in fields:
        return []
    return [(name, value) for name, values in fields.items() for value in values]


def typed_values(request: Request) -> dict[str, str]:
    """The fields of the form that was read, of repeated ones the last; {} = none was."""
    fields: dict[str, list[str]] = request.scope.get(_FORM_KEY, {})
    return {name: values[-1] for name, values in fields.items()}


async def _read_body(request: Request) -> bytes:
    # Counted while it arrives: Content-Length may be missing or wrong.
    data = bytearray()
    async for chunk in request.stream():
        data += chunk
        if len(data) > MAX_BODY_BYTES:
            raise RefusedRequest(413, Phrase("refusal.body_bytes", {"most": MAX_BODY_BYTES}))
    return bytes(data)


def _media_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def parse_time_param(text: str, name: str, zone: str | None = None) -> datetime:
    """An RFC 3339 time in UTC. Without offset it is wall-clock time of `zone`, if there is one.

    name: that of the value, for the error. Raises HTTPException 422.
    """
    # a "+" in a query that was not escaped arrives as a space
    text = _SPOILT_PLUS.sub(r"+\1", text)
    wrong = invalid(Phrase("refusal.time", {"field": field_name(name), "text": text[:60]}))
    try:
        at = parse_iso_time(text.upper(), date_alone=False)
        if at.tzinfo:
            return to_utc(at)
    except (ValueError, OverflowError):
        raise wrong from None
    if zone is None:
        raise invalid(Phrase("refusal.time_offset", {"field": field_name(name)}))
    return wall_to_utc(at, ZoneInfo(zone))


def known_user(context: Context, user: str | None) -> str:
    """Return the name of a user of the file, "" where none is given. Raises HTTPException 422."""
    if user and user not in context.config.users:
        raise invalid(Phrase("refusal.unknown_user", {"user": user[:60]}))
    return user or ""


def known_zone(name: str | None) -> str:
    """Return the name of a time zone, "UTC" where none is given. Raises HTTPException 422."""
    try:
        ZoneInfo(name or "UTC")
    # unknown; not a name at all; a folder of the database, such as "Europe"
    except (KeyError, ValueError, OSError):
        raise invalid(Phrase("refusal.no_zone", {"zone": str(name)[:60]})) from None
    return name or "UTC"


def own_path(path: str) -> str:
    """Return the path if it is one of our own, else "/": no form may redirect to another site."""
    # browsers read "//host" and "/\host" as another host
    is_own = path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable()
    return path if is_own else "/"


class SimulationQuery(NamedTuple):
    """The labels and time to simulate, as typed and as parsed; for a form that shows both."""

    text: str
    at_text: str
    labels: dict[str, str] | None  # None where there are none, or they are wrong
    at: datetime
    error: Phrase | None


def parse_simulation_query(request: Request, zone: str, now: float) -> SimulationQuery:
    """`labels` and `at` of a query; a time without offset is of `zone`. now: Unix seconds."""
    text = request.query_params.get("labels", "").strip()[:MAX_LABELS_LENGTH]
    at_text = request.query_params.get("at", "").strip()[:40]
    at = parse_command_time(None, zone, now)  # stays where `at` cannot be parsed
    try:
        at = parse_command_time(at_text or None, zone, now)
    except ValueError:
        wrong = Phrase("refusal.no_time", {"text": at_text})
        return SimulationQuery(text, at_text, None, at, wrong)
    try:
        return SimulationQuery(text, at_text, parse_labels(text) if text else None, at, None)
    except ValueError as error:
        return SimulationQuery(text, at_text, None, at, error_phrase(error))


def parse_labels(text: str) -> dict[str, str]:
    """Parse labels such as `alertname="Down", team="ops"`; braces, quotes and commas may miss.

    Raises ValueError with a phrase.
    """
    pairs = [text] if '"' in text else re.split(r"[,\s]+", text.strip("{}, "))
    try:
        matchers = [matcher for pair in pairs for matcher in parse_matchers(pair)]
    except BadMatcher as error:
        raise ValueError(Phrase("refusal.not_labels", {"error": matcher_fault(error)})) from None
    if wrong := next((matcher for matcher in matchers if matcher.op != "="), None):
        raise ValueError(Phrase("refusal.only_equals", {"matcher": str(wrong)[:100]}))
    return {matcher.name: matcher.value for matcher in matchers if matcher.value}
