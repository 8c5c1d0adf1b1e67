"""The document of the API keeps to the program: the same addresses, and answers of the shapes that it gives."""

from __future__ import annotations

import copy
import json
import re
from typing import Any

import jsonschema
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator
from starlette.routing import Route

from amproxy.accept.push import HEARTBEAT_PATH, WEBHOOK_PATH
from amproxy.clock import rfc3339
from amproxy.model import Alert
from amproxy.web.app import build_routes
from amproxy.web.http.templates import PageTemplates
from amproxy.web.openapi.document import build_document
from tests.support.web.website import NOW, Site

MACHINES = ("/api/v1/", "/calendar/", "/metrics", "/-/")
DOCUMENT = build_document("https://oncall.example.org")
OPERATIONS = [
    (method.upper(), path) for path, methods in DOCUMENT["paths"].items() for method in methods
]


def strict(shape: Any) -> Any:
    """Schemas that allow no keys but those they name."""
    if isinstance(shape, list):
        return [strict(one) for one in shape]
    if not isinstance(shape, dict):
        return shape
    inner = {key: strict(one) for key, one in shape.items()}
    return (
        inner | {"additionalProperties": False}
        if isinstance(shape.get("properties"), dict)
        else inner
    )


STRICT = strict(copy.deepcopy(DOCUMENT))


def check(method: str, path: str, status: int, media: str, value: Any) -> None:
    answer = STRICT["paths"][path][method.lower()]["responses"][str(status)]
    schema = {**answer["content"][media]["schema"], "components": STRICT["components"]}
    jsonschema.Draft202012Validator(
        schema, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER
    ).validate(value)


def test_the_document_is_valid_openapi() -> None:
    OpenAPIV31SpecValidator(DOCUMENT).validate()
    ids = [
        said["operationId"] for methods in DOCUMENT["paths"].values() for said in methods.values()
    ]
    assert len(ids) == len(set(ids))


async def test_every_address_of_the_api_stands_in_the_document_and_no_other(site: Site) -> None:
    known = {
        (method, route.path.replace(":path}", "}"))
        for route in build_routes(site.deps, PageTemplates(site.context))
        if isinstance(route, Route) and route.path.startswith(MACHINES)
        for method in route.methods or ()
        if method != "HEAD"
    }
    doors = {("POST", f"{WEBHOOK_PATH}{{source}}"), ("PUT", f"{WEBHOOK_PATH}{{source}}")}
    doors |= {(method, f"{HEARTBEAT_PATH}{{name}}") for method in ("GET", "POST")}
    assert set(OPERATIONS) == known | doors


@pytest.fixture
async def names(edits: Site) -> dict[str, str]:
    """A site with something of everything, and what its addresses name."""
    site = edits
    alert = Alert(
        fingerprint="5812109616618044", labels={"alertname": "HighCPU"}, starts_ns=int(NOW * 10**9)
    )

    async def made(path: str, **body: Any) -> Any:
        answer = await site.client.post(path, json=body)
        assert answer.status_code in (200, 201), answer.text
        method_path = next(
            p
            for m, p in OPERATIONS
            if m == "POST" and re.fullmatch(re.sub(r"{\w+}", "[^/]+", p), path)
        )
        check("POST", method_path, answer.status_code, "application/json", answer.json())
        return answer.json()

    incident = await site.with_alerts(
        await site.opened("main", group="g", group_labels={"alertname": "HighCPU"}), alert
    )
    await made(f"/api/v1/incidents/{incident.id}/acknowledge", user="bob")
    await site.opened("main", title="Another")
    window = await made(
        "/api/v1/maintenance", matchers=['team="db"'], **{"for": "1h"}, name="upgrade", user="alice"
    )
    day = {"start": rfc3339(NOW + 86400), "end": rfc3339(NOW + 2 * 86400)}
    await made("/api/v1/users/alice/absences", **day, reason="away")
    await made("/api/v1/schedules/primary/overrides", user="bob", **day)
    await made("/api/v1/schedules/primary/swaps", user="bob", **day)
    await made("/api/v1/tokens", name="grafana", scopes=["read"], user="bob")
    await made("/api/v1/incidents", title="Help", users=["alice"])
    await made("/api/v1/incidents/bulk", action="note", text="Seen", ids=[incident.id, "none"])
    await made("/api/v1/silences/preview", matchers=['alertname="HighCPU"'])
    await made(
        "/api/v1/config/preview",
        change={"section": "teams", "name": "ops", "set": {"members": ["alice", "bob"]}},
    )
    calendar = await made("/api/v1/schedules/primary/calendar")
    start = {
        "comment": "",
        "createdBy": "bob",
        "startsAt": rfc3339(NOW + 90),
        "endsAt": rfc3339(NOW + 9000),
    }
    matchers = [{"name": "team", "value": "db", "isRegex": False, "isEqual": True}]
    silence = (
        await site.client.post("/api/v2/silences", json={**start, "matchers": matchers})
    ).json()["silenceID"]
    await made(f"/api/v1/silences/{silence}/extend", **{"for": "1h"})
    site.clock[0] += 3600
    token = calendar["url"].rpartition("/")[2].removesuffix(".ics")
    return {
        "/api/v1/incidents/": incident.id,
        "/api/v1/maintenance/": window["id"],
        "/api/v1/silences/": silence,
        "/api/v1/schedules/": "primary",
        "/api/v1/users/": "alice",
        "/api/v1/insights/": "teams",
        "/calendar/": token,
    }


async def test_real_answers_have_the_shapes_of_the_document(
    edits: Site, names: dict[str, str]
) -> None:
    query = {"/api/v1/incidents/{id}/why": {"user": "alice"}, "/api/v1/sessions": {"user": "alice"}}
    empty = set()
    for method, path in OPERATIONS:
        if method != "GET" or path.startswith(HEARTBEAT_PATH):
            continue
        name = next(
            (name for start, name in names.items() if path.startswith(start) and "{" in path), ""
        )
        answer = await edits.client.get(re.sub(r"{\w+}", name, path), params=query.get(path, {}))
        assert answer.status_code == 200, (path, answer.text)
        media = answer.headers["content-type"].partition(";")[0]
        values = (
            [json.loads(line) for line in answer.text.splitlines()]
            if media.endswith("ndjson")
            else []
        )
        for value in values or [answer.json() if media == "application/json" else answer.text]:
            check(method, path, 200, media, value)
            if value == [] or not any(value.values() if isinstance(value, dict) else value):
                empty.add(path)
    # what this site has nothing of
    assert empty == {
        "/api/v1/deliveries",
        "/api/v1/sessions",
        "/api/v1/heartbeats",
        "/api/v1/replicas",
    }


async def test_errors_have_the_shape_of_the_document(site: Site) -> None:
    for path, status in (("/api/v1/incidents/none", 404), ("/api/v1/incidents?state=x", 422)):
        answer = await site.client.get(path)
        assert answer.status_code == status
        jsonschema.validate(answer.json(), STRICT["components"]["schemas"]["Error"])


async def test_people_read_the_same_on_a_page_without_scripts(site: Site) -> None:
    page = (await site.client.get("/api", headers={"Accept-Language": "ru"})).text
    assert "Инциденты" in page
    for said in (said for methods in DOCUMENT["paths"].values() for said in methods.values()):
        assert f'id="{said["operationId"]}"' in page
    anchors = set(re.findall(r' id="([^"]+)"', page))
    assert set(re.findall(r'href="#([^"]+)"', page)) <= anchors
