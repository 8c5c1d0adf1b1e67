"""The body of `POST /api/v2/silences`, with Alertmanager's laxities (any case of keys, unknown keys, bad UTF-8, text after
the value) and its errors.

GET and POST /silences, GET and DELETE /silence/{id}.
"""

from __future__ import annotations

import json
from typing import Any, TypeVar

from amproxy.accept.body import BadTime, parse_time
from amproxy.context import Context
from amproxy.errors import NotFound
from amproxy.grouping import silences
from amproxy.grouping.silences import FOREVER_NS, BadSilence
from amproxy.labels.matchers import BadMatcher, Matcher, Op
from amproxy.model import Silence
from amproxy.respond import muting
from amproxy.web.alertmanager import alerts
from amproxy.web.alertmanager.http import (
    AlertmanagerApiError,
    AlertmanagerRequest,
    AlertmanagerResponse,
    bare_error,
    coded_error,
    value_response,
)
from amproxy.web.http.permissions import set_audit_text

_OPS: dict[tuple[bool, bool], Op] = {(True, False): "=", (False, False): "!=", (True, True): "=~", (False, True): "!~"}
_GO_NAMES = {dict: "object", list: "array", str: "string", bool: "bool", int: "number", float: "number", type(None): "null"}
_Kind = TypeVar("_Kind", str, bool, list, dict)  # type: ignore[type-arg]


def parse_silence(body: bytes) -> Silence:
    """The silence that is wanted, its id "" where it is to be a new one. Raises Refusal (400, 422)."""
    if not body.strip():
        raise _missing_error("silence")
    loaded = _decode_body(body)
    given = _AnyCaseFields({} if loaded is None else loaded, "silence")
    comment, created_by = given.take("comment", str), given.take("createdBy", str)
    starts_ns, ends_ns = _parse_ns(given.take("startsAt", str)), _parse_ns(given.take("endsAt", str))
    listed, annotations = given.take("matchers", list), given.take("annotations", dict)
    silence_id = given.take("id", str) or ""
    matchers = None if listed is None else [_AnyCaseFields(item, f"matchers.{index}") for index, item in enumerate(listed)]
    # missing values are looked for when all types are known to be right, in the order of their names
    comment, created_by = _required(comment, "comment"), _required(created_by, "createdBy")
    ends_ns = _required(ends_ns, "endsAt")
    matchers = _required(matchers, "matchers")
    if not matchers:
        raise AlertmanagerApiError(coded_error(422, "matchers in body should have at least 1 items", code=612))
    return Silence(
        id=silence_id,
        matcher_sets=[[_parse_matcher(index, item) for index, item in enumerate(matchers)]],
        starts_ns=_required(starts_ns, "startsAt"),
        ends_ns=ends_ns,
        created_by=created_by,
        comment=comment,
        annotations=_parse_annotations(annotations or {}),
    )


class _AnyCaseFields:
    """A JSON object whose keys may be written in any case."""

    def __init__(self, loaded: Any, name: str) -> None:
        if not isinstance(loaded, dict):
            raise _type_error(loaded, name)
        self._folded = {key.casefold(): value for key, value in loaded.items()}

    def take(self, name: str, kind: type[_Kind]) -> _Kind | None:
        """A field's value, None where it is missing or null. Raises Refusal where it is of another type."""
        value = self._folded.get(name.casefold())
        if value is not None and not isinstance(value, kind):
            raise _type_error(value, name)
        return _clean_text(value) if isinstance(value, str) else value


def _parse_matcher(index: int, item: _AnyCaseFields) -> Matcher:
    is_regex, name, value = item.take("isRegex", bool), item.take("name", str), item.take("value", str)
    is_equal = item.take("isEqual", bool)
    at = f"matchers.{index}"
    is_regex = _required(is_regex, f"{at}.isRegex")
    name, value = _required(name, f"{at}.name"), _required(value, f"{at}.value")
    try:
        return Matcher(name, _OPS[is_equal is not False, is_regex], value)
    except BadMatcher as error:
        raise AlertmanagerApiError(bare_error(400, f"silence invalid: invalid label matcher {index}: {error}")) from None


