"""Files of companies run as they are: every message arrives, with the text that Alertmanager sends."""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from amproxy.check.report import check_config
from amproxy.config.loader import load
from amproxy.notify.rendered_values import typed_tree
from tests.support.acceptance.companies import Services, alerts, place, without_newer
from tests.support.acceptance.pushing import call, fires
from tests.support.log_lines import log_lines
from tests.support.servers import Server, Servers, find, needs
from tests.support.waiting import until

pytestmark = pytest.mark.clock

EXTERNAL = "http://monitor.example"
# Messages to each service once all alerts fire, and once some of them are over as well.
MESSAGES = {
    "harbour": {"slack": (7, 13), "pagerduty": (2, 4)},
    "clinic": {"mail": (7, 11), "teams": (3, 5), "webhook": (3, 6), "opsgenie": (1, 2)},
    "studio": {
        **{"opsgenie": (6, 7), "discord": (4, 7), "telegram": (7, 10), "slack": (1, 2)},
        "webhook": (4, 6),
    },
}
# Of these, what the real Alertmanager of Debian (0.25) has no key for.
NEWER = {"clinic": {"teams": (3, 5)}, "studio": {"webhook": (1, 1)}}


class Run(NamedTuple):
    """What a company's services got, from amproxy and from Alertmanager where it is installed."""

    amproxy: Server
    services: Services
    told: dict[str, list[Any]]
    theirs: dict[str, list[Any]]


def _arrived(company: str, act: int, services: Services, ours: Services) -> bool:
    missing = {} if services is ours else NEWER.get(company, {})
    taken = services.taken()
    return all(
        len(taken[service]) >= counts[act] - missing.get(service, (0, 0))[act]
        for service, counts in MESSAGES[company].items()
    )


def _run(company: str, folder: Path, stack: ExitStack) -> Run:
    servers = stack.enter_context(Servers(folder))
    url = [f"--web.external-url={EXTERNAL}"]
    ours = stack.enter_context(Services())
    amproxy = servers.amproxy(place(company, folder / "ours", ours), args=url)
    sides = [(amproxy, ours)]
    if find("alertmanager"):
        theirs = stack.enter_context(Services(strict=False))
        file = without_newer(place(company, folder / "theirs", theirs), theirs)
        sides.insert(0, (servers.alertmanager(file, args=url), theirs))
    began = time.time()
    for act in (0, 1):
        pushed = alerts(company, began, over=act == 1)
        for server, _ in sides:
            if company == "studio" and act == 1 and server is amproxy:
                amproxy.restart()
            assert call("POST", f"{server.url}/api/v2/alerts", pushed).status == 200
        until(lambda act=act: all(_arrived(company, act, services, ours) for _, services in sides))
    return Run(amproxy, ours, ours.told(), theirs.told() if len(sides) > 1 else {})


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Run]]:
    """All companies at once."""
    with ExitStack() as stack, ThreadPoolExecutor() as threads:
        begun = {
            company: threads.submit(_run, company, tmp_path_factory.mktemp(company), stack)
            for company in MESSAGES
        }
        yield {company: run.result() for company, run in begun.items()}


@pytest.mark.parametrize("company", MESSAGES)
def test_every_message_arrives_and_no_other(runs: dict[str, Run], company: str) -> None:
    run = runs[company]
    run.services.assert_no_surprises()
    found = {name: len(messages) for name, messages in run.told.items() if messages}
    assert found == {name: counts[1] for name, counts in MESSAGES[company].items()}
    log = call("GET", f"{run.amproxy.url}/api/v1/deliveries").json["deliveries"]
    assert [one for one in log if one["outcome"] != "sent" or one["error"]] == []


COMPARED = [
    (company, service)
    for company, services in MESSAGES.items()
    for service in services
    if service != "teams"
]


@needs("alertmanager")
@pytest.mark.parametrize(("company", "service"), COMPARED)
def test_the_texts_are_those_of_alertmanager(
    runs: dict[str, Run], company: str, service: str
) -> None:
    ours, theirs = (
        _comparable(company, side[service]) for side in (runs[company].told, runs[company].theirs)
    )
    assert ours == theirs


def _comparable(company: str, messages: list[Any]) -> list[str]:
    """The messages in any order, without what Alertmanager 0.25 does otherwise than that of today."""
    kept = []
    for message in copy.deepcopy(messages):
        match message:
            case {"body": {"client": client, "payload": {"custom_details": details}}}:
                if client == "Alertmanager":  # its default details are other ones today
                    details.pop("firing"), details.pop("resolved")
                # a text that is YAML is sent as what it is today
                message["body"]["payload"]["custom_details"] = typed_tree(details)
            case {"To": "technicians@clinic.example"}:
                del message["text/html"]  # the default page has a layout of its own
            case {"path": "/audit"}:
                continue
            case {"attachments": _} if company == "studio":  # it cannot change a message
                del message["channel"]
                message.pop("ts", None)
        kept.append(json.dumps(message, sort_keys=True, ensure_ascii=False))
    return sorted(kept)


