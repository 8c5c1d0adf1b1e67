"""The same pushes to the real Alertmanager and to amproxy at the same time: the same webhooks come out, at the same times."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import pytest

from tests.support.acceptance.catcher import Catcher
from tests.support.acceptance.moments import check_same_moments, rfc3339, sleep_until, unix
from tests.support.acceptance.pushing import call, silence
from tests.support.servers import Servers, needs

pytestmark = [pytest.mark.clock, needs("alertmanager")]

SEED = 20261122
OBSERVED = 14.5
# Seconds within which both sides mean the same tick, for ticks are 2 s apart.
SAME_TICK = 1.5
# Groups wait 1 s and tick every 2 s, so at odd seconds; all pushes but the first are at even seconds, far from any tick.
TIMINGS = {"group_wait": "1s", "group_interval": "2s", "repeat_interval": "5s"}
TWO_SIDES = ("alertmanager", "amproxy")
LEFT_OUT = {
    "externalURL",
    "notification_reason",
    "routeLabels",
}  # the address; two fields since 0.32 and 0.34

RECEIVERS: dict[str, dict[str, Any]] = {
    "plain": {},
    "team.a+b": {},
    "quiet": {"send_resolved": False},
    "few": {"max_alerts": 2},
    "everything": {},
}
ROUTES: list[dict[str, Any]] = [
    {
        "receiver": "everything",
        "matchers": ['team=~"a|quiet"'],
        "group_by": ["..."],
        "continue": True,
    },
    {"receiver": "team.a+b", "matchers": ['team="a"'], "group_by": ["alertname", "zone"]},
    {"receiver": "quiet", "matchers": ['team="quiet"']},
    {
        "receiver": "few",
        "matchers": ['team=~"f.*"', 'severity!="none"'],
        "routes": [{"receiver": "plain", "matchers": ['team="far"'], "group_by": ["team"]}],
    },
]


class Run(NamedTuple):
    began: float
    catcher: Catcher


def config(catcher: Catcher, side: str) -> str:
    webhooks = {
        name: [{"url": catcher.address(f"{side}/{number}"), **more}]
        for number, (name, more) in enumerate(RECEIVERS.items())
    }
    return json.dumps(
        {
            "global": {"resolve_timeout": "5s"},
            "route": {"receiver": "plain", "group_by": ["alertname"], **TIMINGS, "routes": ROUTES},
            "receivers": [
                {"name": name, "webhook_configs": configs} for name, configs in webhooks.items()
            ],
            "inhibit_rules": [
                {
                    "source_matchers": ['severity="critical"'],
                    "target_matchers": ['severity="warning"'],
                    "equal": ["zone"],
                },
            ],
        }
    )


def pushes(began: float) -> list[tuple[float, list[dict[str, Any]]]]:
    """(second, alerts): everything that may happen to an alert, by dice that always fall alike."""
    dice = random.Random(SEED)
    anchor = {"startsAt": rfc3339(began), "endsAt": rfc3339(began + 600)}

    def one(second: float, team: str, number: int) -> dict[str, Any]:
        labels = {
            "alertname": dice.choice(["Disk", "Load"]),
            "team": team,
            "instance": f"i{number}",
            "zone": dice.choice("xyz"),
        }
        labels["severity"] = dice.choice(["critical", "warning", "info", ""])
        if dice.random() < 0.3:
            labels["job"] = dice.choice(["node", "<odd> & \u2028 job"])
        firing = dice.random() < 0.6
        posted = {
            "labels": labels,
            "annotations": {"note": f"{second} {dice.random():.3f}"},
            "generatorURL": f"http://127.0.0.1/g?n={number}&x=1",
        }
        posted["startsAt"] = rfc3339(began + second - dice.choice([0.1, 0.2]))
        posted["endsAt"] = rfc3339(began + (second + 600 if firing else second - 0.05))
        return posted

    teams = ["a", "quiet", "fine", "far", "other"]
    # An alert that always fires keeps every group alive: since 0.32 an emptied group is gone at once, in 0.25 it is not.
    anchors = [
        {"labels": {"alertname": name, "team": team, "zone": zone, "instance": "anchor"}, **anchor}
        for name in ("Disk", "Load")
        for team in teams
        for zone in ("x", "y", "z")
    ]
    lapsing = {
        "labels": {"alertname": "Lapses", "team": "other", "instance": "l"},
        "startsAt": rfc3339(began),
    }
    rounds = [(0.0, [*anchors, lapsing])]
    for second in (2.0, 4.0, 6.0, 8.0, 10.0):
        rounds.append(
            (second, [one(second, team, number) for team in teams for number in range(6)])
        )
    return rounds


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    with Catcher() as catcher, Servers(tmp_path_factory.mktemp("sides")) as servers:
        catcher.old_senders = {f"alertmanager/{number}" for number in range(len(RECEIVERS))}
        real = servers.alertmanager(config(catcher, "alertmanager"))
        own = servers.amproxy(config(catcher, "amproxy"))
        began = time.time() + 0.3
        with ThreadPoolExecutor(2) as senders:
            for second, alerts in pushes(began):
                sleep_until(began + second)
                for reply in list(
                    senders.map(
                        lambda url, body=alerts: call("POST", f"{url}/api/v2/alerts", body),
                        [real.url, own.url],
                    )
                ):
                    assert reply.status == 200, reply
                if second == 4.0:
                    list(
                        senders.map(
                            lambda url: silence(url, 4.0, team="a", zone="x"), [real.url, own.url]
                        )
                    )
        sleep_until(began + OBSERVED)
        yield Run(began, catcher)


@pytest.mark.parametrize("receiver", RECEIVERS)
def test_the_same_messages_come_out_of_both(run: Run, receiver: str) -> None:
    real, own = (told(run, side, receiver) for side in TWO_SIDES)
    assert real, "the real Alertmanager told nothing: the test is blind"
    assert own.keys() == real.keys()
    for key, messages in real.items():
        assert [payload for _, payload in own[key]] == [payload for _, payload in messages], key
        moments = ([at for at, _ in own[key]], [at for at, _ in messages])
        check_same_moments(*moments, f"{receiver} {key}", within=SAME_TICK)


def test_amproxy_says_nothing_that_alertmanager_would_not(run: Run) -> None:
    assert run.catcher.problems == []
    assert {path.partition("/")[0] for path in run.catcher.paths()} == set(TWO_SIDES)


def told(run: Run, side: str, receiver: str) -> dict[str, list[tuple[float, dict[str, Any]]]]:
    """Group key → (second, payload) in order."""
    groups: dict[str, list[tuple[float, dict[str, Any]]]] = {}
    for request in run.catcher.came(f"{side}/{list(RECEIVERS).index(receiver)}"):
        payload = {key: value for key, value in request.payload.items() if key not in LEFT_OUT}
        for alert in payload["alerts"]:
            if alert["labels"]["alertname"] == "Lapses" and (ends := unix(alert["endsAt"])):
                alert["endsAt"] = round(
                    ends - run.began
                )  # each side's own clock plus resolve_timeout
        groups.setdefault(payload["groupKey"], []).append((request.at - run.began, payload))
    return groups
