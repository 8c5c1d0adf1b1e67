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
from amproxy.web.http.permissions import needs
from amproxy.web.http.templates import Looks
from amproxy.web.incidents.api import json
from amproxy.web.openapi import answers as openapi_answers
from amproxy.web.openapi.operations import (
    CALENDARS,
    DELIVERIES,
    DOORS,
    FILE,
    HINDSIGHT,
    INCIDENTS,
    MUTED,
    PEOPLE,
    SCHEDULES,
    SERVICE,
    SIGN_IN,
)
from amproxy.web.openapi.schema import JSON, PLAIN, REFS, TEXT, Operation, Shape, one_of, ref
from amproxy.web.signin import session

# tag → its operations
OPERATIONS: Final[dict[str, tuple[Operation, ...]]] = {
    "incidents": INCIDENTS, "hindsight": HINDSIGHT, "schedules": SCHEDULES, "people": PEOPLE, "calendars": CALENDARS, "muted": MUTED,
    "deliveries": DELIVERIES, "file": FILE, "sign_in": SIGN_IN, "doors": DOORS, "service": SERVICE,
}  # fmt: skip
ALERTMANAGER: Final = "https://github.com/prometheus/alertmanager/blob/main/api/v2/openapi.yaml"

_DESCRIPTION: Final = (
    "Times are RFC 3339 in UTC, what there is not is null, people are named by their name in the file. Without sign_in in the file "
    "everybody who reaches amproxy may do everything; with it, each operation names the least role that it needs. "
    "/api/v2 is Alertmanager's own."
)
_ERRORS: Final = (400, 401, 403, 404, 409, 413, 415, 422, 503)
_DOORS: Final = ("/webhook/", "/heartbeat/")  # outside the web part: with secrets of their own
_PLACES: Final[dict[str, Shape]] = {"action": one_of(ActionName), "table": {**TEXT, "enum": list(TABLES)}}  # of paths; others are texts
_SECURITY: Final[dict[str, Any]] = {
    "token": {"type": "http", "scheme": "bearer", "description": "An API token, amp_…"},
    "session": {"type": "apiKey", "in": "cookie", "name": session.SESSION, "description": "That of a browser that is signed in."},
    "source": {"type": "http", "scheme": "bearer", "description": "The token of a source of the file."},
}


def document(external_url: str) -> dict[str, Any]:
    """An OpenAPI 3.1 document. external_url: where amproxy is reached, "" = where the document was read."""
    return {**_document(), "servers": [{"url": external_url or "/"}]}


@lru_cache
def _document() -> dict[str, Any]:
    bodies = {one.body for rows in OPERATIONS.values() for one in rows if isinstance(one.body, type)}
    kinds = sorted(bodies, key=lambda kind: kind.__name__)
    shown, components = msgspec.json.schema_components(kinds, ref_template=f"{REFS}{{name}}")
    schemas = dict(zip(kinds, shown, strict=True))
    paths: dict[str, Any] = {}
    for tag, rows in OPERATIONS.items():
        for one in rows:
            body = schemas[one.body] if isinstance(one.body, type) else one.body
            paths.setdefault(one.path, {})[one.method.lower()] = _operation(tag, one, body)
    answers = {**openapi_answers.INCIDENT_RESPONSES, **openapi_answers.SCHEDULE_RESPONSES, **openapi_answers.SERVICE_RESPONSES}
    return {
        "openapi": "3.1.0",
        "info": {"title": "amproxy", "version": __version__, "description": _DESCRIPTION},
        "externalDocs": {"url": ALERTMANAGER, "description": "Alertmanager's description of /api/v2"},
        "tags": [{"name": tag} for tag in OPERATIONS],
        "paths": paths,
        "components": {
            "schemas": {**answers, **components},
            "responses": {str(status): _error(status) for status in _ERRORS},
            "securitySchemes": _SECURITY,
        },
    }


