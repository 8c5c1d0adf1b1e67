"""Groups to incident.io: Alertmanager's payload in the form that alert sources take."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from amproxy.config.loader import load_text
from amproxy.errors import ConfigError, DeliveryError
from amproxy.model import Alert
from amproxy.notify.alertmanager_payload import build_payload
from amproxy.notify.channels.incidentio.channel import MAX_BODY, IncidentioChannel
from amproxy.notify.channels.incidentio.settings import IncidentioSettings
from amproxy.secret import Secret
from tests.support.notify.cards import card
from tests.support.notify.chats import BY_NAME, bearer, sent
from tests.support.notify.groups import group_card, integration
from tests.support.standins.chats import INCIDENTIO_TOKEN, IncidentioStandIn
from tests.support.standins.serving import Response


def alerts(count: int, size: int) -> list[Alert]:
    return [
        Alert(
            fingerprint=str(n),
            labels={"n": str(n)},
            annotations={"a": "<" * size + str(n)},
            starts_ns=1,
        )
        for n in range(count)
    ]


@pytest.mark.parametrize("over", [False, True])
async def test_a_group_is_the_webhooks_payload_in_version_1_with_metadata(over: bool) -> None:
    one = group_card(over=over, truncated=3)
    payload = json.loads(build_payload(one))
    assert await sent("incidentio", one) == payload | {"version": "1", "truncatedAlerts": 3}
    metadata = {"team": "db", "a": ""}
    body = await sent("incidentio", one, metadata=metadata)
    assert body == payload | {"version": "1", "truncatedAlerts": 3, "metadata": metadata}
    assert list(body)[-1] == "metadata"


async def test_an_incident_has_no_keys_that_incident_io_does_not_know() -> None:
    assert "incident" not in await sent("incidentio", card())
    assert "incidents" not in await sent("incidentio", card(kind="bundle"))


async def test_what_is_too_large_goes_out_with_its_first_alert_alone() -> None:
    # each "<" is six bytes on the wire
    whole = await sent("incidentio", group_card(alerts=alerts(4, 20_000)))
    assert len(whole["alerts"]) == 4
    cut = await sent("incidentio", group_card(alerts=alerts(4, 30_000)))
    assert [one["labels"]["n"] for one in cut["alerts"]] == ["0"]
    assert cut["truncatedAlerts"] == 0 and cut["status"] == "firing"


async def test_what_is_still_too_large_is_sent_and_its_refusal_told() -> None:
    with IncidentioStandIn() as service:
        channel = IncidentioChannel()
        service.allow("too large")
        large = group_card(alerts=alerts(2, 100_000))
        with pytest.raises(DeliveryError, match="429 too large") as caught:
            await channel.send(BY_NAME["incidentio"].settings(service), large)
        assert not caught.value.permanent
        assert len(service.requests[0].body) > MAX_BODY
        await channel.close()
        service.assert_no_surprises()


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"message": "m", "error": "e", "errors": ["a", "b"]}, "incident.io: 422 m: e: a, b"),
        ({"errors": [{"code": 1}]}, "incident.io: 422 {'code': 1}"),
        ({"message": 1}, "incident.io: 422"),
        ([], "incident.io: 422"),
    ],
)
async def test_its_words_about_what_is_wrong_are_told(body: Any, told: str) -> None:
    with IncidentioStandIn() as service:
        channel = IncidentioChannel()
        service.answers = [Response.json(body, 422)]
        with pytest.raises(DeliveryError) as caught:
            await channel.send(BY_NAME["incidentio"].settings(service), group_card())
        await channel.close()
    assert str(caught.value) == told


async def test_address_and_token_may_stand_in_files(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(f"{INCIDENTIO_TOKEN}\n")
    with IncidentioStandIn() as service:
        (tmp_path / "url").write_text(f"{service.url}\n")
        entry = f"url_file: {tmp_path}/url, alert_source_token_file: {tmp_path}/token, timeout: 5s"
        read = integration(f"incidentio_configs: [{{{entry}}}]").settings
        channel = IncidentioChannel()
        await channel.send(read, group_card())
        (tmp_path / "url").unlink()
        with pytest.raises(DeliveryError, match="url_file cannot be read"):
            await channel.send(read, group_card())
        await channel.close()
        assert len(service.taken) == 1


def test_the_file_is_read_with_alertmanagers_defaults() -> None:
    found = integration(
        "incidentio_configs: [{url: 'https://h/', alert_source_token: t, max_alerts: 7,"
        " timeout: 90s, metadata: {team: db, n: 1, none: null}}]",
        "global: {http_config: {authorization: {type: Other, credentials: c}}}\n",
    )
    assert found.send_resolved
    assert found.settings == IncidentioSettings(
        url="https://h/",
        max_alerts=7,
        timeout=90.0,
        metadata={"team": "db", "n": "1", "none": ""},
        http=bearer("t"),
    )
    assert found.settings.http.authorization_credentials == Secret("t")


@pytest.mark.parametrize(
    ("entry", "fine"),
    [
        ("alert_source_token: t", True),
        ("http_config: {authorization: {credentials: c}}", True),
        ("http_config: {bearer_token: c}", True),
        ("alert_source_token: t, http_config: {follow_redirects: false}", True),
        ("max_alerts: 1", True),  # global may say who asks
        ("http_config: {}", False),
        ("alert_source_token: t, http_config: {authorization: {credentials: c}}", False),
        ("alert_source_token_file: /dev/null, http_config: {bearer_token: c}", False),
    ],
)
def test_who_asks_must_be_told_once(entry: str, fine: bool) -> None:
    entry = f"incidentio_configs: [{{url: 'https://h/', {entry}}}]"
    text = f"route: {{receiver: r}}\nreceivers: [{{name: r, {entry}}}]\n"
    if fine:
        load_text(text, env={})
        return
    with pytest.raises(ConfigError, match="needs an alert_source_token or"):
        load_text(text, env={})
