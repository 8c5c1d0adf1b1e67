"""The same file and the same group through the real Alertmanager and through amproxy's channels: the requests are the same.

The texts of the file are plain, so that this compares what the channels make of them. Both speak to the stand-ins that refuse what the services refuse.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs
from urllib.request import Request as HttpRequest
from urllib.request import urlopen

import pytest

from amproxy.config.channels import channel_kind, load_name
from amproxy.config.loader import load_text
from amproxy.config.structs import Config
from amproxy.notify.channels import Channel
from amproxy.notify.message import Card
from tests.support.notify.groups import group_card
from tests.support.servers import Servers, needs
from tests.support.standins import aws, chats, opsgenie, pagerduty, pushover, victorops
from tests.support.standins.certificate import Certificate
from tests.support.standins.services import ServiceStandIn
from tests.support.standins.serving import Request
from tests.support.waiting import until

pytestmark = needs("alertmanager")

FILE = """
route:
  receiver: none
  group_by: [alertname]
  group_wait: 0s
  group_interval: 1s
  routes:
{routes}
receivers:
  - name: none
  - name: pagerduty
    pagerduty_configs:
      - routing_key: {routing_key}
        url: {pagerduty}
        client: The monitoring
        client_url: http://am.example.org/?a=1&b=2
        description: "DiskFull <on> db-1 & more"
        severity: critical
        class: disk
        component: sda1
        group: prod
        details: {{firing: one alert, resolved: 'none', num_firing: a few, num_resolved: no number, team: db}}
        images: [{{src: 'https://e.org/i.png', alt: cpu, href: 'https://e.org'}}, {{alt: no source}}]
        links: [{{href: 'https://e.org/runbook', text: Runbook}}, {{text: no address}}]
  - name: pagerduty-v1
    pagerduty_configs:
      - service_key: {service_key}
        client: The monitoring
        client_url: http://am.example.org/
        description: DiskFull
        details: {{firing: one alert, resolved: 'none', num_firing: a few, num_resolved: no number}}
        http_config: {{proxy_url: '{pagerduty_proxy}', tls_config: {{ca_file: '{ca}'}}}}
  - name: opsgenie
    opsgenie_configs:
      - api_key: {opsgenie_key}
        api_url: {opsgenie}
        message: DiskFull
        description: sda1 is full
        source: http://am.example.org
        details: {{team: storage, runbook: 'https://e.org'}}
        entity: db-1
        responders:
          - {{name: db, type: team}}
          - {{name: 'net,,ops', type: teams}}
          - {{username: bob@example.org, type: user}}
        actions: reboot,,ping
        tags: ' disk,prod '
        note: see the runbook
        priority: P1
        update_alerts: true
  - name: victorops
    victorops_configs:
      - api_key: {victorops_key}
        api_url: {victorops}
        routing_key: {victorops_route}
        message_type: warning
        state_message: sda1 is full
        entity_display_name: DiskFull
        monitoring_tool: The monitoring
        custom_fields: {{severity: page}}
  - name: pushover
    pushover_configs:
      - user_key: {pushover_user}
        token: {pushover_token}
        title: "DiskFull & more"
        message: "  sda1 is full + hot  "
        url: http://am.example.org/?a=1&b=2
        url_title: Look
        priority: '2'
        retry: 90s
        expire: 10m
        sound: siren
        http_config: {{proxy_url: '{pushover_proxy}', tls_config: {{ca_file: '{ca}'}}}}
  - name: sns
    sns_configs:
      - api_url: {sns}
        sigv4: {{region: {region}, access_key: {access_key}, secret_key: {secret_key}}}
        topic_arn: {topic}.fifo
        subject: DiskFull
        message: "sda1 is full ü + & more"
        attributes: {{team: db}}
  - name: discord
    discord_configs:
      - webhook_url: {discord}
        title: "DiskFull <on> db-1 & more"
        message: "sda1 is full ü 😀"
  - name: webex
    webex_configs:
      - api_url: {webex}
        room_id: room
        message: "sda1 is **full** <on> db-1"
        http_config: {{authorization: {{credentials: '{webex_token}'}}}}
  - name: wechat
    wechat_configs:
      - api_url: {wechat}
        corp_id: corp
        api_secret: '{wechat_secret}'
        message: "sda1 is full & more"
        to_user: '@all'
        to_party: ''
        to_tag: db
        agent_id: '7'
        send_resolved: true
