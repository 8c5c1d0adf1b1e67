"""Events to PagerDuty, against a stand-in that refuses what PagerDuty refuses."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from amproxy.config.loader import load_text
from amproxy.config.structs import HttpSettings, TlsSettings
from amproxy.errors import DeliveryError
from amproxy.notify.alertmanager_texts import fill_settings
from amproxy.notify.channels.pagerduty.channel import PagerDutyChannel
from amproxy.notify.channels.pagerduty.settings import (
    PagerDutyImage,
    PagerDutyLink,
    PagerDutySettings,
)
from amproxy.secret import Secret
from tests.support.notify.cards import card, resolved
from tests.support.notify.groups import DIGEST, group_card, integration, verdict
from tests.support.standins.certificate import Certificate
from tests.support.standins.pagerduty import ROUTING_KEY, SERVICE_KEY, V1_PATH, PagerDutyStandIn
from tests.support.standins.serving import Response


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return Certificate(tmp_path_factory.mktemp("tls"), "DNS:events.pagerduty.com")


@pytest.fixture
def service(certificate: Certificate) -> Iterator[PagerDutyStandIn]:
    with PagerDutyStandIn(certificate.context()) as started:
        yield started
        started.assert_no_surprises()


@pytest.fixture
async def channel() -> AsyncIterator[PagerDutyChannel]:
    made = PagerDutyChannel()
    yield made
    await made.close()


def v2(service: PagerDutyStandIn, **changes: Any) -> PagerDutySettings:
    values = {
        "routing_key": Secret(ROUTING_KEY),
        "url": service.url,
        "client": "Alertmanager",
        "client_url": "http://am.example.org/#/alerts?receiver=db",
        "description": "[FIRING:1] DiskFull",
        "source": "db-1",
        "severity": "critical",
    }
    return PagerDutySettings(**values | changes)


def v1(service: PagerDutyStandIn, certificate: Certificate, **changes: Any) -> PagerDutySettings:
    """Events v1 have one fixed address: they go over the stand-in as a proxy."""
    http = HttpSettings(
        proxy_url=service.url.removesuffix("/v2/enqueue"),
        tls=TlsSettings(ca_file=str(certificate.file)),
    )
    values = {"routing_key": Secret(""), "service_key": Secret(SERVICE_KEY), "http": http}
    return v2(service, **values | changes)


def sent(service: PagerDutyStandIn) -> dict[str, Any]:
    return dict(json.loads(service.requests[-1].body))


async def test_a_group_triggers_one_event_with_all_that_the_file_says(
    service: PagerDutyStandIn, channel: PagerDutyChannel
) -> None:
    settings = v2(
        service,
        class_="disk",
        component="sda1",
        group="prod",
        details={"firing": '[{"labels": {"a": "b"}}]', "num_firing": "1", "note": "<full> & hot"},
        images=[PagerDutyImage(src="https://e.org/i.png", alt="cpu"), PagerDutyImage(alt="none")],
        links=[PagerDutyLink(href="https://e.org", text="Runbook"), PagerDutyLink(text="none")],
    )
    await channel.send(settings, group_card())
    assert sent(service) == {
        "routing_key": ROUTING_KEY,
        "dedup_key": DIGEST,
        "event_action": "trigger",
        "client": "Alertmanager",
        "client_url": "http://am.example.org/#/alerts?receiver=db",
        "payload": {
            "summary": "[FIRING:1] DiskFull",
            "source": "db-1",
            "severity": "critical",
            "class": "disk",
            "component": "sda1",
            "group": "prod",
            "custom_details": {
                "firing": [{"labels": {"a": "b"}}],
                "num_firing": 1,
                "note": "<full> & hot",
            },
        },
        "images": [{"src": "https://e.org/i.png", "alt": "cpu", "href": ""}],
        "links": [{"href": "https://e.org", "text": "Runbook"}],
    }


async def test_the_end_of_a_group_resolves_its_event(
    service: PagerDutyStandIn, channel: PagerDutyChannel
) -> None:
    await channel.send(v2(service), group_card())
    assert list(service.alerts) == [DIGEST]
    await channel.send(v2(service), group_card(over=True))
    assert service.alerts == {}


async def test_an_older_service_key_speaks_version_1(
    service: PagerDutyStandIn, channel: PagerDutyChannel, certificate: Certificate
) -> None:
    settings = v1(service, certificate, details={"num_firing": "1"})
    await channel.send(settings, group_card())
    assert service.requests[-1].path == V1_PATH
    begun = {
        "service_key": SERVICE_KEY,
        "incident_key": DIGEST,
        "event_type": "trigger",
        "event_action": "",
        "payload": None,
        "description": "[FIRING:1] DiskFull",
        "client": "Alertmanager",
        "client_url": "http://am.example.org/#/alerts?receiver=db",
        "details": {"num_firing": 1},
    }
    assert sent(service) == begun
    await channel.send(settings, group_card(over=True))
    del begun["client"], begun["client_url"]
    assert sent(service) == begun | {"event_type": "resolve"}
    assert service.alerts == {}


async def test_an_incident_has_its_own_texts_and_ends_once(
    service: PagerDutyStandIn, channel: PagerDutyChannel
) -> None:
    settings = v2(service, client="", client_url="", description="", source="")
    begun = card(incident="INC")
    ref = await channel.send(settings, begun)
    event = sent(service)
    assert event["payload"]["summary"] == "HighCPU on eu1"
    assert event["client_url"] == "https://oncall.example.org/incidents/INC"
    assert await channel.edit(settings, ref, card(incident="INC", state="acknowledged")) == ref
    assert len(service.requests) == 1
    ref = await channel.edit(settings, ref, resolved(incident="INC"))
    assert (sent(service)["event_action"], service.alerts) == ("resolve", {})
    assert await channel.edit(settings, ref, resolved(incident="INC")) == ref
    assert len(service.requests) == 2


async def test_two_incidents_that_people_opened_are_two_events(
    service: PagerDutyStandIn, channel: PagerDutyChannel
) -> None:
    for incident in ("A", "B"):
        await channel.send(v2(service), card(incident=incident, group_key=""))
    assert len(service.alerts) == 2


async def test_a_summary_is_cut_and_details_that_are_too_large_give_way(
    service: PagerDutyStandIn, channel: PagerDutyChannel, certificate: Certificate
) -> None:
    large = {"details": {"firing": "x" * 513_000}, "description": "я" * 1025}
    told = "Custom details have been removed because the original event exceeds the maximum size of 512KB"
    await channel.send(v2(service, **large), group_card())
    payload = sent(service)["payload"]
    assert payload["summary"] == "я" * 1023 + "…"
    assert payload["custom_details"] == {"error": told}
    await channel.send(v1(service, certificate, **large), group_card())
    assert sent(service)["details"] == {"error": told}


async def test_the_default_details_of_thousands_of_alerts_give_way_too(
    service: PagerDutyStandIn, channel: PagerDutyChannel
) -> None:
    [one] = group_card().alerts
    labels = one.labels | {"note": "x" * 300}
    alerts = [
        replace(one, fingerprint=str(n), labels=labels | {"instance": f"host-{n}"})
        for n in range(2500)
    ]
    text = f"route: {{receiver: r}}\nreceivers: [{{name: r, pagerduty_configs: [{{url: '{service.url}', routing_key: {ROUTING_KEY}}}]}}]\n"
    config = load_text(text, env={}).config
    [integration] = config.receivers["r"].integrations
    whole = group_card(alerts=alerts, firing=len(alerts))
    settings, failed = fill_settings(config, "pagerduty", integration.settings, whole)
    assert failed == []
    await channel.send(settings, whole)
    [error] = sent(service)["payload"]["custom_details"].values()
    assert error.startswith("Custom details have been removed")


async def test_what_pagerduty_finds_wrong_is_told_without_the_key(
    service: PagerDutyStandIn, channel: PagerDutyChannel
) -> None:
    service.allow("'payload.severity' is invalid")
    with pytest.raises(DeliveryError, match=r"400 Event object is invalid: 'payload.severity'"):
        await channel.send(v2(service, severity="high"), group_card())
    words = {"message": f"bad key {ROUTING_KEY}", "errors": []}
    service.answers = [Response.json(words, 400)]
    with pytest.raises(DeliveryError) as caught:
        await channel.send(v2(service), group_card())
    assert ROUTING_KEY not in str(caught.value) and "bad key" in str(caught.value)


@pytest.mark.parametrize(
    ("status", "second", "first"),
    [
        (429, ("temporary", "rate_limited", 7.0), ("permanent", "rate_limited", 7.0)),
        (403, ("permanent", "auth_error", 7.0), ("temporary", "rate_limited", 7.0)),
        (500, ("temporary", "server_error", 7.0), ("temporary", "server_error", 7.0)),
        (400, ("permanent", "client_error", 7.0), ("permanent", "client_error", 7.0)),
        (302, ("permanent", "client_error", 7.0), ("permanent", "client_error", 7.0)),
    ],
)
async def test_the_status_says_whether_to_try_again(
    service: PagerDutyStandIn,
    channel: PagerDutyChannel,
    certificate: Certificate,
    status: int,
    second: tuple[str, str, float],
    first: tuple[str, str, float],
) -> None:
    response = Response(status, headers={"Retry-After": "7", "Location": "http://127.0.0.1:9/"})
    assert await verdict(channel, v2(service), service, response) == second
    assert await verdict(channel, v1(service, certificate), service, response) == first


async def test_a_key_may_stand_in_a_file_and_must_not_be_empty(
    service: PagerDutyStandIn, channel: PagerDutyChannel, tmp_path: Path
) -> None:
    file = tmp_path / "key"
    file.write_text(f"{ROUTING_KEY}\n")
    settings = v2(service, routing_key=Secret(""), routing_key_file=str(file))
    await channel.send(settings, group_card())
    for path in (tmp_path / "missing", Path("/dev/null")):
        with pytest.raises(DeliveryError) as caught:
            channel.rate_limit(v2(service, routing_key=Secret(""), routing_key_file=str(path)))
        assert caught.value.permanent


def test_the_file_is_read_with_alertmanagers_defaults() -> None:
    found = integration(
        "pagerduty_configs: [{routing_key: k, client: '', details: {team: db, num_firing: n},"
        " images: [{src: s}], timeout: 5s}]"
    ).settings
    assert found.url == "https://events.pagerduty.com/v2/enqueue"
    # written as nothing: neither it nor the source that follows it gets the default text
    assert found.client == found.source == '{{ "" }}'
    assert (found.severity, found.timeout) == ("error", 5.0)
    assert found.description == '{{ template "pagerduty.default.description" . }}'
    assert found.details == {
        "team": "db",
        "num_firing": "n",
        "num_resolved": "{{ .Alerts.Resolved | len }}",
        "firing": "{{ .Alerts.Firing | toJson }}",
        "resolved": "{{ .Alerts.Resolved | toJson }}",
    }
