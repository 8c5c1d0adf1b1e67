"""Alerts in Opsgenie, against a stand-in that refuses what Opsgenie refuses."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from amproxy.config.structs import HttpSettings
from amproxy.errors import DeliveryError
from amproxy.notify.channels.opsgenie.channel import OpsgenieChannel
from amproxy.notify.channels.opsgenie.settings import OpsgenieResponder, OpsgenieSettings
from amproxy.secret import Secret
from tests.support.notify.cards import card, resolved
from tests.support.notify.groups import DIGEST, group_card, integration, verdict
from tests.support.standins.opsgenie import API_KEY, OpsgenieStandIn
from tests.support.standins.serving import Response


@pytest.fixture
def service() -> Iterator[OpsgenieStandIn]:
    with OpsgenieStandIn() as started:
        yield started
        started.assert_no_surprises()


@pytest.fixture
async def channel() -> AsyncIterator[OpsgenieChannel]:
    made = OpsgenieChannel()
    yield made
    await made.close()


def settings(service: OpsgenieStandIn, **changes: Any) -> OpsgenieSettings:
    values = {
        "api_key": Secret(API_KEY),
        "api_url": f"{service.url}/",
        "message": "[FIRING:1] DiskFull",
        "description": "sda1 is full",
        "source": "http://am.example.org",
    }
    return OpsgenieSettings(**values | changes)


def calls(service: OpsgenieStandIn) -> list[tuple[str, str]]:
    return [(request.method, request.path.replace(DIGEST, "ALIAS")) for request in service.requests]


async def test_a_group_opens_one_alert_with_all_that_the_file_says(
    service: OpsgenieStandIn, channel: OpsgenieChannel
) -> None:
    responders = [
        OpsgenieResponder(name="db", type="team"),
        OpsgenieResponder(name="net,,ops", type="teams"),
        OpsgenieResponder(username="bob@example.org", type="user"),
        OpsgenieResponder(id="1", type="schedule"),
        OpsgenieResponder(),
    ]
    found = settings(
        service,
        details={"team": "storage", "runbook": "https://e.org"},
        entity="db-1",
        responders=responders,
        actions="reboot,,ping",
        tags=" disk,prod ",
        note="see the runbook",
        priority="P1",
    )
    await channel.send(found, group_card())
    assert json.loads(service.requests[0].body) == {
        "alias": DIGEST,
        "message": "[FIRING:1] DiskFull",
        "description": "sda1 is full",
        "details": {
            "alertname": "DiskFull",
            "instance": "db-1",
            "team": "storage",
            "runbook": "https://e.org",
        },
        "source": "http://am.example.org",
        "responders": [
            {"name": "db", "type": "team"},
            {"name": "net", "type": "team"},
            {"name": "ops", "type": "team"},
            {"username": "bob@example.org", "type": "user"},
            {"id": "1", "type": "schedule"},
        ],
        "tags": ["disk", "prod"],
        "note": "see the runbook",
        "priority": "P1",
        "entity": "db-1",
        "actions": ["reboot", "ping"],
    }
    await channel.send(found, group_card(over=True))
    assert json.loads(service.requests[-1].body) == {"source": "http://am.example.org"}
    assert calls(service)[-1] == ("POST", "/v2/alerts/ALIAS/close")
    assert service.alerts == {}


async def test_what_is_empty_is_left_out_but_for_three_keys(
    service: OpsgenieStandIn, channel: OpsgenieChannel
) -> None:
    bare = settings(service, description="", source="")
    await channel.send(bare, group_card(common_labels={}))
    body = json.loads(service.requests[0].body)
    assert body == {"alias": DIGEST, "message": "[FIRING:1] DiskFull", "details": {}, "source": ""}


async def test_the_texts_of_an_open_alert_change_where_the_file_says_so(
    service: OpsgenieStandIn, channel: OpsgenieChannel
) -> None:
    await channel.send(settings(service), group_card())
    changed = {"message": "[FIRING:2] DiskFull", "description": "sda1 and sdb1 are full"}
    await channel.send(settings(service, **changed), group_card())
    assert service.alerts[DIGEST]["message"] == "[FIRING:1] DiskFull"
    await channel.send(settings(service, update_alerts=True, **changed), group_card())
    assert {key: service.alerts[DIGEST][key] for key in changed} == changed
    assert calls(service)[-3:] == [
        ("POST", "/v2/alerts"),
        ("PUT", "/v2/alerts/ALIAS/message"),
        ("PUT", "/v2/alerts/ALIAS/description"),
    ]


async def test_credentials_of_http_config_do_not_replace_the_key(
    service: OpsgenieStandIn, channel: OpsgenieChannel
) -> None:
    http = HttpSettings(authorization_credentials=Secret("another-token"))
    await channel.send(settings(service, http=http), group_card())
    assert len(service.alerts) == 1


async def test_a_message_is_cut_at_opsgenies_limit(
    service: OpsgenieStandIn, channel: OpsgenieChannel
) -> None:
    await channel.send(settings(service, message="я" * 131), group_card())
    assert service.alerts[DIGEST]["message"] == "я" * 129 + "…"


async def test_an_incident_has_its_own_texts(
    service: OpsgenieStandIn, channel: OpsgenieChannel
) -> None:
    empty = settings(service, message="", description="", source="")
    ref = await channel.send(empty, card(incident="INC"))
    (alert,) = service.alerts.values()
    assert (alert["message"], alert["description"]) == (
        "HighCPU on eu1",
        "CPU is above 90 %\nfor ten minutes",
    )
    await channel.edit(empty, ref, resolved(incident="INC"))
    assert service.alerts == {}


@pytest.mark.parametrize(
    ("status", "wanted"),
    [
        (429, ("temporary", "rate_limited", None)),
        (502, ("temporary", "server_error", None)),
        (401, ("permanent", "auth_error", None)),
        (422, ("permanent", "client_error", None)),
        (408, ("permanent", "client_error", None)),
    ],
)
async def test_the_status_says_whether_to_try_again(
    service: OpsgenieStandIn, channel: OpsgenieChannel, status: int, wanted: tuple[str, str, None]
) -> None:
    assert await verdict(channel, settings(service), service, Response(status)) == wanted


async def test_what_opsgenie_finds_wrong_is_told_without_the_key(
    service: OpsgenieStandIn, channel: OpsgenieChannel
) -> None:
    service.answers = [Response.json({"message": f"no {API_KEY}"}, 422)]
    with pytest.raises(DeliveryError, match="Opsgenie: 422") as caught:
        await channel.send(settings(service), group_card())
    assert API_KEY not in str(caught.value)


def test_the_file_is_read_with_alertmanagers_defaults() -> None:
    found = integration(
        "opsgenie_configs: [{api_key: k, details: {a: b}, update_alerts: true,"
        " responders: [{name: db, type: Team}], description: ''}]"
    ).settings
    assert found.api_url == "https://api.opsgenie.com/"
    assert found.responders == [OpsgenieResponder(name="db", type="Team")]
    assert (found.details, found.update_alerts) == ({"a": "b"}, True)
    assert (found.message, found.description) == (
        '{{ template "opsgenie.default.message" . }}',
        '{{ "" }}',
    )
