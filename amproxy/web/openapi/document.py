"""The document itself, put together from the tables of operations and answers, and from the bodies that the handlers decode.

A document in the order in which people read it. Pure.

/api/v1/openapi.json and /api: the API described, for programs and for people.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from http import HTTPStatus
from typing import Any, Final, NamedTuple

import msgspec
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from amproxy import __version__
from amproxy.reports.insights import TABLES
from amproxy.respond.actions import ActionName
from amproxy.web.http.deps import Deps
from amproxy.web.http.permissions import required_role
from amproxy.web.http.templates import PageTemplates
from amproxy.web.incidents.api import json_response
from amproxy.web.openapi import answers as openapi_answers
from amproxy.web.openapi.operations import (
    CALENDAR_OPERATIONS,
    CONFIG_OPERATIONS,
    DELIVERY_OPERATIONS,
    INCIDENT_OPERATIONS,
    INTAKE_OPERATIONS,
    MUTING_OPERATIONS,
    PEOPLE_OPERATIONS,
    REPORT_OPERATIONS,
    SCHEDULE_OPERATIONS,
    SERVICE_OPERATIONS,
    SIGN_IN_OPERATIONS,
)
from amproxy.web.openapi.schema import JSON_MEDIA, PLAIN_MEDIA, SCHEMA_REFS, STRING, ApiOperation, Schema, enum_of, ref
from amproxy.web.signin import session

# tag → its operations
OPERATIONS: Final[dict[str, tuple[ApiOperation, ...]]] = {
    "incidents": INCIDENT_OPERATIONS, "hindsight": REPORT_OPERATIONS, "schedules": SCHEDULE_OPERATIONS, "people": PEOPLE_OPERATIONS, "calendars": CALENDAR_OPERATIONS, "muted": MUTING_OPERATIONS,
    "deliveries": DELIVERY_OPERATIONS, "file": CONFIG_OPERATIONS, "sign_in": SIGN_IN_OPERATIONS, "doors": INTAKE_OPERATIONS, "service": SERVICE_OPERATIONS,
}  # fmt: skip
ALERTMANAGER_OPENAPI_URL: Final = "https://github.com/prometheus/alertmanager/blob/main/api/v2/openapi.yaml"

_DESCRIPTION: Final = (
    "Times are RFC 3339 in UTC, what there is not is null, people are named by their name in the file. Without sign_in in the file "
    "everybody who reaches amproxy may do everything; with it, each operation names the least role that it needs. "
    "/api/v2 is Alertmanager's own."
)
_ERROR_STATUSES: Final = (400, 401, 403, 404, 409, 413, 415, 422, 503)
_INTAKE_PATHS: Final = ("/webhook/", "/heartbeat/")  # outside the web part: with secrets of their own
_PATH_PARAMETERS: Final[dict[str, Schema]] = {
    "action": enum_of(ActionName),
    "table": {**STRING, "enum": list(TABLES)},
}  # of paths; others are texts
_SECURITY_SCHEMES: Final[dict[str, Any]] = {
    "token": {"type": "http", "scheme": "bearer", "description": "An API token, amp_…"},
    "session": {"type": "apiKey", "in": "cookie", "name": session.SESSION_COOKIE, "description": "That of a browser that is signed in."},
    "source": {"type": "http", "scheme": "bearer", "description": "The token of a source of the file."},
}


def build_document(external_url: str) -> dict[str, Any]:
    """An OpenAPI 3.1 document. external_url: where amproxy is reached, "" = where the document was read."""
    return {**_cached_document(), "servers": [{"url": external_url or "/"}]}


@lru_cache
def _cached_document() -> dict[str, Any]:
    bodies = {one.body for rows in OPERATIONS.values() for one in rows if isinstance(one.body, type)}
    kinds = sorted(bodies, key=lambda kind: kind.__name__)
    shown, components = msgspec.json.schema_components(kinds, ref_template=f"{SCHEMA_REFS}{{name}}")
    schemas = dict(zip(kinds, shown, strict=True))
    paths: dict[str, Any] = {}
    for tag, rows in OPERATIONS.items():
        for one in rows:
            body = schemas[one.body] if isinstance(one.body, type) else one.body
            paths.setdefault(one.path, {})[one.method.lower()] = _operation_object(tag, one, body)
    answers = {**openapi_answers.INCIDENT_RESPONSES, **openapi_answers.SCHEDULE_RESPONSES, **openapi_answers.SERVICE_RESPONSES}
    return {
        "openapi": "3.1.0",
        "info": {"title": "amproxy", "version": __version__, "description": _DESCRIPTION},
        "externalDocs": {"url": ALERTMANAGER_OPENAPI_URL, "description": "Alertmanager's description of /api/v2"},
        "tags": [{"name": tag} for tag in OPERATIONS],
        "paths": paths,
        "components": {
            "schemas": {**answers, **components},
            "responses": {str(status): _json_error(status) for status in _ERROR_STATUSES},
            "securitySchemes": _SECURITY_SCHEMES,
        },
    }


def _operation_object(tag: str, one: ApiOperation, body: Schema | None) -> dict[str, Any]:
    role, is_door = required_role(one.method, one.path), one.path.startswith(_INTAKE_PATHS)
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": _PATH_PARAMETERS.get(name, STRING)}
        for name in re.findall(r"{(\w+)}", one.path)
    ]
    security: list[dict[str, list[str]]] = [{"source": []}] if one.path.startswith("/webhook/") else []
    if role is not None and not is_door:
        security = [{"token": []}, {"session": []}]
    return {
        "operationId": one.id,
        "tags": [tag],
        "summary": one.summary,
        **({} if role is None or is_door else {"x-role": role}),
        "parameters": [*parameters, *(parameter.view() for parameter in one.query)],
        **(
            {"requestBody": {"required": isinstance(one.body, dict), "content": {JSON_MEDIA: {"schema": body}}}} if body is not None else {}
        ),
        "responses": dict(_response_objects(one, known=role is not None and not is_door)),
        "security": security,
    }


def _response_objects(one: ApiOperation, *, known: bool) -> Iterator[tuple[str, Any]]:
    for status in (one.status, 201) if one.created else (one.status,):
        content = {media: {"schema": one.answer if media == one.media[0] else STRING} for media in one.media}
        yield str(status), {"description": HTTPStatus(status).phrase, **({"content": content} if one.answer else {})}
    errors = {*one.errors, 503, *((401, 403) if known else ()), *((404,) if "{" in one.path else ())}
    errors |= {*((400, 413, 415, 422) if one.body else ()), *((422,) if one.query else ())}
    for status in sorted(errors):
        yield str(status), {"$ref": f"#/components/responses/{status}"} if _is_json_error(one, status) else _plain_error(one, status)


def _is_json_error(one: ApiOperation, status: int) -> bool:
    """Whether an error is one of ours."""
    return status in _ERROR_STATUSES and not one.path.startswith("/calendar/") and not (one.path == "/-/ready" and status == 503)


def _plain_error(one: ApiOperation, status: int) -> dict[str, Any]:
    """The Prometheus family's own addresses say what is wrong in plain text, and people who open a calendar's address read a page."""
    answer, media = {"description": HTTPStatus(status).phrase}, "text/html" if one.path.startswith("/calendar/") else PLAIN_MEDIA
    return answer if status == HTTPStatus.NOT_MODIFIED else {**answer, "content": {media: {"schema": STRING}}}


def _json_error(status: int) -> dict[str, Any]:
    return {"description": HTTPStatus(status).phrase, "content": {JSON_MEDIA: {"schema": ref("Error")}}}


class OperationOutline(NamedTuple):
    """One operation of a document."""

    method: str
    path: str
    body: dict[str, Any] | None  # schemas; None = nothing
    answers: list[tuple[str, str, dict[str, Any] | None]]  # status, media type ("" = nothing), schema
    errors: list[str]  # statuses
    said: dict[str, Any]  # all the rest, as the document has it


def group_operations(document: dict[str, Any]) -> dict[str, list[OperationOutline]]:
    """Tag → its operations, both in the order of the document."""
    groups: dict[str, list[OperationOutline]] = {tag["name"]: [] for tag in document["tags"]}
    for path, methods in document["paths"].items():
        for method, said in methods.items():
            groups[said["tags"][0]].append(_outline_operation(method.upper(), path, said))
    return groups


def _outline_operation(method: str, path: str, said: dict[str, Any]) -> OperationOutline:
    answers: list[tuple[str, str, dict[str, Any] | None]] = []
    for status, answer in said["responses"].items():
        if status.startswith("2"):
            answers += [(status, media, held["schema"]) for media, held in answer.get("content", {"": {"schema": None}}).items()]
    body = next((held["schema"] for held in said.get("requestBody", {}).get("content", {}).values()), None)
    return OperationOutline(method, path, body, answers, [status for status in said["responses"] if not status.startswith("2")], said)


class OpenApi:
    def __init__(self, deps: Deps, looks: PageTemplates) -> None:
        self._context, self._looks = deps.context, looks

    def routes(self) -> list[Route]:
        return [
            Route("/api/v1/openapi.json", self.document, methods=["GET"]),
            Route("/api", self.page, methods=["GET"]),
        ]

    async def document(self, request: Request) -> Response:
        return json_response(build_document(self._context.external_url))

    async def page(self, request: Request) -> HTMLResponse:
        """Drawn from the document alone."""
        described = build_document(self._context.external_url)
        return await self._looks.page(
            request, "api.html", groups=group_operations(described), document=described, alertmanager=ALERTMANAGER_OPENAPI_URL
        )
