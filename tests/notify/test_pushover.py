"""Notifications by Pushover, against a stand-in that refuses what Pushover refuses."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from amproxy.config.structs import HttpSettings, TlsSettings
from amproxy.errors import DeliveryError
from amproxy.notify.channels.pushover.channel import PushoverChannel
from amproxy.notify.channels.pushover.settings import PUSHOVER, PushoverSettings
from amproxy.secret import Secret
from tests.support.notify.cards import card, resolved
from tests.support.notify.groups import group_card, integration, verdict
from tests.support.standins.certificate import Certificate
from tests.support.standins.pushover import TOKEN, USER, PushoverStandIn
from tests.support.standins.serving import Response


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return Certificate(tmp_path_factory.mktemp("tls"), "DNS:api.pushover.net")


@pytest.fixture
def service(certificate: Certificate) -> Iterator[PushoverStandIn]:
    with PushoverStandIn(certificate.context()) as started:
        yield started
        started.assert_no_surprises()


@pytest.fixture
async def channel() -> AsyncIterator[PushoverChannel]:
    made = PushoverChannel()
    yield made
    await made.close()


@pytest.fixture
def written(service: PushoverStandIn, certificate: Certificate) -> PushoverSettings:
    return PushoverSettings(
        user_key=Secret(USER),
        token=Secret(TOKEN),
        title="[FIRING:1] DiskFull",
        message="sda1 is full",
        url="http://am.example.org/#/alerts?receiver=db&x=1",
        priority="2",
        http=HttpSettings(proxy_url=service.url, tls=TlsSettings(ca_file=str(certificate.file))),
    )


def changed(settings: PushoverSettings, **changes: Any) -> PushoverSettings:
    return PushoverSettings(
        **{name: getattr(settings, name) for name in settings.__struct_fields__} | changes
    )


async def test_a_group_is_an_emergency_that_repeats(
    service: PushoverStandIn, channel: PushoverChannel, written: PushoverSettings
) -> None:
    await channel.send(written, group_card())
    assert service.messages == [
        {
            "token": TOKEN,
            "user": USER,
            "title": "[FIRING:1] DiskFull",
            "message": "sda1 is full",
            "url": "http://am.example.org/#/alerts?receiver=db&x=1",
            "url_title": "",
            "priority": "2",
            "retry": "60",
            "expire": "3600",
            "device": "",
            "sound": "",
        }
    ]
    (request,) = service.taken
    assert (request.body, request.headers["content-type"]) == (b"", "text/plain")


async def test_all_that_the_file_says_has_its_effect(
    service: PushoverStandIn, channel: PushoverChannel, written: PushoverSettings
) -> None:
    wanted = {"url_title": "Look & see", "device": "a,b", "sound": "siren"}
    numbers = {"retry": 90.9, "expire": 120.0, "ttl": 3600.0}
    found = changed(written, **wanted, **numbers, message="a + b ü <b>", html=True)
    await channel.send(found, group_card())
    wanted |= {"retry": "90", "expire": "120", "ttl": "3600", "html": "1", "message": "a + b ü <b>"}
    assert {key: service.messages[0].get(key) for key in wanted} == wanted
    await channel.send(changed(written, monospace=True, ttl=0.5), group_card())
    assert service.messages[1]["monospace"] == "1" and "ttl" not in service.messages[1]


async def test_long_texts_are_cut_and_an_empty_message_has_a_word(
    service: PushoverStandIn, channel: PushoverChannel, written: PushoverSettings
) -> None:
    long = changed(written, title="я" * 251, message="я" * 1025, url="u" * 513)
    await channel.send(long, group_card())
    message = service.messages[0]
    assert (message["title"], message["message"], message["url"]) == (
        "я" * 249 + "…",
        "я" * 1023 + "…",
        "u" * 511 + "…",
    )
    await channel.send(changed(written, message="\n \n"), group_card())
    assert service.messages[1]["message"] == "(no details)"


async def test_an_incident_rings_once_and_its_end_is_quiet(
    service: PushoverStandIn, channel: PushoverChannel, written: PushoverSettings
) -> None:
    empty = changed(written, title="", message="", url="", priority="")
    ref = await channel.send(empty, card())
    ref = await channel.edit(empty, ref, card(state="acknowledged"))
    await channel.edit(empty, ref, resolved())
    silent = changed(empty, send_resolved=False)
    assert await channel.edit(silent, {"state": "open"}, resolved()) == {"state": "open"}
    shown = [(one["title"], one["priority"], one["url"]) for one in service.messages]
    url = "https://oncall.example.org/incidents/INC"
    assert shown == [("HighCPU on eu1", "2", url), ("HighCPU on eu1", "0", url)]


@pytest.mark.parametrize(
    ("status", "wanted"),
    [
        (429, ("permanent", "rate_limited", None)),
        (500, ("temporary", "server_error", None)),
        (400, ("permanent", "client_error", None)),
    ],
)
async def test_only_faults_of_the_server_are_tried_again(
    service: PushoverStandIn,
    channel: PushoverChannel,
    written: PushoverSettings,
    status: int,
    wanted: tuple[str, str, None],
) -> None:
    assert await verdict(channel, written, service, Response(status)) == wanted


async def test_what_pushover_finds_wrong_is_told_without_the_keys(
    service: PushoverStandIn, channel: PushoverChannel, written: PushoverSettings
) -> None:
    service.allow("application token is invalid")
    bad = Secret("wrong-token-of-somebody")
    with pytest.raises(DeliveryError, match="application token is invalid"):
        await channel.send(changed(written, token=bad), group_card())
    service.answers = [Response(400, TOKEN.encode())]
    with pytest.raises(DeliveryError) as caught:
        await channel.send(written, group_card())
    assert TOKEN not in str(caught.value)


async def test_keys_may_stand_in_files(
    service: PushoverStandIn,
    channel: PushoverChannel,
    written: PushoverSettings,
    tmp_path: Path,
) -> None:
    files = {"token_file": tmp_path / "token", "user_key_file": tmp_path / "user"}
    files["token_file"].write_text(f"{TOKEN}\n")
    files["user_key_file"].write_text(f" {USER}\n")
    none = {"token": Secret(""), "user_key": Secret("")}
    found = changed(written, **none, **{key: str(path) for key, path in files.items()})
    await channel.send(found, group_card())
    assert len(service.messages) == 1


def test_the_file_is_read_with_alertmanagers_defaults() -> None:
    found = integration(
        "pushover_configs: [{send_resolved: false, user_key: u, token: t, url: '', retry: 2m, ttl: 1h, html: true}]"
    ).settings
    assert found.send_resolved is False
    assert (found.retry, found.expire, found.ttl) == (120.0, 3600.0, 3600.0)
    assert (found.url, found.title) == ('{{ "" }}', '{{ template "pushover.default.title" . }}')
    # values of alerts are escaped in a message that is HTML, and nowhere else
    assert PUSHOVER.is_html(found, "message")
    assert not PUSHOVER.is_html(found, "title")
    assert not PUSHOVER.is_html(changed(found, html=False), "message")
