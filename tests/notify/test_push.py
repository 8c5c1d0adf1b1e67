"""What reaches phones by Web Push, and what becomes of a push service's refusals."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import http_ece  # type: ignore[import-untyped]
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings

import tests.support.properties  # noqa: F401  # the settings of property tests
from amproxy.config.networks import Reach
from amproxy.config.structs import HttpSettings, TlsSettings
from amproxy.config.subscriptions import Subscription
from amproxy.errors import DeliveryError
from amproxy.notify.channels.push import vapid
from amproxy.notify.channels.push.channel import MAX_PARTIAL_TRIES, PushChannel
from amproxy.notify.channels.push.encryption import MAX_BODY, MAX_TEXT, BadKeys, encrypt
from amproxy.notify.channels.push.message import build_message
from amproxy.notify.channels.push.settings import PushSettings
from amproxy.notify.message import BundleEntry, Button, Card
from amproxy.secret import Secret
from tests.support.config.configs import config, kinds, problem
from tests.support.notify.cards import HOSTILE, card, hostile_cards, resolved
from tests.support.standins.certificate import Certificate
from tests.support.standins.push import Phone, PushStandIn
from tests.support.standins.serving import Response

KEY = vapid.make_key()
PUBLIC = vapid.encode_base64url(vapid.public_bytes(vapid.parse_key(KEY).public_key()))


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return Certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def service(certificate: Certificate) -> Iterator[PushStandIn]:
    with PushStandIn(certificate.context()) as started:
        yield started
        started.assert_no_surprises()


@pytest.fixture
def ended() -> list[str]:
    return []


@pytest.fixture
async def channel(ended: list[str]) -> AsyncIterator[PushChannel]:
    async def end(gone: Subscription) -> None:
        ended.append(gone.name)

    made = PushChannel(end)
    yield made
    await made.close()


def to(certificate: Certificate, *phones: Phone, **changes: Any) -> PushSettings:
    devices = tuple(
        Subscription(id=f"d{nth}", user="alice", name=f"phone {nth}", made=1.0, **phone.fields)
        for nth, phone in enumerate(phones)
    )
    values: dict[str, Any] = {
        "made_key": Secret(KEY),
        "devices": {"alice": devices},
        "user": "alice",
        "http": HttpSettings(tls=TlsSettings(ca_file=str(certificate.file))),
        "reach": Reach(("127.0.0.0/8", "::1/128")),
    }
    return PushSettings(**values | changes)


def incident(**changes: Any) -> Card:
    buttons = [
        Button(action=name, text=text, value="", url=f"https://oncall.example.org/act/{name}")
        for name, text in (("acknowledge", "Acknowledge"), ("resolve", "Resolve"), ("snooze", "Snooze 1h"))
    ]  # fmt: skip
    return card(**{"incident": "INC", "key": "P1", "buttons": buttons} | changes)


@pytest.mark.parametrize("length", [0, 1, 200, MAX_TEXT])
def test_what_is_encrypted_another_implementation_decrypts(length: int) -> None:
    browser, auth, text = ec.generate_private_key(ec.SECP256R1()), os.urandom(16), b"x" * length
    point = vapid.encode_base64url(vapid.public_bytes(browser.public_key()))
    body = encrypt(text, point, vapid.encode_base64url(auth))
    assert http_ece.decrypt(body, private_key=browser, auth_secret=auth) == text
    assert len(body) <= MAX_BODY
    assert encrypt(text, point, vapid.encode_base64url(auth)) != body  # another salt and key


def test_keys_that_are_none_and_what_does_not_fit_are_refused() -> None:
    point = vapid.encode_base64url(
        vapid.public_bytes(ec.generate_private_key(ec.SECP256R1()).public_key())
    )
    for p256dh, auth in (("", "A" * 22), ("!", "A" * 22), (point[:-4], "A" * 22), (point, "AAAA")):
        with pytest.raises(BadKeys):
            encrypt(b"x", p256dh, auth)
    with pytest.raises(ValueError):
        encrypt(b"x" * (MAX_TEXT + 1), point, "A" * 22)


async def test_a_page_shows_the_title_first_and_brings_the_buttons(
    certificate: Certificate, service: PushStandIn, channel: PushChannel
) -> None:
    phone = service.phone(PUBLIC)
    ref = await channel.send(to(certificate, phone), incident())
    [pushed] = phone.pushed
    message = pushed.message
    assert message["title"] == "🔴 #42 HighCPU on eu1"
    assert message["body"].splitlines()[0] == "CPU is above 90 % for ten minutes"
    assert "You are on call for platform" in message["body"]
    assert message["url"] == "https://oncall.example.org/incidents/INC"
    assert [one["action"] for one in message["actions"]] == ["acknowledge", "snooze"]
    assert message["actions"][0]["url"] == "https://oncall.example.org/act/acknowledge"
    assert (pushed.urgency, pushed.ttl > 0, "quiet" in message) == ("high", True, False)
    assert service.subjects == ["https://oncall.example.org"]
    # one that is over takes the place of the first, at the push service and on the phone
    await channel.edit(to(certificate, phone), ref, resolved(incident="INC", key="P1", buttons=[]))
    over = phone.pushed[1]
    assert over.message["title"].startswith("✅ #42") and over.message["quiet"]
    assert over.message["tag"] == message["tag"] and over.topic == pushed.topic
    assert "actions" not in over.message


async def test_a_reminder_is_as_loud_as_a_page(
    certificate: Certificate, service: PushStandIn, channel: PushChannel
) -> None:
    phone = service.phone(PUBLIC)
    await channel.send(to(certificate, phone), incident(state="acknowledged"))
    assert (phone.pushed[0].urgency, "quiet" in phone.pushed[0].message) == ("high", False)


async def test_news_that_change_no_state_wake_nobody(
    certificate: Certificate, service: PushStandIn, channel: PushChannel
) -> None:
    phone = service.phone(PUBLIC)
    ref = await channel.send(to(certificate, phone), incident())
    assert await channel.edit(to(certificate, phone), ref, incident(firing=3)) == ref
    assert len(phone.pushed) == 1


async def test_each_device_gets_it_and_one_that_is_over_is_given_up(
    certificate: Certificate, service: PushStandIn, channel: PushChannel, ended: list[str]
) -> None:
    gone, well = service.phone(PUBLIC), service.phone(PUBLIC)
    gone.ended = True
    service.allow("Unregistered")
    await channel.send(to(certificate, gone, well), incident())
    assert ended == ["phone 0"] and len(well.pushed) == 1


async def test_where_the_last_device_is_over_the_page_fails_for_good(
    certificate: Certificate, service: PushStandIn, channel: PushChannel, ended: list[str]
) -> None:
    gone = service.phone(PUBLIC)
    service.phones.clear()
    service.allow("no such subscription")
    with pytest.raises(DeliveryError) as caught:
        await channel.send(to(certificate, gone), incident())
    assert caught.value.permanent and ended == ["phone 0"]
    assert "secret-" not in str(caught.value.words)


@pytest.mark.parametrize(
    ("status", "permanent", "reason"),
    [
        (429, False, "rate_limited"),
        (500, False, "server_error"),
        (503, False, "server_error"),
        (400, True, "client_error"),
        (403, True, "auth_error"),
        (413, True, "client_error"),
        (302, True, "client_error"),
    ],
)
async def test_each_status_is_temporary_or_permanent_as_it_should_be(
    certificate: Certificate,
    service: PushStandIn,
    channel: PushChannel,
    status: int,
    permanent: bool,
    reason: str,
) -> None:
    phone = service.phone(PUBLIC)
    service.answers.append(Response(status, f"no: {phone.endpoint}".encode(), {"Retry-After": "7"}))
    with pytest.raises(DeliveryError) as caught:
        await channel.send(to(certificate, phone), incident())
    assert (caught.value.permanent, caught.value.reason) == (permanent, reason)
    assert caught.value.retry_after == (None if permanent else 7.0)
    assert "secret-" not in str(caught.value.words)
    await channel.send(to(certificate, phone), incident())
    assert len(phone.pushed) == 1


async def test_a_second_attempt_spares_the_devices_that_have_it(
    certificate: Certificate, service: PushStandIn, channel: PushChannel
) -> None:
    well, troubled = service.phone(PUBLIC), service.phone(PUBLIC)
    person, troubled.trouble = to(certificate, well, troubled), 503
    with pytest.raises(DeliveryError) as caught:
        await channel.send(person, incident())
    assert not caught.value.permanent
    troubled.trouble = 0
    await channel.send(person, incident())
    assert [len(well.pushed), len(troubled.pushed)] == [1, 1]


async def test_a_service_in_trouble_does_not_keep_a_page_open_that_somebody_has(
    certificate: Certificate, service: PushStandIn, channel: PushChannel
) -> None:
    well, troubled = service.phone(PUBLIC), service.phone(PUBLIC)
    person, troubled.trouble = to(certificate, well, troubled), 503
    for _ in range(MAX_PARTIAL_TRIES - 1):
        with pytest.raises(DeliveryError):
            await channel.send(person, incident())
    await channel.send(person, incident())
    assert len(well.pushed) == 1


@pytest.mark.parametrize("endpoint", ["http://localhost:1/x", "https://127.0.0.1:1/x", "https://[::1]:1/x", "https://169.254.169.254/x", "https://localhost:1/x"])  # fmt: skip
async def test_addresses_in_this_network_are_not_called(
    certificate: Certificate, channel: PushChannel, endpoint: str
) -> None:
    hostile = Phone(endpoint, PUBLIC)
    with pytest.raises(DeliveryError) as caught:
        await channel.send(to(certificate, hostile, reach=Reach()), incident())
    assert caught.value.permanent


async def test_the_key_of_the_file_goes_before_the_stored_one(
    certificate: Certificate, service: PushStandIn, channel: PushChannel, tmp_path: Path
) -> None:
    own = ec.generate_private_key(ec.SECP256R1())
    pem = own.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    ).decode()
    (tmp_path / "key").write_text(pem)
    phone = service.phone(vapid.encode_base64url(vapid.public_bytes(own.public_key())))
    for own_key in ({"vapid_key": Secret(pem)}, {"vapid_key_file": str(tmp_path / "key")}):
        await channel.send(to(certificate, phone, **own_key), incident())
    assert len(phone.pushed) == 2
    with pytest.raises(DeliveryError) as caught:
        await channel.send(to(certificate, phone, vapid_key=Secret("hunter2")), incident())
    assert caught.value.permanent and "hunter2" not in str(caught.value.words)


@settings(max_examples=10)
@given(hostile_cards)
def test_whatever_alerts_say_it_fits_into_a_push(shown: Card) -> None:
    assert len(build_message(shown, MAX_TEXT).text) <= MAX_TEXT


def test_a_push_that_is_too_long_loses_its_text_before_its_buttons() -> None:
    long = incident(title="ж" * 5000, text="ж" * 5000, why=HOSTILE * 50, url="https://x.example/" + "u" * 900)  # fmt: skip
    assert b'"acknowledge"' in build_message(long, 1800).text
    assert len(build_message(long, 1800).text) <= 1800


def test_a_bundle_names_its_incidents() -> None:
    entries = [
        BundleEntry(incident=f"I{n}", number=n, state="triggered", title=f"Disk {n}", url="https://x")
        for n in range(1, 12)
    ]  # fmt: skip
    shown = build_message(incident(kind="bundle", entries=entries, incident=""), MAX_TEXT)
    assert b"#1 Disk 1" in shown.text and "… and 5 more".encode() in shown.text
    assert shown.urgency == "high"


FILE = """\
users: [{name: alice, %s}]
schedules: [{name: s, layers: [{users: [alice]}]}]
escalation_policies: [{name: p, steps: [{notify: {schedule: s}}]}]
receivers: [{name: d, oncall_configs: [{escalation_policy: p}]}]
route: {receiver: d}
"""


def test_push_is_a_contact_without_an_address() -> None:
    for named in (
        "contacts: {push: true}",
        "notification_rules: {default: [{notify: push}]}",
        "contacts: {console: here}, notices: {leaving: push}",
    ):
        assert config(FILE % named).users["alice"].contacts["push"] == "alice"
    assert "push" not in config(FILE % "contacts: {console: here}").users["alice"].contacts
    assert "push: true" in problem(FILE % "contacts: {push: '+491701234567'}").message


def test_check_warns_of_a_person_whom_push_alone_reaches() -> None:
    assert kinds(FILE % "contacts: {push: true}") == ["only_push"]
    rules = "notification_rules: {default: [{notify: push}, {wait: 5m}, {notify: console}]}"
    assert kinds(FILE % ("contacts: {console: here}, " + rules)) == []


def test_a_key_that_is_none_is_refused_with_its_place() -> None:
    text = "global: {push_vapid_key: hunter2}\n" + FILE % "contacts: {console: here}"
    found = problem(text)
    assert "P-256" in found.message and found.line == 1 and "hunter2" not in found.message
    assert config(text.replace("hunter2", KEY)).users
