"""A running service, another file: who was on call before stays as it was."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from tests.support.acceptance.pushing import call
from tests.support.servers import Server, Servers, ask_redis, needs
from tests.support.waiting import until

pytestmark = [pytest.mark.clock, needs("redis-server")]

FILE = """
route: {receiver: r}
receivers: [{name: r, oncall_configs: [{escalation_policy: p}]}]
users:
  - {name: ann, contacts: {console: here}}
  - {name: bob, contacts: {console: here}, notices: {going_on_call: console}}
schedules: [{name: primary, layers: [{users: [ann]}]}]
escalation_policies: [{name: p, steps: [{notify: {schedule: primary}}]}]
"""


def reload(amproxy: Server) -> None:
    assert call("POST", f"{amproxy.url}/-/reload").status == 200


def restart(amproxy: Server) -> None:
    assert amproxy.terminate() == 0
    amproxy.start()


@pytest.mark.parametrize("change", [reload, restart])
def test_the_shift_before_a_change_of_the_file_is_still_who_it_was(
    servers: Servers, change: Callable[[Server], None]
) -> None:
    redis = servers.redis_server()
    amproxy = servers.amproxy(FILE, redis_url=redis.url)
    until(
        lambda: ask_redis(redis, "EXISTS amproxy:{0}:shifts:primary") == ":1\r\n",
        why="nothing is recorded",
    )
    time.sleep(1)  # for so long she has been on call
    assert amproxy.config
    amproxy.config.write_text(FILE.replace("users: [ann]", "users: [bob]"), "utf-8")
    change(amproxy)
    today = datetime.now(UTC)
    first, last = today - timedelta(days=7), today + timedelta(days=7)
    span = f"from={first:%Y-%m-%dT00:00}&to={last:%Y-%m-%dT00:00}"

    def told() -> bool:
        shifts = call("GET", f"{amproxy.url}/api/v1/schedules/primary/shifts?{span}").json
        latest = [(one["users"], one["recorded"]) for one in shifts][-2:]
        return latest == [(["ann"], True), (["bob"], False)]

    until(told, why="the past follows today's file")
    until(
        lambda: "You are on call for primary" in amproxy.printed,
        why="the one who came on call was not told",
    )
