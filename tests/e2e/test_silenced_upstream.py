"""A real Alertmanager that has silenced an alert never says that it is over; its group shows it."""

from __future__ import annotations

import time
import urllib.request
from typing import Any

from tests.support.acceptance.moments import rfc3339
from tests.support.e2e.stories import get, post, text
from tests.support.servers import Servers, needs
from tests.support.waiting import until

ROUTES = """
route: {receiver: r}
receivers: [{name: r, oncall_configs: [{escalation_policy: p}]}]
users: [{name: alice, contacts: {console: here}}]
escalation_policies: [{name: p, steps: [{notify: {users: [alice]}}]}]
"""

ALERTMANAGER = """
route: {{receiver: amproxy, group_by: [alertname], group_wait: 100ms, group_interval: 1s, repeat_interval: 1h}}
receivers:
  - name: amproxy
    webhook_configs: [{{url: '{url}/webhook/alertmanager', send_resolved: true}}]
"""


@needs("alertmanager")
def test_what_is_silenced_upstream_ends_here_and_fires_again_when_it_is_told_again(
    servers: Servers,
) -> None:
    amproxy = servers.amproxy(ROUTES)
    alertmanager = servers.alertmanager(ALERTMANAGER.format(url=amproxy.url))

    def incidents(query: str = "") -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = get(f"{amproxy.url}/api/v1/incidents{query}")["incidents"]
        return found

    def fire(*names: str, **more: str) -> None:
        alerts = [{"labels": {"alertname": "X", "instance": name}, **more} for name in names]
        assert post(f"{alertmanager.url}/api/v2/alerts", alerts) == 200

    def silence() -> None:
        now = time.time()
        body = {
            "matchers": [{"name": "instance", "value": "a", "isRegex": False}],
            "startsAt": rfc3339(now),
            "endsAt": rfc3339(now + 600),
            "createdBy": "somebody",
            "comment": "upstream",
        }
        assert post(f"{alertmanager.url}/api/v2/silences", body) == 200

    def counts(firing: int, resolved: int, why: str) -> None:
        wanted = {"firing": firing, "resolved": resolved}
        until(lambda: [one["alerts"] for one in incidents()] == [wanted], why=why)

    fire("a", "b")
    counts(2, 0, "nobody was paged")
    silence()
    fire("c")
    counts(2, 1, "what was silenced fires on")
    [silenced] = get(f"{alertmanager.url}/api/v2/silences")
    url = f"{alertmanager.url}/api/v2/silence/{silenced['id']}"
    urllib.request.urlopen(urllib.request.Request(url, method="DELETE"), timeout=60).close()
    counts(3, 0, "the silence is over, and it does not fire again")
    silence()
    fire("a", "b", "c", endsAt=rfc3339(time.time()))
    [ended] = until(lambda: incidents("?state=resolved"), why="the silenced alert fires on")
    assert ended["resolved_by"] == "unnamed"
    assert "no longer named by its sender" in text(f"{amproxy.url}/incidents/{ended['id']}")
