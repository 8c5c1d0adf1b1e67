"""A service with some weeks behind it: incidents of the past, silences and windows, channels that work and channels that do not."""

from __future__ import annotations

import asyncio
import random
import time
from concurrent.futures import ThreadPoolExecutor

from amproxy.config.structs import NotifyStep, Policy
from amproxy.model import Change, Incident, Page
from amproxy.store import incidents
from amproxy.store.commit import commit
from amproxy.store.wire import Wire
from tests.support.browser.demo import ROUTES as DEMO
from tests.support.browser.demo import alert, ask, opened, push
from tests.support.waiting import until

DAY = 86400.0
PLAN = Policy(name="platform", steps=(NotifyStep(users=("bob",)),))
NAMES = (
    "CheckoutLatency",
    "CheckoutLatency",
    "CheckoutLatency",
    "DiskFull",
    "ReplicationLag",
    "CertificateExpires",
)

ROUTES = (
    DEMO.replace(
        "receivers:\n",
        """receivers:
  - name: chat
    webhook_configs: [{url: 'http://127.0.0.1:9/hook'}, {url: 'http://127.0.0.1:9/other'}]
  - name: old pager
    slack_configs: [{app_token: abc}]
""",
    )
    .replace(
        "heartbeats:\n",
        """maintenance_windows:
  - {name: nightly backup, matchers: [job="backup"], timezone: Europe/Berlin, active_time_intervals: [nights], comment: All dumps}
heartbeats:
""",
    )
    .replace(
        "time_intervals:\n",
        """time_intervals:
  - name: nights
    time_intervals: [{times: [{start_time: '01:00', end_time: '04:00'}]}]
""",
        1,
    )
)


def past(redis_url: str, count: int = 240, days: int = 30, name: str = "") -> None:
    """Incidents of the last days, in a Redis of its own; with a name, all of this alert."""
    with ThreadPoolExecutor(1) as pool:  # Playwright has a loop in this thread already
        pool.submit(asyncio.run, _past(redis_url, count, days, name)).result()


async def _past(redis_url: str, count: int, days: int, name: str) -> None:
    wire, chance, now = Wire(redis_url), random.Random(f"seven {name}"), time.time()
    wire.open()
    await wire.connected()
    for number in range(count):
        incident = _incident(number, chance, _started(chance, now, days), name)
        change = Change(
            incident=incident,
            before="",
            policy_before="",
            timeline=[],
            timer=None,
            outbox=[],
            turns={},
            nobody=[],
        )
        assert await commit(wire, incidents.change_operations(change))
    await wire.close()


def _started(chance: random.Random, now: float, days: int) -> float:
    """One of the whole days (UTC) before now, at an hour that chance alone decides: the hour of the test moves nobody's nights."""
    today = now - now % DAY
    return today - chance.randint(1, days - 1) * DAY + chance.random() * DAY


def _incident(number: int, chance: random.Random, started: float, name: str) -> Incident:
    name = name or chance.choice(NAMES)
    noisy = name == "CheckoutLatency"
    answered = chance.random() < (0.3 if noisy else 0.9)
    user = chance.choice(("bob", "bob", "alice", "carol"))
    pages = [
        Page(
            id=f"past{number}p{n}",
            user=user,
            channel="console",
            policy="platform",
            step=1,
            due=started,
            state="sent",
            sent_at=started + 2,
        )
        for n in range(2 if noisy else 1)
    ]
    return Incident(
        id=f"past{chance.getrandbits(40):x}",
        version=1,
        number=100_000 + number,
        state="resolved",
        title=f"{name} on eu1",
        policy=chance.choice(("platform", "database")),
        team=chance.choice(("platform", "database")),
        plan=PLAN,
        group=f"g{number}",
        group_labels={"alertname": name, "cluster": "eu1"},
        started_at=started,
        acknowledged_by=user if answered else "",
        acknowledged_at=started + chance.expovariate(1 / 240) if answered else None,
        resolved_by="source" if noisy else user,
        resolved_at=started + (90 if noisy else 600 + chance.expovariate(1 / 3000)),
        pages=pages,
    )


def hush(url: str) -> str:
    """Alerts that fire, silences and windows over some of them; returns the id of the silence of db-4."""
    push(
        url,
        *[
            alert(
                "HighErrorRate",
                "eu1",
                "Checkout answers 12% with an error",
                instance=f"checkout-{n}",
            )
            for n in range(3)
        ],
    )
    push(
        url,
        alert("ReplicationLag", "eu2", "Replica db-4 is 94 s behind", instance="db-4"),
        alert("DiskFull", "eu2", "/var is full", instance="db-4"),
    )
    for title in ("HighErrorRate", "ReplicationLag"):
        opened(url, title)
    made = silence(url, "New disk for db-4, see OPS-1234", "bob", 4 * 3600, instance="db-4")
    silence(url, "", "alice", 1800, alertname="Canary", cluster="eu1")
    tomorrow = time.strftime("%Y-%m-%dT20:00:00Z", time.gmtime(time.time() + 2 * DAY))
    ask(
        f"{url}/api/v1/maintenance",
        {
            "name": "Switch upgrade",
            "matchers": ['cluster=~"eu1|eu3"', 'job="node"'],
            "start": tomorrow,
            "for": "3h",
            "user": "carol",
            "comment": "Both core switches of eu1 get new firmware",
        },
    )
    ask(
        f"{url}/api/v2/silence/{silence(url, 'Was a false alarm', 'bob', 3600, alertname='Gone')}",
        method="DELETE",
    )
    return made


def silence(url: str, comment: str, by: str, seconds: float, **labels: str) -> str:
    """Make one by Alertmanager's API; returns its id."""
    matchers = [{"name": name, "value": value, "isRegex": False} for name, value in labels.items()]
    start, end = (
        time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + after))
        for after in (0, seconds)
    )
    body = {
        "matchers": matchers,
        "startsAt": start,
        "endsAt": end,
        "createdBy": by,
        "comment": comment,
    }
    return str(ask(f"{url}/api/v2/silences", body)["silenceID"])


def deliver(url: str) -> None:
    """Tests over channels that work and channels that do not."""
    for user in ("alice", "bob"):
        ask(f"{url}/api/v1/users/{user}/test", {})
    ask(f"{url}/api/v1/receivers/chat/test", {})

    def outcomes() -> set[str]:
        return {one["outcome"] for one in ask(f"{url}/api/v1/deliveries")["deliveries"]}

    until(lambda: outcomes() >= {"sent", "retry"}, why="nothing was delivered")
