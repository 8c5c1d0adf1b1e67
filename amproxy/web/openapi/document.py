"""The API described for programs: /api/v1/openapi.json.

The document is made from the operations that handlers declare and from the types that they take
and return, so it cannot differ from them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from http import HTTPStatus
from typing import Any, Final, Literal, NamedTuple, get_args

import msgspec
from starlette.requests import Request

from amproxy import __version__
from amproxy.reports.insights_rows import TABLES
from amproxy.respond.actions import ActionName
from amproxy.web.config.api import ConfigApi
from amproxy.web.http.api import (
    JSON_MEDIA,
    ApiAnswer,
    ApiOperation,
    ApiSignature,
    ErrorView,
    OperationTag,
    operation,
    operations_of,
    signature_of,
)
from amproxy.web.http.deps import Deps
from amproxy.web.http.monitoring import ManagementApi, Metrics
from amproxy.web.http.permissions import required_role
from amproxy.web.incidents.api import IncidentsApi
from amproxy.web.openapi.schemas import STRING, Schema, Schemas
from amproxy.web.people.api import AbsencesApi, UsersApi
from amproxy.web.policies.receivers import ReceiversApi
from amproxy.web.reports.api import ReportsApi
from amproxy.web.reports.deliveries_api import DeliveriesApi
from amproxy.web.reports.sources import SourcesApi
from amproxy.web.schedules.api import OncallApi, ShiftsApi
from amproxy.web.schedules.calendars_api import CalendarsApi
from amproxy.web.schedules.swaps_api import SwapsApi
from amproxy.web.search.page import SearchApi
from amproxy.web.service import ServiceApi
from amproxy.web.signin import session
from amproxy.web.signin.api import SignInApi
from amproxy.web.silences.api import MaintenanceApi, SilencesApi

ALERTMANAGER_OPENAPI_URL: Final = (
    "https://github.com/prometheus/alertmanager/blob/main/api/v2/openapi.yaml"
)

_DESCRIPTION: Final = (
    "Times are RFC 3339 in UTC, what there is not is null, people are named by their name in the "
    "file. Without sign_in in the file everybody who reaches amproxy may do everything; with it, "
    "each operation names the least role that it needs. /api/v2 is Alertmanager's own."
)
_PLAIN_MEDIA: Final = "text/plain"
_ERROR_STATUSES: Final = (400, 401, 403, 404, 409, 413, 415, 422, 503)
# paths with secrets of their own instead of roles: they are outside of what build_web_app guards
_INTAKE_PATHS: Final = ("/webhook/", "/heartbeat/", "/integrations/", "/v2/")
# parameters of paths; others are texts
_PATH_PARAMETERS: Final[dict[str, Schema]] = {
    "action": {**STRING, "enum": list(get_args(ActionName))},
    "table": {**STRING, "enum": list(TABLES)},
}
_SECURITY_SCHEMES: Final[dict[str, Schema]] = {
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
        "description": "The token of a source or heartbeat of the file. Where the address or the "
        "body has it, as Grafana OnCall's and PagerDuty's have, no header is needed.",
    },
}


class DoneView(msgspec.Struct):
    status: Literal["ok"]


class EnqueuedView(msgspec.Struct):
    """The answer of PagerDuty's events API."""

    status: Literal["success"]
    message: str
    dedup_key: str


class DocumentView(msgspec.Struct):
    """An OpenAPI document."""

    openapi: str
    info: dict[str, Any]
    externalDocs: dict[str, str]
    tags: list[dict[str, str]]
    paths: dict[str, dict[str, Any]]
    components: dict[str, dict[str, Any]]
    servers: list[dict[str, str]]


class DocumentApi:
    def __init__(self, deps: Deps) -> None:
        self._context = deps.context

    @operation("service", "GET /api/v1/openapi.json", "showDescription", "This document")
    async def document(self, request: Request) -> DocumentView:
        return DocumentView(**build_document(self._context.external_url))


# In matching order: a fixed path goes before one with a parameter.
APIS: Final = (
    IncidentsApi,
    OncallApi,
    ReportsApi,
    SwapsApi,
    AbsencesApi,
    UsersApi,
    ShiftsApi,
    MaintenanceApi,
    SilencesApi,
    DeliveriesApi,
    ReceiversApi,
    SourcesApi,
    SearchApi,
    DocumentApi,
    ServiceApi,
    ConfigApi,
    CalendarsApi,
    SignInApi,
    ManagementApi,
    Metrics,
)


def build_document(external_url: str) -> dict[str, Any]:
    """An OpenAPI 3.1 document. external_url: of amproxy; "" = where the document was read."""
    return {**_cached_document(), "servers": [{"url": external_url or "/"}]}


class _Described(NamedTuple):
    """An operation and its types."""

    operation: ApiOperation
    signature: ApiSignature

    @property
    def path(self) -> str:
        """The path as OpenAPI has it."""
        return self.operation.path.replace(":path}", "}")

    @property
    def is_intake(self) -> bool:
        return self.path.startswith(_INTAKE_PATHS)

    @property
    def takes_any_object(self) -> bool:
        return self.is_intake and "heartbeat" not in self.path


