"""The recorded timelines of the real Alertmanager, all at once in one running amproxy: what its webhooks are told, and when."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import pytest

from tests.support.acceptance.catcher import Catcher
from tests.support.acceptance.moments import LATE, check_moments, sleep_until, unix
from tests.support.acceptance.pushing import alert, push, silence
from tests.support.cases import ALERTMANAGER
from tests.support.servers import Servers

pytestmark = pytest.mark.clock

CASES = json.loads((ALERTMANAGER / "timelines.json").read_text("utf-8"))
SETTINGS, SCENARIOS, REPEATS = CASES["settings"], CASES["scenarios"], CASES["repeat_table"]["cases"]
NAMES = [scenario["name"] for scenario in SCENARIOS]
OBSERVED = 30.0  # seconds; the recording was observed a second longer, and nothing came in it
REPEATS_OBSERVED = 26.0

# The reasons of each scenario's messages in their order (the recording Alertmanager was too old to say them):
# first notification, new alerts added, some alerts resolved, all alerts resolved, repeat interval elapsed
REASONS = {
    "joins_in_wait": "frrr",
    "heartbeat": "frrr",
    "resolved_in_wait": "",
    "resolve_one_of_two": "fsrr",
    "flap_within_interval": "frrr",
    "refire_after_resolved_sent": "fafrr",
    "timeout": "fa",
    "timeout_refreshed": "fa",
    "annotation_change": "frrr",
    "resolved_while_silenced": "frrr",
    "muted_route": "",
    "muted_parent_child_not": "frrr",
    "inhibited": "fnrr",
    "starts_changes_after_gap": "fafrr",
    "end_moves_back": "frrr",
    "max_alerts_status": "fsrr",
}
LETTERS = {
    "first notification": "f",
    "new alerts added": "n",
    "some alerts resolved": "s",
    "all alerts resolved": "a",
    "repeat interval elapsed": "r",
}


class Run(NamedTuple):
    started: float
    catcher: Catcher


def routes(catcher: Catcher) -> str:
    """One route and one receiver for each scenario. JSON is YAML."""
    receivers: list[dict[str, Any]] = [{"name": "nobody"}]
    children: list[dict[str, Any]] = []
    for scenario in SCENARIOS:
        name, options = scenario["name"], scenario["route"]
        webhook = {
            "url": catcher.address(name),
            "send_resolved": options.get("send_resolved", True),
        }
        webhook |= {"max_alerts": options.get("max_alerts", 0)}
        route: dict[str, Any] = {
            "receiver": name,
            "matchers": [f'alertname="{name}"'],
            "mute_time_intervals": options.get("mute", []),
        }
        if options.get("child"):
            route["routes"] = [{"receiver": name, "matchers": [f'alertname="{name}"']}]
        receivers.append({"name": name, "webhook_configs": [webhook]})
        children.append(route)
    for case in REPEATS:
        name, every, repeat = (
            repeat_name(case),
            f"{case['group_interval_s']}s",
            f"{case['repeat_interval_s']}s",
        )
        receivers.append({"name": name, "webhook_configs": [{"url": catcher.address(name)}]})
        times = {"group_wait": "0s", "group_interval": every, "repeat_interval": repeat}
        children.append({"receiver": name, "matchers": [f'alertname="{name}"'], **times})
    timings = {
        key: f"{SETTINGS[key]}s" for key in ("group_wait", "group_interval", "repeat_interval")
    }
    source, target = ['instance="src"'], ['instance!="src"']
    return json.dumps(
        {
            "global": {"resolve_timeout": f"{SETTINGS['resolve_timeout']}s"},
            "route": {
                "receiver": "nobody",
                "group_by": ["alertname"],
                **timings,
                "routes": children,
            },
            "inhibit_rules": [
                {"source_matchers": source, "target_matchers": target, "equal": ["alertname"]}
            ],
            "time_intervals": [{"name": "always", "time_intervals": [{}]}],
            "receivers": receivers,
        }
    )


def repeat_name(case: dict[str, Any]) -> str:
    return f"repeat_{case['group_interval_s']}_{case['repeat_interval_s']}"


def act(url: str, started: float, name: str, action: dict[str, Any]) -> None:
    sleep_until(started + action["t"])
    if action["op"] == "silence":
        silence(url, action["for"], alertname=name, instance=action["instance"])
        return
    push(
        url,
        *(
            alert(
                {"alertname": name, "instance": posted["instance"]},
                starts=None if posted["starts"] is None else started + posted["starts"],
                ends=None if posted["ends"] is None else started + posted["ends"],
                annotations={"note": posted["note"]} if "note" in posted else {},
            )
            for posted in action["alerts"]
        ),
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """All scenarios and the table of repeats, side by side, for half a minute."""
    with Catcher() as catcher, Servers(tmp_path_factory.mktemp("timelines")) as servers:
        amproxy = servers.amproxy(routes(catcher))
        started = time.time() + 0.5
        todo = [
            (scenario["name"], action) for scenario in SCENARIOS for action in scenario["actions"]
        ]
        firing = [{"instance": "a", "starts": 0, "ends": 600}]
        todo += [(repeat_name(case), {"t": 0, "op": "post", "alerts": firing}) for case in REPEATS]
        with ThreadPoolExecutor(len(todo)) as senders:
            for done in [
                senders.submit(act, amproxy.url, started, name, action) for name, action in todo
            ]:
                done.result()
        sleep_until(started + OBSERVED)
        yield Run(started, catcher)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=NAMES)
def test_messages_come_when_alertmanager_sent_them(run: Run, scenario: dict[str, Any]) -> None:
    wanted = scenario.get("notification_times_newest") or [
        message["t"] for message in scenario["notifications"]
    ]
    check_moments(
        [request.at - run.started for request in run.catcher.came(scenario["name"])],
        wanted,
        scenario["name"],
    )


@pytest.mark.parametrize("scenario", SCENARIOS, ids=NAMES)
def test_messages_say_what_alertmanager_said(run: Run, scenario: dict[str, Any]) -> None:
    payloads = [request.payload for request in run.catcher.came(scenario["name"])]
    assert [heard(payload, run.started) for payload in payloads] == [
        recorded(message) for message in scenario["notifications"]
    ]
    for payload in payloads:
        assert payload["receiver"] == scenario["name"]
        assert payload["groupLabels"] == {"alertname": scenario["name"]}
        key = f'{{}}/{{alertname="{scenario["name"]}"}}' + (
            f'/{{alertname="{scenario["name"]}"}}' if scenario["route"].get("child") else ""
        )
        assert payload["groupKey"] == f'{key}:{{alertname="{scenario["name"]}"}}'


@pytest.mark.parametrize("scenario", SCENARIOS, ids=NAMES)
def test_messages_say_why_they_come(run: Run, scenario: dict[str, Any]) -> None:
    said = [
        request.payload["notification_reason"] for request in run.catcher.came(scenario["name"])
    ]
    assert "".join(LETTERS[reason] for reason in said) == REASONS[scenario["name"]]


@pytest.mark.parametrize("case", REPEATS, ids=repeat_name)
def test_repeats_come_at_the_first_tick_at_which_the_repeat_interval_is_over(
    run: Run, case: dict[str, Any]
) -> None:
    came = [request.at - run.started for request in run.catcher.came(repeat_name(case))]
    found = [moment for moment in came if moment <= REPEATS_OBSERVED]
    if case["stable"]:
        wanted = case["messages_at_s"]
    else:
        # Alertmanager takes this tick or the next, by chance of milliseconds. Planned times are compared here, so it is always this one.
        gap = (
            math.ceil(case["repeat_interval_s"] / case["group_interval_s"])
            * case["group_interval_s"]
        )
        wanted = [float(moment) for moment in range(0, math.floor(REPEATS_OBSERVED) + 1, gap)]
    check_moments(
        found, [moment for moment in wanted if moment < REPEATS_OBSERVED - 0.5], repeat_name(case)
    )


def test_nothing_else_is_sent(run: Run) -> None:
    assert run.catcher.problems == []
    silent = {scenario["name"] for scenario in SCENARIOS if not scenario["notifications"]}
    assert set(run.catcher.paths()) == {*NAMES, *map(repeat_name, REPEATS)} - silent


def recorded(message: dict[str, Any]) -> dict[str, Any]:
    return {
        "status": message["status"],
        "truncated": message["truncatedAlerts"],
        "alerts": [_alert(one) for one in message["alerts"]],
    }


def _alert(one: dict[str, Any]) -> list[Any]:
    ends = None if one["ends"] is None else pytest.approx(one["ends"], abs=LATE)
    return [
        one["instance"],
        one["status"],
        pytest.approx(one["starts"], abs=0.06),
        ends,
        one.get("note", ""),
    ]


def heard(payload: dict[str, Any], started: float) -> dict[str, Any]:
    alerts = []
    for one in payload["alerts"]:
        starts, ends = unix(one["startsAt"]), unix(one["endsAt"])
        assert starts is not None
        ended = None if ends is None else ends - started
        alerts.append(
            [
                one["labels"]["instance"],
                one["status"],
                starts - started,
                ended,
                one["annotations"].get("note", ""),
            ]
        )
    return {"status": payload["status"], "truncated": payload["truncatedAlerts"], "alerts": alerts}