_Value = TypeVar("_Value")


def _required(value: _Value | None, name: str) -> _Value:
    if value is None:
        raise _missing_error(name)
    return value


def _parse_ns(text: str | None) -> int | None:
    """Nanoseconds; Go's zero time is 0."""
    if text is None:
        return None
    try:
        moment = parse_time(text)
    except BadTime as error:
        raise _parse_error(str(error)) from None
    return min(moment[0], FOREVER_NS) if moment else 0


def _parse_annotations(given: dict[str, Any]) -> dict[str, str]:
    for text in given.values():
        if not isinstance(text, str):
            raise _type_error(text, "annotations")
    return {_clean_text(name): _clean_text(text) for name, text in given.items()}


def _decode_body(body: bytes) -> Any:
    try:
        value, _ = json.JSONDecoder().raw_decode(body.decode("utf-8", "replace").lstrip(" \t\r\n"))
    except (ValueError, RecursionError) as error:  # ValueError: not JSON, or a number longer than Python reads
        raise _parse_error(str(error)) from None
    return value


def _clean_text(text: str) -> str:
    """Lone surrogates become U+FFFD, as in Go."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _missing_error(name: str) -> AlertmanagerApiError:
    return AlertmanagerApiError(coded_error(422, f"{name} in body is required", code=602))


def _type_error(value: Any, name: str) -> AlertmanagerApiError:
    return _parse_error(f"json: cannot unmarshal {_GO_NAMES[type(value)]} into {name}")


def _parse_error(why: str) -> AlertmanagerApiError:
    return AlertmanagerApiError(coded_error(400, f'parsing silence body from "" failed, because {why}'))


class AlertmanagerSilencesApi:
    def __init__(self, context: Context) -> None:
        self._context = context

    async def all(self, asked: AlertmanagerRequest) -> AlertmanagerResponse:
        """Those that `filter`, `active`, `pending` and `expired` leave. Filters are compared with the matchers letter by letter."""
        query = asked.query
        filters, states = query.matchers("filter"), {state for state in ("active", "pending", "expired") if query.flag(state)}
        now_ns = self._now_ns()
        found = [
            silence
            for silence in (await muting.load_silences(self._context)).values()
            if silences.display_state(silence, now_ns) in states and silences.has_all_matchers(silence, filters)
        ]
        return value_response([alerts.view_silence(silence, now_ns) for silence in silences.sort_silences(found, now_ns)])

    async def one(self, asked: AlertmanagerRequest) -> AlertmanagerResponse:
        silence = (await muting.load_silences(self._context)).get(asked.silence_id())
        return value_response(alerts.view_silence(silence, self._now_ns())) if silence else AlertmanagerResponse(404)

    async def post(self, asked: AlertmanagerRequest) -> AlertmanagerResponse:
        """Create a silence, or change one; answers the id that holds now."""
        wanted = parse_silence(await asked.json())
        try:
            made = await muting.put_silence(self._context, wanted)
        except NotFound as error:
            raise AlertmanagerApiError(bare_error(404, str(error))) from None
        except BadSilence as error:
            raise AlertmanagerApiError(bare_error(400, str(error))) from None
        matchers = " or ".join("{" + ", ".join(map(str, one)) + "}" for one in made.matcher_sets)
        set_audit_text(asked, f"silenced {matchers}, silence {made.id}")
        return value_response({"silenceID": made.id})

    async def delete(self, asked: AlertmanagerRequest) -> AlertmanagerResponse:
        """End a silence now; one that is over stays as it is."""
        silence_id = asked.silence_id()
        try:
            await muting.expire_silence(self._context, silence_id)
        except NotFound:
            return AlertmanagerResponse(404)
        set_audit_text(asked, f"ended silence {silence_id}")
        return AlertmanagerResponse()

    def _now_ns(self) -> int:
        return int(self._context.now() * 10**9)