def _intake() -> Iterator[_Described]:
    """The operations of accept/, which are no routes of the web framework."""
    done = (ApiAnswer(200, JSON_MEDIA, DoneView),)
    taken = (ApiAnswer(200, JSON_MEDIA, Literal["Ok."]),)
    beaten = (ApiAnswer(200, JSON_MEDIA, Literal[":)"]),)
    silent = (ApiAnswer(200, "", None),)
    queued = (ApiAnswer(202, JSON_MEDIA, EnqueuedView),)
    push = "Alerts from Alertmanager, Grafana and anything else that sends JSON"
    as_oncall = "The same at an address of Grafana OnCall's; TYPE is one of its integrations"
    event = "An event of PagerDuty's events API v2; its routing_key is the token of a source"
    of_oncall = "/integrations/v1/{type}/{token}"
    beat_path = f"{of_oncall}/heartbeat"
    refused, unknown = (401, 403), (403,)
    for method, path, name, summary, answers, errors in (
        ("POST", "/webhook/{source}", "push", push, done, refused),
        ("PUT", "/webhook/{source}", "pushByPut", "The same", done, refused),
        ("POST", of_oncall, "pushAsToOncall", as_oncall, taken, unknown),
        ("POST", "/v2/enqueue", "enqueueEvent", event, queued, unknown),
        ("GET", "/heartbeat/{name}", "beat", "A beat", done, refused),
        ("POST", "/heartbeat/{name}", "beatByPost", "The same", done, refused),
        ("GET", beat_path, "beatAsToOncall", "A beat, at OnCall's address", beaten, unknown),
        ("POST", beat_path, "beatAsToOncallByPost", "The same", silent, unknown),
    ):
        described = ApiOperation("push", method, path, name, summary, errors)
        yield _Described(described, ApiSignature(None, None, answers))


def _described() -> Iterator[_Described]:
    """All operations, by tag."""
    found = list(_intake())
    for api in APIS:
        found += (_Described(one, signature_of(handler)) for one, handler in operations_of(api))
    yield from sorted(found, key=lambda one: get_args(OperationTag).index(one.operation.tag))


@lru_cache
def _cached_document() -> dict[str, Any]:
    described = list(_described())
    schemas = Schemas(_types(described))
    paths: dict[str, Any] = {}
    for one in described:
        built = _operation_object(one, schemas)
        paths.setdefault(one.path, {})[one.operation.method.lower()] = built
    return {
        "openapi": "3.1.0",
        "info": {"title": "amproxy", "version": __version__, "description": _DESCRIPTION},
        "externalDocs": {
            "url": ALERTMANAGER_OPENAPI_URL,
            "description": "Alertmanager's description of /api/v2",
        },
        "tags": [{"name": tag} for tag in get_args(OperationTag)],
        "paths": paths,
        "components": {
            "schemas": schemas.components,
            "responses": {str(status): _json_error(schemas, status) for status in _ERROR_STATUSES},
            "securitySchemes": _SECURITY_SCHEMES,
        },
    }


def _types(described: Iterable[_Described]) -> Iterator[Any]:
    """Every type whose schema the document needs."""
    yield ErrorView
    for one in described:
        yield from (answer.content for answer in one.signature.answers if answer.content)
        yield from filter(None, (one.signature.body, one.signature.query))


def _operation_object(one: _Described, schemas: Schemas) -> dict[str, Any]:
    path, signature = one.path, one.signature
    role = None if one.is_intake else required_role(one.operation.method, path)
    security: list[dict[str, list[str]]] = []
    if one.is_intake:
        security = [{"source": []}]
    elif role is not None:
        security = [{"token": []}, {"session": []}]
    found: dict[str, Any] = {
        "operationId": one.operation.id,
        "tags": [one.operation.tag],
        "summary": one.operation.summary,
    }
    if role is not None:
        found["x-role"] = role
    found["parameters"] = [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": _PATH_PARAMETERS.get(name, STRING),
        }
        for name in re.findall(r"{(\w+)}", path)
    ]
    if signature.query:
        found["parameters"] += schemas.parameters(signature.query)
    if body := _body_schema(one, schemas):
        # without a body the defaults of a struct hold; an intake cannot do without
        found["requestBody"] = {
            "required": one.is_intake,
            "content": {JSON_MEDIA: {"schema": body}},
        }
    found["responses"] = dict(_response_objects(one, schemas, has_role=role is not None))
    found["security"] = security
    return found


def _body_schema(one: _Described, schemas: Schemas) -> Schema | None:
    if one.takes_any_object:
        return {"type": "object"}
    return schemas.of(one.signature.body) if one.signature.body else None


def _response_objects(
    one: _Described, schemas: Schemas, *, has_role: bool
) -> Iterator[tuple[str, Any]]:
    """Status → the response object: the good ones first, then the errors in order."""
    good: dict[int, dict[str, Any]] = {}
    for answer in one.signature.answers:
        phrase = HTTPStatus(answer.status).phrase
        found = good.setdefault(answer.status, {"description": phrase})
        if answer.media:
            schema = schemas.of(answer.content) if answer.content else STRING
            found.setdefault("content", {})[answer.media] = {"schema": schema}
    yield from ((str(status), found) for status, found in good.items())
    for status in sorted(_error_statuses(one, has_role=has_role)):
        if _is_json_error(one.path, status):
            yield str(status), {"$ref": f"#/components/responses/{status}"}
        else:
            yield str(status), _plain_error(one.path, status)


def _error_statuses(one: _Described, *, has_role: bool) -> set[int]:
    statuses = {*one.operation.errors, 503}  # any of them may find Redis away
    if has_role:
        statuses |= {401, 403}
    if one.operation.method == "GET" and any(a.media == JSON_MEDIA for a in one.signature.answers):
        statuses.add(304)  # to If-None-Match with the ETag of an earlier answer
    if "{" in one.path:
        statuses.add(404)
    if one.signature.body or one.takes_any_object:
        statuses |= {400, 413, 415, 422}
    if one.signature.query:
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
        media = "text/html" if path.startswith("/calendar/") else _PLAIN_MEDIA
        found["content"] = {media: {"schema": STRING}}
    return found


def _json_error(schemas: Schemas, status: int) -> dict[str, Any]:
    return {
        "description": HTTPStatus(status).phrase,
        "content": {JSON_MEDIA: {"schema": schemas.of(ErrorView)}},
    }
