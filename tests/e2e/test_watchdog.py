"""The Watchdog of a real Alertmanager as a heartbeat: it pages nobody while it comes, and somebody when it stays away."""

from __future__ import annotations

from tests.support.e2e.stories import get, post
from tests.support.servers import Server, Servers, needs
from tests.support.waiting import until

ROUTES = """
route: {receiver: r, group_by: [alertname], group_wait: 1h}
receivers: [{name: r, oncall_configs: [{escalation_policy: p}]}]
users: [{name: alice, contacts: {console: here}}]
escalation_policies: [{name: p, steps: [{notify: {users: [alice]}}]}]
heartbeats: [{name: prometheus, every: 6s, matchers: ['alertname="Watchdog"']}]
"""

ALERTMANAGER = """
route: {{receiver: amproxy, group_by: [alertname], group_wait: 100ms, group_interval: 1s, repeat_interval: 1s}}
receivers:
  - name: amproxy
    webhook_configs: [{{url: '{url}/webhook/alertmanager', send_resolved: true}}]
"""


def push_watchdog(alertmanager: Server) -> None:
    assert (
        post(
            f"{alertmanager.url}/api/v2/alerts",
            [{"labels": {"alertname": "Watchdog", "severity": "none"}}],
        )
        == 200
    )


@needs("alertmanager")
def test_a_watchdog_that_stays_away_pages_and_its_return_ends_that(servers: Servers) -> None:
    amproxy = servers.amproxy(ROUTES)
    alertmanager = servers.alertmanager(ALERTMANAGER.format(url=amproxy.url))

    def pulse() -> dict[str, object]:
        [found] = get(amproxy.url + "/api/v1/heartbeats")
        return dict(found)

    def incidents(state: str) -> list[str]:
        return [
            one["group_labels"]["alertname"]
            for one in get(f"{amproxy.url}/api/v1/incidents?state={state}")["incidents"]
        ]

    push_watchdog(alertmanager)
    first = until(
        lambda: pulse()["source"] == "alert" and pulse(), why="the Watchdog was not heard"
    )["last_beat"]
    until(lambda: pulse()["last_beat"] != first, why="the repeated Watchdog was not heard")
    assert get(amproxy.url + "/api/v2/alerts") == []
    assert incidents("triggered") == []
    alertmanager.terminate()
    until(lambda: incidents("triggered") == ["HeartbeatMissing"], why="nobody was paged")
    alertmanager.start()
    push_watchdog(alertmanager)
    until(lambda: incidents("resolved") == ["HeartbeatMissing"], why="the alert did not end")
    assert pulse()["missing"] is False