"""
RECEIVERS = ("pagerduty", "pagerduty-v1", "opsgenie", "victorops", "pushover", "sns")
RECEIVERS += ("discord", "webex", "wechat")
HEADERS = ("content-type", "authorization")
# Receivers → calls of a beginning and of an end, where they are not one.
_BEGUN, _ENDED = {"opsgenie": 3, "wechat": 2}, {"opsgenie": 1}


@dataclass
class Stage:
    """The stand-ins, the file that leads to them, and what Alertmanager sent to each by receiver."""

    services: dict[str, ServiceStandIn]
    config: Config
    begun: dict[str, list[Request]]
    ended: dict[str, list[Request]]


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("same")
    certificate = Certificate(folder, "DNS:events.pagerduty.com,DNS:api.pushover.net")
    services: dict[str, ServiceStandIn] = {
        "pagerduty": pagerduty.PagerDutyStandIn(),
        "pagerduty-v1": pagerduty.PagerDutyStandIn(certificate.context()),
        "opsgenie": opsgenie.OpsgenieStandIn(),
        "victorops": victorops.VictorOpsStandIn(),
        "pushover": pushover.PushoverStandIn(certificate.context()),
        "sns": aws.AwsStandIn(),
        "discord": chats.DiscordStandIn(),
        "webex": chats.WebexStandIn(),
        "wechat": chats.WechatStandIn(),
    }
    with contextlib.ExitStack() as stack:
        for service in services.values():
            stack.enter_context(service)
        text = _file(services, certificate.file)
        servers = stack.enter_context(Servers(folder))
        alertmanager = servers.alertmanager(text)
        sent = [
            _push(alertmanager.url, services, over=over, calls=_ENDED if over else _BEGUN)
            for over in (False, True)
        ]
        for service in services.values():
            service.assert_no_surprises()
        yield Stage(services, load_text(text, env={}).config, *sent)


def _file(services: dict[str, ServiceStandIn], ca: Path) -> str:
    routes = "\n".join(
        f'    - {{receiver: {name}, matchers: [kind="{name}"]}}' for name in RECEIVERS
    )
    return FILE.format(
        routes=routes,
        ca=ca,
        pagerduty=services["pagerduty"].url,
        pagerduty_proxy=services["pagerduty-v1"].url.removesuffix("/v2/enqueue"),
        routing_key=pagerduty.ROUTING_KEY,
        service_key=pagerduty.SERVICE_KEY,
        opsgenie=services["opsgenie"].url,
        opsgenie_key=opsgenie.API_KEY,
        victorops=services["victorops"].url,
        victorops_key=victorops.API_KEY,
        victorops_route=victorops.ROUTE,
        pushover_proxy=services["pushover"].url,
        pushover_user=pushover.USER,
        pushover_token=pushover.TOKEN,
        sns=services["sns"].url,
        region=aws.REGION,
        access_key=aws.ACCESS_KEY,
        secret_key=aws.SECRET_KEY,
        topic=aws.TOPIC,
        discord=services["discord"].url,
        webex=services["webex"].url,
        webex_token=chats.WEBEX_TOKEN,
        wechat=services["wechat"].url,
        wechat_secret=chats.WECHAT_SECRET,
    )


def _labels(receiver: str) -> dict[str, str]:
    return {"alertname": "DiskFull", "instance": "db-1", "kind": receiver}


def _push(
    url: str, services: dict[str, ServiceStandIn], *, over: bool, calls: dict[str, int]
) -> dict[str, list[Request]]:
    """Post one alert for each receiver, wait for what Alertmanager sends, and take it away."""
    now = datetime.now(UTC)
    alerts = [
        {
            "labels": _labels(receiver),
            "annotations": {"summary": "sda1 is full"},
            "startsAt": (now - timedelta(minutes=5)).isoformat(),
            **({"endsAt": (now - timedelta(seconds=1)).isoformat()} if over else {}),
        }
        for receiver in RECEIVERS
    ]
    request = HttpRequest(
        f"{url}/api/v2/alerts", json.dumps(alerts).encode(), {"Content-Type": "application/json"}
    )
    urlopen(request, timeout=30).close()
    until(
        lambda: all(
            len(service.requests) >= calls.get(name, 1) for name, service in services.items()
        )
    )
    found = {name: list(service.requests) for name, service in services.items()}
    for service in services.values():
        service.requests.clear()
    return found


def _card(receiver: str, *, over: bool) -> Card:
    key = f'{{}}/{{kind="{receiver}"}}:{{alertname="DiskFull"}}'
    return group_card(over=over, group_key=key, common_labels=_labels(receiver))


def _comparable(request: Request) -> dict[str, Any]:
    """What two requests must have in common; a signature tells of the moment."""
    body: Any = request.body
    if request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        body = parse_qs(body.decode(), keep_blank_values=True, strict_parsing=True)
    elif body:
        body = json.loads(body)
    headers = {name: request.headers.get(name, "") for name in HEADERS}
    headers["content-type"] = headers["content-type"].partition(";")[0]
    headers["authorization"] = headers["authorization"].partition(" Credential=")[0]
    query = parse_qs(request.query, keep_blank_values=True)
    query.pop("device", None)  # of Pushover, which Alertmanager 0.26 began to send
    return {"call": (request.method, request.path, query), "headers": headers, "body": body}


@pytest.fixture
async def channel_of() -> AsyncIterator[Callable[[str], Channel]]:
    made: list[Channel] = []

    def make(kind: str) -> Channel:
        made.append(load_name(channel_kind(kind).channel)())
        return made[-1]

    yield make
    for channel in made:
        await channel.close()


@pytest.mark.parametrize("receiver", RECEIVERS)
async def test_a_beginning_and_an_end_are_told_as_alertmanager_tells_them(
    stage: Stage, channel_of: Callable[[str], Channel], receiver: str
) -> None:
    service = stage.services[receiver]
    (integration,) = stage.config.receivers[receiver].integrations
    assert integration.undeliverable is None
    channel = channel_of(integration.kind)
    for over, theirs in ((False, stage.begun[receiver]), (True, stage.ended[receiver])):
        service.requests.clear()
        await channel.send(integration.settings, _card(receiver, over=over))
        assert list(map(_comparable, service.requests)) == list(map(_comparable, theirs))
    service.assert_no_surprises()