def test_details_of_pagerduty_are_values_as_alertmanager_sends_them_today(
    runs: dict[str, Run],
) -> None:
    events = [event["body"] for event in runs["harbour"].told["pagerduty"]]
    details = [event["payload"]["custom_details"] for event in events]
    legacy = [one for one in details if one.get("owner") == "databases"]
    assert [(one["num_firing"], one["num_resolved"]) for one in legacy] == [(1, 0), (0, 1)]
    assert [len(one["firing"]) for one in legacy] == [1, 0]
    assert legacy[0]["firing"][0]["annotations"]["description"] == "db2 & db3"
    # a list of two alerts as text reads as one map: of a key given twice the last value counts
    *_, last = (one["firing"] for one in details if one.get("team") == "platform")
    assert last["Annotations"][-1] == "summary = disk of n1 is full"


def test_a_mail_without_texts_of_its_own_has_the_default_page(runs: dict[str, Run]) -> None:
    mails = runs["clinic"].told["mail"]
    fires, over = (mail for mail in mails if mail["To"] == "technicians@clinic.example")
    for mail in (fires, over):
        assert "14 days left for https://pacs.clinic.example/?a=1&amp;b=2" in mail["text/html"]
    assert (fires["Subject"], over["Subject"]) == (
        "[FIRING:1] CertificateEnds (pacs notice)",
        "[RESOLVED] CertificateEnds (pacs notice)",
    )


def test_microsoft_teams_shows_the_texts_of_the_file_and_the_default_ones(
    runs: dict[str, Run],
) -> None:
    cards = [
        message["body"]["attachments"][0]["content"] for message in runs["clinic"].told["teams"]
    ]
    texts = {card["body"][0]["text"]: card["body"][1]["text"] for card in cards}
    graph = "https://prometheus.example/graph?g0.expr=up+%3D%3D+0&g0.tab=1"
    assert set(texts) == {
        *("[FIRING:2] ICU (critical)", "[NOTICE] 2x notice", "[NOTICE] 1x notice"),
        *("[NONE] 1x Watchdog", "[OVER] Watchdog"),
    }
    assert texts["[NOTICE] 1x notice"] == (
        f"**Firing**\n\n- firing: Lizenz läuft ab — 3 Plätze ([graph]({graph}))\n"
        "**Over**\n\n- resolved: 14 days left for https://pacs.clinic.example/?a=1&b=2\n"
    )
    assert "  - summary = No mains in ICU\n" in texts["[FIRING:2] ICU (critical)"]
    colours = {card["body"][0]["text"]: card["body"][0]["color"] for card in cards}
    assert colours["[OVER] Watchdog"] == "Good" and colours["[NONE] 1x Watchdog"] == "Attention"


def test_a_message_in_slack_is_changed_although_the_service_was_started_anew(
    runs: dict[str, Run],
) -> None:
    run = runs["studio"]
    [message] = run.services.slack.sent("C0123456789")
    assert message.attachments[0]["title"] == "1 alert: LobbySlow in us"
    first, changed = (call.method for call in run.services.slack.calls)
    assert (first, changed) == ("chat.postMessage", "chat.update")


@pytest.mark.parametrize("company", MESSAGES)
def test_check_finds_nothing_to_say(company: str, tmp_path: Path) -> None:
    with Services() as services:
        file = place(company, tmp_path / company, services)
        found = check_config(lambda: load(file, {}))
    assert found == {"ok": True, "errors": [], "warnings": []}


BROKEN = {
    "title": "{{ .CommonLabels.service | toUper }}",  # no such function
    "text": "{{ (index .Alerts 9).Labels.service }}",
    "pretext": "{{ .CommonLabels.service }}",
}


def test_a_broken_text_goes_out_as_the_default_one_and_is_told(runs: dict[str, Run]) -> None:
    """The last test: it changes the file of a company."""
    run = runs["harbour"]
    url, file = run.amproxy.url, run.amproxy.config
    assert file is not None
    keys = "".join(f"\n        {key}: '{text}'" for key, text in BROKEN.items())
    channel = "- channel: '#databases'"
    text = file.read_text("utf-8").replace(channel, channel + keys)
    file.write_text(text, "utf-8")
    warnings = check_config(lambda: load(file, {}))["warnings"]
    assert [one["kind"] for one in warnings] == ["template"] * 2
    assert call("POST", f"{url}/-/reload").status == 200
    fires(url, {"alertname": "Down", "service": "redis-1"})
    slack = run.services.slack
    until(lambda: len(slack.hooked) > len(run.told["slack"]))
    attachment = slack.hooked[-1]["attachments"][0]
    assert attachment["title"] == "[FIRING:1] Down redis-1 "
    assert (attachment["text"], attachment["pretext"]) == ("", "redis-1")

    def told() -> Any:
        log = call("GET", f"{url}/api/v1/deliveries?receiver=slack-databases&limit=1").json
        [last] = log["deliveries"]
        return last if last["error"] else None

    last = until(told)
    assert (last["outcome"], last["error_code"]) == ("sent", "outcome.template_failed")
    assert "default text for title, text" in last["error"] and "toUper" in last["error"]
    page = call("GET", f"{url}/deliveries").body.decode()
    assert "default text for title, text" in page
    metric = 'amproxy_template_failures_total{channel="slack",receiver="slack-databases"} 2.0'
    assert metric in call("GET", f"{url}/metrics").body.decode()
    lines = [line for line in log_lines(run.amproxy.stderr) if line["msg"] == "template failed"]
    assert [(line["receiver"], line["key"]) for line in lines] == [
        ("slack-databases", "title"),
        ("slack-databases", "text"),
    ]
