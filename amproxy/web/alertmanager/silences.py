"""GET and POST /silences, GET and DELETE /silence/{id}.

A posted silence may be as sloppy as for Alertmanager (keys in any case, unknown keys, bad UTF-8,
text after the value), and gets Alertmanager's errors.
"""

from __future__ import annotations

import json
from typing import Any, TypeVar

from amproxy import offload
from amproxy.accept.body import BadTime, parse_time
from amproxy.context import Context
from amproxy.errors import NotFound
from amproxy.grouping import silences
from amproxy.grouping.silences import FOREVER_NS, BadSilence
from amproxy.labels.matchers import BadMatcher, Matcher, Op, is_label_name
from amproxy.model import Silence
from amproxy.respond import muting
from amproxy.web.alertmanager.http import (
    AlertmanagerApiError,
    AlertmanagerRequest,
    AlertmanagerResponse,
    bare_error,
    coded_error,
    value_response,
)
from amproxy.web.alertmanager.views import view_silence
from amproxy.web.http.audited import mute_phrase, silence_phrase
from amproxy.web.http.permissions import Forbidden, set_audit_phrase
from amproxy.web.silences.preview import MatcherSets, require_mute

BYTES_OF_MATCHER = 64  # bytes of a body that take as long as an alert

_OPS: dict[tuple[bool, bool], Op] = {
    (True, False): "=",
    (False, False): "!=",
    (True, True): "=~",
    (False, True): "!~",
}
_GO_NAMES = {
    dict: "object",
    list: "array",
    str: "string",
    bool: "bool",
    int: "number",
    float: "number",
    type(None): "null",
}
_Kind = TypeVar("_Kind", str, bool, list, dict)  # type: ignore[type-arg]
_Value = TypeVar("_Value")