def _operation(tag: str, one: Operation, body: Shape | None) -> dict[str, Any]:
    role, is_door = needs(one.method, one.path), one.path.startswith(_DOORS)
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": _PLACES.get(name, TEXT)} for name in re.findall(r"{(\w+)}", one.path)
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
        **({"requestBody": {"required": isinstance(one.body, dict), "content": {JSON: {"schema": body}}}} if body is not None else {}),
        "responses": dict(_responses(one, known=role is not None and not is_door)),
        "security": security,
    }


def _responses(one: Operation, *, known: bool) -> Iterator[tuple[str, Any]]:
    for status in (one.status, 201) if one.created else (one.status,):
        content = {media: {"schema": one.answer if media == one.media[0] else TEXT} for media in one.media}
        yield str(status), {"description": HTTPStatus(status).phrase, **({"content": content} if one.answer else {})}
    errors = {*one.errors, 503, *((401, 403) if known else ()), *((404,) if "{" in one.path else ())}
    errors |= {*((400, 413, 415, 422) if one.body else ()), *((422,) if one.query else ())}
    for status in sorted(errors):
        yield str(status), {"$ref": f"#/components/responses/{status}"} if _is_json(one, status) else _other(one, status)


def _is_json(one: Operation, status: int) -> bool:
    """Whether an error is one of ours."""
    return status in _ERRORS and not one.path.startswith("/calendar/") and not (one.path == "/-/ready" and status == 503)


def _other(one: Operation, status: int) -> dict[str, Any]:
    """The Prometheus family's own addresses say what is wrong in plain text, and people who open a calendar's address read a page."""
    answer, media = {"description": HTTPStatus(status).phrase}, "text/html" if one.path.startswith("/calendar/") else PLAIN
    return answer if status == HTTPStatus.NOT_MODIFIED else {**answer, "content": {media: {"schema": TEXT}}}


def _error(status: int) -> dict[str, Any]:
    return {"description": HTTPStatus(status).phrase, "content": {JSON: {"schema": ref("Error")}}}


class Listed(NamedTuple):
    """One operation of a document."""

    method: str
    path: str
    body: dict[str, Any] | None  # schemas; None = nothing
    answers: list[tuple[str, str, dict[str, Any] | None]]  # status, media type ("" = nothing), schema
    errors: list[str]  # statuses
    said: dict[str, Any]  # all the rest, as the document has it


def outline(document: dict[str, Any]) -> dict[str, list[Listed]]:
    """Tag → its operations, both in the order of the document."""
    groups: dict[str, list[Listed]] = {tag["name"]: [] for tag in document["tags"]}
    for path, methods in document["paths"].items():
        for method, said in methods.items():
            groups[said["tags"][0]].append(_listed(method.upper(), path, said))
    return groups


def _listed(method: str, path: str, said: dict[str, Any]) -> Listed:
    answers: list[tuple[str, str, dict[str, Any] | None]] = []
    for status, answer in said["responses"].items():
        if status.startswith("2"):
            answers += [(status, media, held["schema"]) for media, held in answer.get("content", {"": {"schema": None}}).items()]
    body = next((held["schema"] for held in said.get("requestBody", {}).get("content", {}).values()), None)
    return Listed(method, path, body, answers, [status for status in said["responses"] if not status.startswith("2")], said)


class OpenApi:
    def __init__(self, deps: Deps, looks: Looks) -> None:
        self._context, self._looks = deps.context, looks

    def routes(self) -> list[Route]:
        return [
            Route("/api/v1/openapi.json", self.document, methods=["GET"]),
            Route("/api", self.page, methods=["GET"]),
        ]

    async def document(self, request: Request) -> Response:
        return json(document(self._context.external_url))

    async def page(self, request: Request) -> HTMLResponse:
        """Drawn from the document alone."""
        described = document(self._context.external_url)
        return await self._looks.page(request, "api.html", groups=outline(described), document=described, alertmanager=ALERTMANAGER)
