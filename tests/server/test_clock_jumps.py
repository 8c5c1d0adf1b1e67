"""The clock of the machine is set while amproxy runs: what is due is due at its time."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.support.e2e.stories import post, text
from tests.support.servers import Server, Servers
from tests.support.standins.telegram import TelegramStandIn
from tests.support.waiting import until

pytestmark = pytest.mark.clock
HOUR = 3600
STEP = 6.0  # seconds
ALICE, BOB = 1111, 2222
ROUTES = """
global: {{telegram_api_url: '{url}', telegram_bot_token: '{token}'}}
route: {{receiver: r, group_by: [alertname], group_wait: 100ms}}
receivers: [{{name: r, oncall_configs: [{{escalation_policy: p}}]}}]
users:
  - {{name: alice, contacts: {{telegram: '1111'}}}}
  - {{name: bob, contacts: {{telegram: '2222'}}}}
escalation_policies:
  - name: p
    steps: [{{notify: {{users: [alice]}}}}, {{wait: 6s}}, {{notify: {{users: [bob]}}}}, {{wait: 10m}}]
"""
# Python imports this by itself: the system's clock is then off by what a file says.
SITE = """
import time
real = time.time
def off():
    with open({offset!r}) as file:
        return real() + float(file.read())
time.time = off
"""


@pytest.fixture
def telegram() -> Iterator[TelegramStandIn]:
    with TelegramStandIn() as standin:
        standin.add_chat(ALICE)
        standin.add_chat(BOB)
        yield standin


class Machine:
    """A machine whose clock can be set, with amproxy on it."""

    def __init__(self, servers: Servers, folder: Path, telegram: TelegramStandIn) -> None:
        self._offset, self._telegram = folder / "offset", telegram
        self.set(0)
        (folder / "sitecustomize.py").write_text(SITE.format(offset=str(self._offset)))
        routes = ROUTES.format(url=telegram.url, token=telegram.token)
        env = {"PYTHONPATH": str(folder)}
        self.amproxy: Server = servers.amproxy(routes, data_dir=folder / "data", env=env)

    def set(self, offset: float) -> None:
        """Set the clock so many seconds ahead of the right time."""
        new = self._offset.with_suffix(".new")
        new.write_text(str(offset))
        new.replace(self._offset)

    def page_alice(self) -> float:
        """Push an alert; the moment at which Alice was paged, by the monotonic clock."""
        body = {"alerts": [{"status": "firing", "labels": {"alertname": "Down"}}]}
        assert post(f"{self.amproxy.url}/webhook/any", body) == 200
        until(lambda: self._telegram.sent(ALICE))
        return time.monotonic()

    def wait_for_bob(self) -> float:
        until(lambda: self._telegram.sent(BOB), why="the clock holds the escalation up")
        return time.monotonic()

    def metric(self, name: str) -> float:
        found = re.search(
            rf"^{re.escape(name)} (\S+)$", text(f"{self.amproxy.url}/metrics"), re.MULTILINE
        )
        return float(found[1]) if found else float("nan")


@pytest.fixture
def machine(servers: Servers, tmp_path: Path, telegram: TelegramStandIn) -> Machine:
    return Machine(servers, tmp_path, telegram)


def test_a_clock_set_back_holds_no_escalation_up_and_is_told(machine: Machine) -> None:
    begun = machine.page_alice()
    machine.set(-HOUR)
    assert STEP - 2 < machine.wait_for_bob() - begun < STEP + 20
    assert machine.metric("amproxy_clock_jump_seconds") == pytest.approx(-HOUR, abs=2)
    until(lambda: machine.metric('amproxy_warning{kind="clock_back"}') == 1)
    until(lambda: machine.metric("amproxy_redis_clock_difference_seconds") > HOUR - 2)
    assert "The clock of this machine was set back by 1h" in text(f"{machine.amproxy.url}/")
    assert "The clock of this machine was set back by 1h" in machine.amproxy.stderr
    machine.set(0)
    until(lambda: machine.metric("amproxy_clock_jump_seconds") == 0)
    until(lambda: machine.metric('amproxy_warning{kind="clock_back"}') == 0)


def test_a_clock_set_ahead_makes_nothing_due_at_once(
    machine: Machine, telegram: TelegramStandIn
) -> None:
    begun = machine.page_alice()
    machine.set(8 * HOUR)
    assert STEP - 2 < machine.wait_for_bob() - begun < STEP + 20
    assert machine.metric("amproxy_clock_jump_seconds") == pytest.approx(8 * HOUR, abs=2)
    assert len(telegram.sent(ALICE)) == len(telegram.sent(BOB)) == 1


def test_after_a_crash_the_time_goes_on_and_after_an_orderly_end_it_is_the_systems(
    machine: Machine,
) -> None:
    noted = 'amproxy_warning{kind="clock_differs"}'
    until(lambda: machine.metric(noted) == 0)
    begun = machine.page_alice()
    machine.amproxy.kill()
    machine.set(-HOUR)
    machine.amproxy.start()
    assert machine.wait_for_bob() - begun < STEP + 30
    assert machine.metric("amproxy_clock_jump_seconds") < -HOUR / 2
    machine.amproxy.restart()
    assert machine.metric("amproxy_clock_jump_seconds") == 0


def test_after_the_clock_was_set_back_an_alert_that_fires_is_not_over_on_arrival(
    machine: Machine, telegram: TelegramStandIn
) -> None:
    machine.set(-HOUR)
    until(lambda: machine.metric("amproxy_clock_jump_seconds") < -HOUR / 2)
    # as vmalert sends it, by a clock that is right now: it lapses in four minutes
    right = datetime.now(UTC) - timedelta(seconds=HOUR)
    alert = {
        "labels": {"alertname": "Raw"},
        "startsAt": right.isoformat(),
        "endsAt": (right + timedelta(minutes=4)).isoformat(),
    }
    assert post(f"{machine.amproxy.url}/api/v2/alerts", [alert]) == 200
    until(lambda: telegram.sent(ALICE), why="an alert that fires was taken for one that is over")