class AlertmanagerSilencesApi:
    def __init__(self, context: Context) -> None:
        self._context = context

    async def all(self, request: AlertmanagerRequest) -> AlertmanagerResponse:
        """The silences that match the query.

        A filter is compared with the text of a silence's matchers, not applied to labels.
        """
        query, now_ns = request.query, self._now_ns()
        filters = query.matchers("filter")
        states = {state for state in ("active", "pending", "expired") if query.flag(state)}
        listed = [
            silence
            for silence in (await muting.load_silences(self._context)).values()
            if silences.display_state(silence, now_ns) in states
            and silences.has_all_matchers(silence, filters)
        ]
        listed = silences.sort_silences(listed, now_ns)
        return value_response([view_silence(silence, now_ns) for silence in listed])

    async def one(self, request: AlertmanagerRequest) -> AlertmanagerResponse:
        silence = await muting.get_silence(self._context, request.silence_id())
        if silence is None:
            return AlertmanagerResponse(404)
        return value_response(view_silence(silence, self._now_ns()))

    async def post(self, request: AlertmanagerRequest) -> AlertmanagerResponse:
        """Create or change a silence; respond with its ID, which a change may replace."""
        body = await request.json()
        # a megabyte may hold twenty thousand regular expressions
        posted = await offload.run(len(body) // BYTES_OF_MATCHER, parse_silence, body)
        await self._require(request, posted.matcher_sets)
        if posted.id:
            await self._require_change(request, posted.id)
        try:
            silence = await muting.put_silence(self._context, posted)
        except NotFound as error:
            raise AlertmanagerApiError(bare_error(404, str(error))) from None
        except BadSilence as error:
            raise AlertmanagerApiError(bare_error(400, str(error))) from None
        set_audit_phrase(request, silence_phrase(silence.id, silence.matcher_sets))
        return value_response({"silenceID": silence.id})

    async def delete(self, request: AlertmanagerRequest) -> AlertmanagerResponse:
        """End a silence now; one that is over stays as it is."""
        silence_id = request.silence_id()
        await self._require_change(request, silence_id)
        try:
            await muting.expire_silence(self._context, silence_id)
        except NotFound:
            return AlertmanagerResponse(404)
        set_audit_phrase(request, mute_phrase("silence", "ended", silence_id))
        return AlertmanagerResponse()

    async def _require_change(self, request: AlertmanagerRequest, silence_id: str) -> None:
        """Check the right to change a silence that there is. Raises AlertmanagerApiError (403)."""
        old = await muting.get_silence(self._context, silence_id)
        if old:
            await self._require(request, old.matcher_sets, ends=True)

    async def _require(
        self, request: AlertmanagerRequest, sets: MatcherSets, *, ends: bool = False
    ) -> None:
        """Raises AlertmanagerApiError (403)."""
        try:
            await require_mute(request, self._context, sets, ends=ends)
        except Forbidden as error:
            raise AlertmanagerApiError(coded_error(403, str(error))) from None

    def _now_ns(self) -> int:
        return int(self._context.now() * 10**9)


def parse_silence(body: bytes) -> Silence:
    """Parse a posted silence; the ID of a new one is "". Raises AlertmanagerApiError (400, 422)."""
    if not body.strip():
        raise _missing_error("silence")
    decoded = _decode_body(body)
    fields = _AnyCaseFields({} if decoded is None else decoded, "silence")
    comment, created_by = fields.get("comment", str), fields.get("createdBy", str)
    starts_ns = _parse_ns(fields.get("startsAt", str))
    ends_ns = _parse_ns(fields.get("endsAt", str))
    listed, annotations = fields.get("matchers", list), fields.get("annotations", dict)
    silence_id = fields.get("id", str) or ""
    matchers = None
    if listed is not None:
        matchers = [_AnyCaseFields(item, f"matchers.{n}") for n, item in enumerate(listed)]
    # Go's order of errors: wrong types of all fields first, then missing ones by name
    comment, created_by = _required(comment, "comment"), _required(created_by, "createdBy")
    ends_ns = _required(ends_ns, "endsAt")
    matchers = _required(matchers, "matchers")
    if not matchers:
        message = "matchers in body should have at least 1 items"
        raise AlertmanagerApiError(coded_error(422, message, code=612))
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
    """A JSON object with keys in any case."""

    def __init__(self, loaded: Any, name: str) -> None:
        if not isinstance(loaded, dict):
            raise _type_error(loaded, name)
        self._folded = {key.casefold(): value for key, value in loaded.items()}

    def get(self, name: str, kind: type[_Kind]) -> _Kind | None:
        """A field's value, None where it is missing or null.

        Raises AlertmanagerApiError (400) where it is of another type.
        """
        value = self._folded.get(name.casefold())
        if value is not None and not isinstance(value, kind):
            raise _type_error(value, name)
        return _clean_text(value) if isinstance(value, str) else value


def _parse_matcher(index: int, item: _AnyCaseFields) -> Matcher:
    is_regex, name = item.get("isRegex", bool), item.get("name", str)
    value, is_equal = item.get("value", str), item.get("isEqual", bool)
    path = f"matchers.{index}"
    is_regex = _required(is_regex, f"{path}.isRegex")
    name, value = _required(name, f"{path}.name"), _required(value, f"{path}.value")
    if name and not is_label_name(name):  # in classic mode; "" has a text of its own
        wrong = f"invalid label name {json.dumps(name, ensure_ascii=False)}"
        text = f"invalid silence: invalid label matcher {index}: {wrong}"
        raise AlertmanagerApiError(bare_error(400, text))
    try:
        return Matcher(name, _OPS[is_equal is not False, is_regex], value)
    except BadMatcher as error:
        text = f"silence invalid: invalid label matcher {index}: {error}"
        raise AlertmanagerApiError(bare_error(400, text)) from None


def _required(value: _Value | None, name: str) -> _Value:
    if value is None:
        raise _missing_error(name)
    return value


def _parse_ns(text: str | None) -> int | None:
    """Unix nanoseconds; Go's zero time is 0."""
    if text is None:
        return None
    try:
        time = parse_time(text)
    except BadTime as error:
        raise _parse_error(str(error)) from None
    return min(time[0], FOREVER_NS) if time else 0


def _parse_annotations(given: dict[str, Any]) -> dict[str, str]:
    for text in given.values():
        if not isinstance(text, str):
            raise _type_error(text, "annotations")
    return {_clean_text(name): _clean_text(text) for name, text in given.items()}


def _decode_body(body: bytes) -> Any:
    try:
        value, _ = json.JSONDecoder().raw_decode(body.decode("utf-8", "replace").lstrip(" \t\r\n"))
    # ValueError: not JSON, or a number longer than Python reads
    except (ValueError, RecursionError) as error:
        raise _parse_error(str(error)) from None
    return value


def _clean_text(text: str) -> str:
    """Replace lone surrogates by U+FFFD, as Go does."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _missing_error(name: str) -> AlertmanagerApiError:
    return AlertmanagerApiError(coded_error(422, f"{name} in body is required", code=602))


def _type_error(value: Any, name: str) -> AlertmanagerApiError:
    return _parse_error(f"json: cannot unmarshal {_GO_NAMES[type(value)]} into {name}")


def _parse_error(reason: str) -> AlertmanagerApiError:
    message = f'parsing silence body from "" failed, because {reason}'
    return AlertmanagerApiError(coded_error(400, message))
