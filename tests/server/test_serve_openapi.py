"""The running service under calls made up from its own document: none is answered with a 500, and answers keep to the document."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import hypothesis
import pytest
import schemathesis
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance

import tests.support.properties  # noqa: F401  # the settings of property tests
from tests.support.server.reached import Client
from tests.support.servers import Server, Servers
from tests.support.waiting import until

ROUTES = """
route: {receiver: on-call, group_by: [alertname], group_wait: 50ms}
receivers: [{name: on-call, oncall_configs: [{escalation_policy: simple}]}]
users: [{name: alice, contacts: {console: alice}}, {name: bob, contacts: {console: bob}}]
teams: [{name: ops, members: [alice, bob]}]
schedules: [{name: primary, layers: [{users: [alice, bob], rotation: {every: 1w, start: 2026-01-05}}]}]
escalation_policies: [{name: simple, steps: [{notify: {schedule: primary}}]}]
maintenance_windows: [{name: upgrade, matchers: [team="db"], start: 2026-01-01, end: 2099-01-01}]
heartbeats: [{name: watchdog, every: 1h}]
"""
EXAMPLES = 5  # for each operation
# They change the file, or read it again, which other calls need as it is.
LEFT_OUT = ("/-/reload", "/api/v1/config/apply")
SPAN = {"start": "2026-01-06T09:00:00Z", "end": "2099-01-01T09:00"}
# What most calls need to get past the first check; some keep what was made up instead.
LIKELY: dict[str, Any] = {
    **SPAN,
    "user": "alice",
    "by": "bob",
    "users": ["bob"],
    "schedule": "primary",
    "team": "ops",
    "policy": "simple",
    "for": "1h",
    "until": "2099-01-01T09:00:00Z",
    "matchers": ['team="db"'],
    "timezone": "Europe/Berlin",
    "title": "Help",
    "expires": None,
    "change": {"section": "teams", "name": "ops", "set": {"members": ["alice"]}},
    "active_time_intervals": None,
}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Servers(tmp_path_factory.mktemp("openapi")) as servers:
        yield servers.amproxy(ROUTES)


@pytest.fixture(scope="module")
def names(service: Server) -> dict[str, str]:
    """Beginning of an address → what there is below it."""
    client = Client(service.url)
    assert client.ask("/webhook/any", {"title": "One"}).status == 200
    incident = until(lambda: client.json("/api/v1/incidents")["incidents"])[0]["id"]
    wish = {"user": "alice", "start": "2090-01-01T00:00", "end": "2090-03-01T00:00"}
    swap = json.loads(client.ask("/api/v1/schedules/primary/swaps", wish).text)
    window = json.loads(
        client.ask("/api/v1/maintenance", {"name": "w", "matchers": ['a="b"'], "for": "1h"}).text
    )
    return {
        "/api/v1/incidents/": incident,
        "/api/v1/swaps/": swap["id"],
        "/api/v1/maintenance/": window["id"],
        "/api/v1/schedules/": "primary",
        "/api/v1/users/": "alice",
        "/api/v1/receivers/": "on-call",
        "/heartbeat/": "watchdog",
    }


def test_no_call_that_the_document_allows_ends_in_a_500_and_answers_keep_to_it(
    service: Server, names: dict[str, str]
) -> None:
    schema = schemathesis.openapi.from_url(f"{service.url}/api/v1/openapi.json")
    failed, answered = [], Counter[int]()
    for result in schema.get_all_operations():
        operation = result.ok()
        if operation.path in LEFT_OUT:
            continue
        known = next(
            (name for start, name in names.items() if operation.path.startswith(start)), ""
        )
        try:
            calls(operation, known, answered)()
        except (FailureGroup, AssertionError) as error:
            failed.append(f"{operation.label}: {error} {getattr(error, 'exceptions', '')}")
    assert not failed, "\n\n".join(failed)
    assert answered[200] > 50, answered


def calls(operation: Any, known: str, answered: Counter[int]) -> Callable[[], None]:
    """What calls one operation again and again. known: what there is at this address; answered: counts the statuses."""

    @hypothesis.settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(case=operation.as_strategy(), choice=st.randoms(use_true_random=False))
    def called(case: schemathesis.Case, choice: random.Random) -> None:
        name = next(iter(case.path_parameters), "")
        if known and name and choice.random() < 0.8:
            case.path_parameters[name] = known
        if isinstance(case.body, dict):
            case.body |= {
                key: value
                for key, value in LIKELY.items()
                if key in case.body and choice.random() < 0.7
            }
        answer = case.call_and_validate(
            checks=[not_a_server_error, content_type_conformance, response_schema_conformance]
        )
        answered[answer.status_code] += 1

    return called


ODD = (
    '{"user": "\\ud800"}',
    f'{{"title": "t", "value": {10**30}}}',
    f'{{"alerts": [{{"status": "firing", "labels": {{"a": "b"}}, "n": -{10**40}}}]}}',
)


@pytest.mark.parametrize("body", ODD)
def test_what_no_store_can_write_of_a_webhook_keeps_no_page_from_being_sent(
    service: Server, body: str
) -> None:
    answer = httpx.post(f"{service.url}/webhook/odd", content=body)
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


def test_deliveries_before_all_times_are_none(service: Server) -> None:
    answer = httpx.get(f"{service.url}/api/v1/deliveries", params={"to": "0001-01-01T00:00:00Z"})
    assert (answer.status_code, answer.json()) == (200, {"deliveries": [], "next": None})
