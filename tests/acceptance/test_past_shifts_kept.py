"""A running service, another file: who was on call before stays as it was."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from moments import eventually
from pushing import call
from servers import Server, Servers

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
def test_the_shift_before_a_change_of_the_file_is_still_who_it_was(servers: Servers, change: Callable[[Server], None]) -> None:
    amproxy = servers.amproxy(FILE)
    time.sleep(2)
    assert amproxy.config
    amproxy.config.write_text(FILE.replace("users: [ann]", "users: [bob]"), "utf-8")
    change(amproxy)

    def told() -> bool:
        shifts = call("GET", f"{amproxy.url}/api/v1/schedules/primary/shifts?from=2026-01-01T00:00&to=2026-12-31T00:00").json
        return [(one["users"], one["recorded"]) for one in shifts][-2:] == [(["ann"], True), (["bob"], False)]

    eventually(told, why="the past follows today's file")
    eventually(lambda: "You are on call for primary" in amproxy.printed, why="the one who came on call was not told")
