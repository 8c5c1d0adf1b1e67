"""What people change by hand at one process holds at the other."""

from __future__ import annotations

import json
import urllib.request
from typing import Any

import pytest

from tests.support.servers import Server, Servers, needs
from tests.support.waiting import until

pytestmark = [pytest.mark.clock, needs("redis-server")]

ROUTES = """
route: {receiver: r}
receivers: [{name: r}]
users: [{name: alice, contacts: {console: a}}, {name: bob, contacts: {console: b}}]
schedules: [{name: main, layers: [{name: weekly, users: [alice]}]}]
"""


def call(server: Server, path: str, body: dict[str, str] | None = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(server.url + path, data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def test_a_swap_or_absence_made_at_one_process_holds_at_the_other(servers: Servers) -> None:
    redis = servers.redis_server().url
    one, other = (servers.amproxy(ROUTES, redis_url=redis) for _ in range(2))

    def reason() -> str:
        return str(call(other, "/api/v1/oncall?at=2090-01-01T12:00Z")[0]["reason"])

    span = {"start": "2090-01-01T00:00", "end": "2090-01-02T00:00"}
    swap = call(one, "/api/v1/schedules/main/swaps", {"user": "alice", **span})
    call(one, f"/api/v1/swaps/{swap['id']}/take", {"user": "bob"})
    until(lambda: reason() == "layer weekly, bob for alice (swap)")
    call(one, f"/api/v1/swaps/{swap['id']}/untake", {})
    until(lambda: reason() == "layer weekly")
    call(one, "/api/v1/users/alice/absences", span)
    until(lambda: reason() == "nobody: everyone in layer weekly is absent")
