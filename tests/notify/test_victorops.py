"""Alerts to Splunk On-Call, against a stand-in that refuses what it refuses."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from amproxy.errors import DeliveryError
from amproxy.notify.channels.victorops.channel import VictorOpsChannel
from amproxy.notify.channels.victorops.settings import VictorOpsSettings
from amproxy.secret import Secret
from tests.support.config.configs import problem
from tests.support.notify.cards import card, resolved
from tests.support.notify.groups import DIGEST, group_card, integration, verdict
from tests.support.standins.serving import Response
from tests.support.standins.victorops import API_KEY, ROUTE, VictorOpsStandIn


@pytest.fixture
def service() -> Iterator[VictorOpsStandIn]:
    with VictorOpsStandIn() as started:
        yield started
        started.assert_no_surprises()


@pytest.fixture
async def channel() -> AsyncIterator[VictorOpsChannel]:
    made = VictorOpsChannel()
    yield made
    await made.close()


def settings(service: VictorOpsStandIn, **changes: Any) -> VictorOpsSettings:
    values = {
        "api_key": Secret(API_KEY),
        "api_url": service.url,
        "routing_key": ROUTE,
        "state_message": "sda1 is full",
        "entity_display_name": "[FIRING:1] DiskFull",
        "monitoring_tool": "Alertmanager",
    }
    return VictorOpsSettings(**values | changes)


async def test_a_group_becomes_critical_and_recovers(
    service: VictorOpsStandIn, channel: VictorOpsChannel
) -> None:
    found = settings(service, custom_fields={"severity": "page", "empty": ""})
    await channel.send(found, group_card())
    begun = {
        "message_type": "CRITICAL",
        "entity_id": DIGEST,
        "entity_display_name": "[FIRING:1] DiskFull",
        "state_message": "sda1 is full",
        "monitoring_tool": "Alertmanager",
        "severity": "page",
        "empty": "",
    }
    assert json.loads(service.requests[0].body) == begun
    await channel.send(found, group_card(over=True))
    assert json.loads(service.requests[1].body) == begun | {"message_type": "RECOVERY"}
    assert service.entities == {}


@pytest.mark.parametrize(
    ("written", "sent"),
    [("WARNING", "WARNING"), ("INFO", "INFO"), ("critical", "CRITICAL"), ("RECOVERY", "CRITICAL")],
)
async def test_a_beginning_has_a_type_that_pages(
    service: VictorOpsStandIn, channel: VictorOpsChannel, written: str, sent: str
) -> None:
    await channel.send(settings(service, message_type=written), group_card())
    assert service.entities[DIGEST]["message_type"] == sent


async def test_a_state_message_is_cut_at_the_limit(
    service: VictorOpsStandIn, channel: VictorOpsChannel
) -> None:
    await channel.send(settings(service, state_message="я" * 20_481), group_card())
    assert service.entities[DIGEST]["state_message"] == "я" * 20_479 + "…"


async def test_an_incident_has_its_own_texts_and_ends_once(
    service: VictorOpsStandIn, channel: VictorOpsChannel
) -> None:
    empty = settings(service, state_message="", entity_display_name="", monitoring_tool="")
    ref = await channel.send(empty, card(incident="INC"))
    (entity,) = service.entities.values()
    assert entity["entity_display_name"] == "HighCPU on eu1"
    assert entity["monitoring_tool"] == "amproxy"
    ref = await channel.edit(empty, ref, card(incident="INC", state="acknowledged"))
    await channel.edit(empty, ref, resolved(incident="INC"))
    assert (service.entities, len(service.requests)) == ({}, 2)


@pytest.mark.parametrize(
    ("status", "wanted"),
    [
        (429, ("permanent", "rate_limited", None)),
        (503, ("temporary", "server_error", None)),
        (403, ("permanent", "auth_error", None)),
        (404, ("permanent", "client_error", None)),
    ],
)
async def test_only_faults_of_the_server_are_tried_again(
    service: VictorOpsStandIn,
    channel: VictorOpsChannel,
    status: int,
    wanted: tuple[str, str, None],
) -> None:
    assert await verdict(channel, settings(service), service, Response(status)) == wanted


async def test_no_error_shows_the_key(channel: VictorOpsChannel, tmp_path: Path) -> None:
    for url in ("http://127.0.0.1:1/", "http://[", "ftp://h/"):
        with pytest.raises(DeliveryError) as caught:
            found = VictorOpsSettings(api_key=Secret(API_KEY), api_url=url, routing_key="r")
            await channel.send(found, group_card())
        assert API_KEY not in str(caught.value)
    with pytest.raises(DeliveryError, match="api_key_file cannot be read") as caught:
        channel.rate_limit(VictorOpsSettings(api_key_file=str(tmp_path / "missing")))
    assert caught.value.permanent


def test_the_file_is_read_with_alertmanagers_defaults() -> None:
    found = integration(
        "victorops_configs: [{api_key: k, routing_key: r, monitoring_tool: '',"
        " custom_fields: {a: b}}]"
    ).settings
    assert found.api_url == "https://alert.victorops.com/integrations/generic/20131114/alert/"
    assert (found.message_type, found.state_message, found.monitoring_tool) == (
        "CRITICAL",
        '{{ template "victorops.default.state_message" . }}',
        '{{ "" }}',
    )
    assert found.custom_fields == {"a": "b"}


def test_a_custom_field_must_not_take_the_place_of_a_fixed_one() -> None:
    wrong = problem(
        "route: {receiver: r}\nreceivers: [{name: r, victorops_configs:"
        " [{api_key: k, routing_key: r, custom_fields: {entity_id: x}}]}]\n"
    )
    assert "entity_id" in wrong.message
