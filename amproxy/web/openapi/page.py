"""/api: the API described for people, drawn from the document alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import Route

from amproxy.web.http.deps import Deps
from amproxy.web.http.templates import PageTemplates
from amproxy.web.openapi.document import ALERTMANAGER_OPENAPI_URL, build_document
from amproxy.web.openapi.schemas import Schema


class ApiPage:
    def __init__(self, deps: Deps, templates: PageTemplates) -> None:
        self._context, self._templates = deps.context, templates

    def routes(self) -> list[Route]:
        return [Route("/api", self.show, methods=["GET"])]

    async def show(self, request: Request) -> HTMLResponse:
        document = build_document(self._context.external_url)
        return await self._templates.page(
            request,
            "api.html",
            groups=group_operations(document),
            document=document,
            alertmanager=ALERTMANAGER_OPENAPI_URL,
        )


class OperationOutline(NamedTuple):
    """One operation of a document, in the order in which people read it."""

    method: str
    path: str
    body: Schema | None  # None = no body
    responses: list[tuple[str, str, Schema | None]]  # status, media type ("" = none), schema
    errors: list[str]  # statuses
    spec: dict[str, Any]  # all the rest, as the document has it


def group_operations(document: Mapping[str, Any]) -> dict[str, list[OperationOutline]]:
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
