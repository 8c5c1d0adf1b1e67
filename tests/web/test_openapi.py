"""The document of the API keeps to the program: the same addresses, and answers of the shapes that it gives."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import msgspec
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from amproxy.accept.doors import ENQUEUE_PATH, INTEGRATIONS_PATH
from amproxy.accept.push import HEARTBEAT_PATH, WEBHOOK_PATH
from amproxy.clock import rfc3339
from amproxy.model import Alert, SuppressedAlertRecord
from amproxy.store import deliveries, heartbeats, sign_in
from amproxy.store.commit import Operations, commit
from amproxy.store.deliveries import Delivery
from amproxy.store.muting import record_suppressed
from amproxy.store.replicas import Replica, publish_replica
from amproxy.store.sign_in import Session
from amproxy.store.sources import Refusal, SourceNews, save_news
from amproxy.web.http.api import Created, operations_of, signature_of
from amproxy.web.openapi.document import APIS, build_document
from tests.support.web.edited import FILE
from tests.support.web.muted import push
from tests.support.web.website import NOW, Site, every_route

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
        for route in every_route(site)
        if isinstance(route, Route) and route.path.startswith(MACHINES)
        for method in route.methods or ()
        if method != "HEAD"
    }
    doors = {("POST", f"{WEBHOOK_PATH}{{source}}"), ("PUT", f"{WEBHOOK_PATH}{{source}}")}
    doors |= {(method, f"{HEARTBEAT_PATH}{{name}}") for method in ("GET", "POST")}
    of_oncall = f"{INTEGRATIONS_PATH}{{type}}/{{token}}"
    doors |= {("POST", of_oncall), ("GET", f"{of_oncall}/heartbeat")}
    doors |= {("POST", f"{of_oncall}/heartbeat"), ("POST", ENQUEUE_PATH)}
    assert set(OPERATIONS) == known | doors


@pytest.mark.parametrize(
    "kind", [Any, dict[str, Any], list[dict[str, Any]], Created[Any], Response]
)
def test_a_handler_whose_answer_is_no_struct_is_refused(kind: Any) -> None:
    async def handler(request: Request) -> None: ...

    handler.__annotations__["return"] = kind
    with pytest.raises(TypeError, match="an answer is a struct"):
        signature_of(handler)
    del handler.__annotations__["return"]
    with pytest.raises(TypeError, match="an answer is a struct"):
        signature_of(handler)


def test_every_handler_takes_and_returns_structs() -> None:
    declared = [handler for api in APIS for _, handler in operations_of(api)]
    for handler in declared:
        signature = signature_of(handler)
        for given in (signature.query, signature.body):
            assert given is None or issubclass(given, msgspec.Struct), handler.__qualname__
    assert len(declared) == len(OPERATIONS) - 8, "all but what is pushed"


DAY = {"start": rfc3339(NOW + 86400), "end": rfc3339(NOW + 2 * 86400)}
WEEK = {"start": rfc3339(NOW + 6 * 86400), "end": rfc3339(NOW + 8 * 86400)}  # of Bob's turn
ALERT = Alert(
    fingerprint="5812109616618044",
    labels={"alertname": "HighCPU"},
    starts_ns=int(NOW * 10**9),
    extra={"values": {"A": 1.5}},
)
RUNNING = Replica(
    name="one", host="h", pid=1, version="0", started=NOW, digest="d", since=NOW, loaded=NOW
)
DELIVERY = Delivery(
    at=NOW,
    kind="notification",
    channel="webhook",
    outcome="failed",
    receiver="hook",
    integration="webhook/0",
    incidents=(("i", 1),),
    error="no",
)


class Visitor:
    """Calls operations and holds each answer against the document."""

    def __init__(self, site: Site) -> None:
        self._client = site.client
        self.called: set[tuple[str, str]] = set()
        self.empty: set[tuple[str, str]] = set()  # what answered with nothing in it

    async def call(self, method: str, path: str, status: int = 200, **body: Any) -> Any:
        answer = await self._client.request(method, path, json=body or None)
        assert answer.status_code == status, (method, path, answer.text)
        known = next(one for one in OPERATIONS if one[0] == method and matches(one[1], path))
        self.called.add(known)
        if status == 204:
            return None
        media = answer.headers["content-type"].partition(";")[0]
        if media.endswith("ndjson"):
            values = [json.loads(line) for line in answer.text.splitlines()]
        else:
            values = [answer.json() if media == "application/json" else answer.text]
        for value in values:
            check(*known, status, media, value)
            if value == [] or not any(value.values() if isinstance(value, dict) else value):
                self.empty.add(known)
        return values[0]


def matches(path: str, called: str) -> bool:
    """A parameter stands for one segment; fixed addresses come before those with parameters."""
    return bool(re.fullmatch(re.sub(r"{\w+}", "[^/?]+", path), called.partition("?")[0]))


async def fill(site: Site) -> None:
    """Store what no call of the API makes."""
    wire, operations = site.context.wire, Operations()
    record = SuppressedAlertRecord(
        fingerprint="f", labels={"a": "b"}, receiver="r", group="g", first=NOW, last=NOW
    )
    await record_suppressed(wire, operations, [("maintenance:yearly", record)])
    deliveries.add(operations, DELIVERY)
    await commit(wire, operations)
    await publish_replica(wire, RUNNING)
    refusal = Refusal(at=NOW, status=422, reason="no labels", client="127.0.0.1", body="{}")
    await save_news(wire, {"am": SourceNews(pushes=1, refused=1, refusal=refusal)}, NOW)
    await heartbeats.wait_for(wire, "watchdog", NOW, next_due=NOW + 3600)
    session = Session(user="alice", way="password", made=NOW, seen=NOW, ends=NOW + 9e6)
    await sign_in.create_session(wire, session)


RECEIVER = 'receivers: [{name: hook, webhook_configs: [{url: "http://127.0.0.1:9/"}]}, '
MORE = """
heartbeats: [{name: watchdog, every: 1h}]
maintenance_windows: [{name: yearly, matchers: [a=b], start: 2026-01-01, end: 2026-02-01}]
"""


async def test_real_answers_of_every_operation_have_the_shapes_of_the_document(
    edits: Site, routes_file: Path
) -> None:
    routes_file.write_text(f"{FILE.replace('receivers: [', RECEIVER)}{MORE}", "utf-8")
    await edits.deps.reload()
    api, client = Visitor(edits), edits.client
    await fill(edits)
    incident = await edits.with_alerts(
        await edits.opened("main", group="g", group_labels={"alertname": "HighCPU"}), ALERT
    )
    other = await edits.opened("main", title="Another")
    await push(edits, {"alertname": "HighCPU"})
    v1, one = "/api/v1", f"/api/v1/incidents/{incident.id}"
    await api.call("POST", f"{one}/acknowledge", user="bob", text="Seen")
    await api.call("POST", f"{v1}/incidents", 201, title="Help", users=["alice"])
    await api.call(
        "POST", f"{v1}/incidents/bulk", action="note", text="Seen", ids=[incident.id, "none"]
    )
    await api.call("POST", f"{v1}/test-alert", 202)
    window = await api.call(
        *("POST", f"{v1}/maintenance", 201),
        **{"matchers": ['team="db"'], "for": "1h", "name": "upgrade", "user": "alice"},
    )
    windows = f"{v1}/maintenance/{window['id']}"
    await api.call("PATCH", windows, comment="longer")
    await api.call("POST", f"{windows}/extend", **{"for": "1h"})
    away = await api.call("POST", f"{v1}/users/alice/absences", 201, **DAY)
    swap = await api.call("POST", f"{v1}/schedules/primary/swaps", 201, user="bob", **WEEK)
    override = await api.call("POST", f"{v1}/schedules/primary/overrides", 201, user="bob", **DAY)
    await api.call("POST", f"{v1}/swaps/{swap['id']}/take", user="alice")
    await api.call("POST", f"{v1}/swaps/{swap['id']}/untake")
    token = await api.call("POST", f"{v1}/tokens", 201, name="grafana", scopes=["read"])
    await api.call("POST", f"{v1}/silences/preview", matchers=['alertname="HighCPU"'])
    change = {"section": "teams", "name": "ops", "set": {"members": ["alice", "bob"]}}
    preview = await api.call("POST", f"{v1}/config/preview", change=change)
    await api.call("POST", f"{v1}/config/apply", change=change, digest=preview["digest"])
    calendar = await api.call("POST", f"{v1}/schedules/primary/calendar", 201)
    await api.call("POST", f"{v1}/schedules/primary/calendar")
    await api.call("POST", f"{v1}/users/alice/calendar", 201)
    await api.call("POST", f"{v1}/users/alice/test", 202, channel="console")
    await api.call("POST", f"{v1}/receivers/hook/test", 202)
    silence = await silenced(client)
    await api.call("POST", f"{v1}/silences/{silence}/extend", **{"for": "1h"})
    for method in ("POST", "PUT"):
        await api.call(method, "/-/reload")
    edits.clock[0] += 3600

    there = {
        f"{v1}/incidents/": incident.id,
        f"{v1}/maintenance/": "yearly",
        f"{v1}/silences/": silence,
        f"{v1}/schedules/": "primary",
        f"{v1}/users/": "alice",
        f"{v1}/insights/": "teams",
        f"{v1}/receivers/": "hook",
        "/calendar/": calendar["url"].rpartition("/")[2].removesuffix(".ics"),
    }
    queries = {f"{v1}/incidents/{{id}}/why": "?user=alice", f"{v1}/sessions": "?user=alice"}
    for method, path in OPERATIONS:
        if method != "GET" or path.startswith((HEARTBEAT_PATH, INTEGRATIONS_PATH)):
            continue
        name = next((name for start, name in there.items() if path.startswith(start)), "")
        await api.call(method, re.sub(r"{\w+}", name, path) + queries.get(path, ""))
    for path in (
        *(f"maintenance/{window['id']}", f"users/alice/absences/{away['id']}"),
        *(f"schedules/primary/overrides/{override['id']}", f"swaps/{swap['id']}"),
        *(f"tokens/{token['id']}", "schedules/primary/calendar", "users/alice/calendar"),
    ):
        await api.call("DELETE", f"{v1}/{path}", 204)
    await api.call("POST", f"{v1}/incidents/{other.id}/resolve")
    await api.call("DELETE", f"{v1}/incidents/{other.id}", 204)
    [session] = (await client.get(f"{v1}/sessions?user=alice")).json()
    await api.call("DELETE", f"{v1}/sessions/{session['id']}?user=alice", 204)
    await fill(edits)
    await api.call("DELETE", f"{v1}/sessions?user=alice")

    intake = (WEBHOOK_PATH, HEARTBEAT_PATH, INTEGRATIONS_PATH, ENQUEUE_PATH)
    pushed = {one for one in OPERATIONS if one[1].startswith(intake)}
    assert api.called == set(OPERATIONS) - pushed
    assert not api.empty


async def silenced(client: httpx.AsyncClient) -> str:
    """The id of a new silence."""
    matcher = {"name": "team", "value": "db", "isRegex": False, "isEqual": True}
    body = {"comment": "", "createdBy": "bob", "matchers": [matcher]}
    period = {"startsAt": rfc3339(NOW + 90), "endsAt": rfc3339(NOW + 9000)}
    answer = await client.post("/api/v2/silences", json={**body, **period})
    return str(answer.json()["silenceID"])


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
