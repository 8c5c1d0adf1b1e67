"""The API described, for programs and for people: /api/v1/openapi.json and /api.

The document is put together from the tables of operations and responses, and from the bodies that
the handlers decode, so it cannot differ from them.
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
from amproxy.web.http.response import json_response
from amproxy.web.http.templates import PageTemplates
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
from amproxy.web.openapi.responses import (
    INCIDENT_RESPONSES,
    SCHEDULE_RESPONSES,
    SERVICE_RESPONSES,
)
from amproxy.web.openapi.schema import (
    JSON_MEDIA,
    PLAIN_MEDIA,
    SCHEMA_REFS,
    STRING,
    ApiOperation,
    OperationTable,
    Schema,
    choice_of,
    enum_of,
    ref,
)
from amproxy.web.signin import session

# tag → its operations
OPERATIONS: Final[dict[str, OperationTable]] = {
    "incidents": INCIDENT_OPERATIONS,
    "hindsight": REPORT_OPERATIONS,
    "schedules": SCHEDULE_OPERATIONS,
    "people": PEOPLE_OPERATIONS,
    "calendars": CALENDAR_OPERATIONS,
    "muted": MUTING_OPERATIONS,
    "deliveries": DELIVERY_OPERATIONS,
    "file": CONFIG_OPERATIONS,
    "sign_in": SIGN_IN_OPERATIONS,
    "push": INTAKE_OPERATIONS,
    "service": SERVICE_OPERATIONS,
}
ALERTMANAGER_OPENAPI_URL: Final = (
    "https://github.com/prometheus/alertmanager/blob/main/api/v2/openapi.yaml"
)

_DESCRIPTION: Final = (
    "Times are RFC 3339 in UTC, what there is not is null, people are named by their name in the "
    "file. Without sign_in in the file everybody who reaches amproxy may do everything; with it, "
    "each operation names the least role that it needs. /api/v2 is Alertmanager's own."
)
_ERROR_STATUSES: Final = (400, 401, 403, 404, 409, 413, 415, 422, 503)
# paths with secrets of their own instead of roles: they are outside of what build_web_app guards
_INTAKE_PATHS: Final = ("/webhook/", "/heartbeat/")
# parameters of paths; others are texts
_PATH_PARAMETERS: Final = {"action": enum_of(ActionName), "table": choice_of(TABLES)}
_SECURITY_SCHEMES: Final[dict[str, Any]] = {
    "token": {"type": "http", "scheme": "bearer", "description": "An API token, amp_…"},
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": session.SESSION_COOKIE,
        "description": "That of a browser that is signed in.",
    },
    "source": {
        "type": "http",
        "scheme": "bearer",
        "description": "The token of a source or heartbeat of the file.",
    },
}


class OpenApi:
    def __init__(self, deps: Deps, templates: PageTemplates) -> None:
        self._context, self._templates = deps.context, templates

    def routes(self) -> list[Route]:
        return [
            Route("/api/v1/openapi.json", self.document, methods=["GET"]),
            Route("/api", self.page, methods=["GET"]),
        ]

    async def document(self, request: Request) -> Response:
        return json_response(build_document(self._context.external_url))

    async def page(self, request: Request) -> HTMLResponse:
        """Show the API, from the document alone."""
        document = build_document(self._context.external_url)
        return await self._templates.page(
            request,
            "api.html",
            groups=group_operations(document),
            document=document,
            alertmanager=ALERTMANAGER_OPENAPI_URL,
        )


def build_document(external_url: str) -> dict[str, Any]:
    """An OpenAPI 3.1 document. external_url: of amproxy; "" = where the document was read."""
    return {**_cached_document(), "servers": [{"url": external_url or "/"}]}


@lru_cache
def _cached_document() -> dict[str, Any]:
    operations = [one for table in OPERATIONS.values() for one in table.values()]
    bodies = {one.body for one in operations if isinstance(one.body, type)}
    # sorted, so that every process serves the same bytes
    kinds = sorted(bodies, key=lambda kind: kind.__name__)
    shown, components = msgspec.json.schema_components(kinds, ref_template=f"{SCHEMA_REFS}{{name}}")
    schemas = dict(zip(kinds, shown, strict=True))
    paths: dict[str, Any] = {}
    for tag, table in OPERATIONS.items():
        for address, one in table.items():
            method, _, path = address.partition(" ")
            body = schemas[one.body] if isinstance(one.body, type) else one.body
            built = _operation_object(tag, method, path, one, body)
            paths.setdefault(path, {})[method.lower()] = built
    return {
        "openapi": "3.1.0",
        "info": {"title": "amproxy", "version": __version__, "description": _DESCRIPTION},
        "externalDocs": {
            "url": ALERTMANAGER_OPENAPI_URL,
            "description": "Alertmanager's description of /api/v2",
        },
        "tags": [{"name": tag} for tag in OPERATIONS],
        "paths": paths,
        "components": {
            "schemas": {
                **INCIDENT_RESPONSES,
                **SCHEDULE_RESPONSES,
                **SERVICE_RESPONSES,
                **components,
            },
            "responses": {str(status): _json_error(status) for status in _ERROR_STATUSES},
            "securitySchemes": _SECURITY_SCHEMES,
        },
    }


def _operation_object(
    tag: str, method: str, path: str, one: ApiOperation, body: Schema | None
) -> dict[str, Any]:
    role = None if path.startswith(_INTAKE_PATHS) else required_role(method, path)
    security: list[dict[str, list[str]]] = []
    if path.startswith(_INTAKE_PATHS):
        security = [{"source": []}]
    elif role is not None:
        security = [{"token": []}, {"session": []}]
    found: dict[str, Any] = {"operationId": one.id, "tags": [tag], "summary": one.summary}
    if role is not None:
        found["x-role"] = role
    found["parameters"] = [
        *(
            {
                "name": name,
                "in": "path",
                "required": True,
                "schema": _PATH_PARAMETERS.get(name, STRING),
            }
            for name in re.findall(r"{(\w+)}", path)
        ),
        *(parameter.view() for parameter in one.query),
    ]
    if body is not None:
        # without a body the defaults of a struct hold; an intake cannot do without
        found["requestBody"] = {
            "required": isinstance(one.body, dict),
            "content": {JSON_MEDIA: {"schema": body}},
        }
    found["responses"] = dict(_response_objects(path, one, has_role=role is not None))
    found["security"] = security
    return found


def _response_objects(path: str, one: ApiOperation, *, has_role: bool) -> Iterator[tuple[str, Any]]:
    """Status → the response object: the good ones first, then the errors in order."""
    schema = ref(one.response) if isinstance(one.response, str) else one.response
    content = {
        media: {"schema": schema if media == one.media[0] else STRING} for media in one.media
    }
    for status in (one.status, 201) if one.created else (one.status,):
        good: dict[str, Any] = {"description": HTTPStatus(status).phrase}
        yield str(status), {**good, "content": content} if schema else good
    for status in sorted(_error_statuses(path, one, has_role=has_role)):
        if _is_json_error(path, status):
            yield str(status), {"$ref": f"#/components/responses/{status}"}
        else:
            yield str(status), _plain_error(path, status)


def _error_statuses(path: str, one: ApiOperation, *, has_role: bool) -> set[int]:
    statuses = {*one.errors, 503}  # any of them may find Redis away
    if has_role:
        statuses |= {401, 403}
    if "{" in path:
        statuses.add(404)
    if one.body:
        statuses |= {400, 413, 415, 422}
    if one.query:
        statuses.add(422)
    return statuses


def _is_json_error(path: str, status: int) -> bool:
    return (
        status in _ERROR_STATUSES
        and not path.startswith("/calendar/")
        and not (path == "/-/ready" and status == 503)
    )


def _plain_error(path: str, status: int) -> dict[str, Any]:
    """An error as plain text, as the Prometheus family has it, or as a page.

    The address of a calendar is opened by people, who read a page.
    """
    found: dict[str, Any] = {"description": HTTPStatus(status).phrase}
    if status != HTTPStatus.NOT_MODIFIED:
        media = "text/html" if path.startswith("/calendar/") else PLAIN_MEDIA
        found["content"] = {media: {"schema": STRING}}
    return found


def _json_error(status: int) -> dict[str, Any]:
    return {
        "description": HTTPStatus(status).phrase,
        "content": {JSON_MEDIA: {"schema": ref("Error")}},
    }


class OperationOutline(NamedTuple):
    """One operation of a document, in the order in which people read it."""

    method: str
    path: str
    body: Schema | None  # None = no body
    responses: list[tuple[str, str, Schema | None]]  # status, media type ("" = none), schema
    errors: list[str]  # statuses
    spec: dict[str, Any]  # all the rest, as the document has it


def group_operations(document: dict[str, Any]) -> dict[str, list[OperationOutline]]:
    """Tag → its operations, both in the order of the document."""
    groups: dict[str, list[OperationOutline]] = {tag["name"]: [] for tag in document["tags"]}
    for path, methods in document["paths"].items():
        for method, spec in methods.items():
            groups[spec["tags"][0]].append(_outline_operation(method.upper(), path, spec))
    return groups


def _outline_operation(method: str, path: str, spec: dict[str, Any]) -> OperationOutline:
    bodies = [media["schema"] for media in spec.get("requestBody", {}).get("content", {}).values()]
    good = {status: one for status, one in spec["responses"].items() if status.startswith("2")}
    return OperationOutline(
        method,
        path,
        bodies[0] if bodies else None,
        [
            (status, media_type, media["schema"])
            for status, response in good.items()
            for media_type, media in response.get("content", {"": {"schema": None}}).items()
        ],
        [status for status in spec["responses"] if status not in good],
        spec,
    )
