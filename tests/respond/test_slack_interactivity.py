"""Presses from Slack: who may send them, what they say, how they are answered."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest

from amproxy.errors import DeliveryError
from amproxy.notify.channels.slack.channel import SlackChannel
from amproxy.notify.channels.slack.presses import (
    BadInteractivityRequest,
    BadSlackSignature,
    parse_interactivity,
    send_reply,
    verify_signature,
)
from amproxy.notify.channels.slack.settings import SlackSettings
from amproxy.notify.message import Button, Card, Press
from amproxy.secret import Secret
from tests.support.standins.slack import SlackStandIn

NOW = 1_767_603_600.0
BODY = b"payload=%7B%7D"


@pytest.fixture
def slack() -> Iterator[SlackStandIn]:
    with SlackStandIn() as standin:
        yield standin
        standin.assert_no_surprises()


def form(payload: Any) -> bytes:
    return urlencode({"payload": json.dumps(payload)}).encode()


def pressed(**changes: Any) -> dict[str, Any]:
    action = {"type": "button", "action_id": "acknowledge", "value": "acknowledge:INC:1"}
    return {
        "type": "block_actions",
        "user": {"id": "U1", "name": "bob"},
        "actions": [action],
        "response_url": "https://x.example/",
    } | changes


async def test_a_button_of_a_message_comes_back_as_a_press(slack: SlackStandIn) -> None:
    slack.add_channel("C1")
    channel = SlackChannel()
    settings = SlackSettings(app_url=slack.app_url, app_token=Secret(slack.token), channel="C1")
    button = Button(action="acknowledge", text="Acknowledge", value="acknowledge:INC:1")
    ref = await channel.send(
        settings, Card(kind="incident", title="T", state="triggered", buttons=[button], at=NOW)
    )
    await channel.close()
    body, headers = slack.press_request(
        ref["channel"], ref["ts"], "Acknowledge", "U012AB3CD", name="bob"
    )
    verify_signature(slack.secret, headers, body, float(headers["X-Slack-Request-Timestamp"]))
    assert parse_interactivity(body) == [
        Press(
            value="acknowledge:INC:1",
            channel="slack",
            account="U012AB3CD",
            name="bob",
            reply_to=slack.response_url,
        )
    ]


@pytest.mark.parametrize("seconds", [-300, 0, 300])
def test_a_signature_within_five_minutes_holds(seconds: int) -> None:
    verify_signature(SlackStandIn().secret, SlackStandIn().sign(BODY, NOW + seconds), BODY, NOW)


@pytest.mark.parametrize("seconds", [-301, 301, 10**9])
def test_a_signature_of_another_time_is_refused(seconds: int) -> None:
    with pytest.raises(BadSlackSignature):
        verify_signature(SlackStandIn().secret, SlackStandIn().sign(BODY, NOW + seconds), BODY, NOW)


def test_a_changed_body_or_another_secret_is_refused() -> None:
    headers = SlackStandIn().sign(BODY, NOW)
    for secret, body in ((SlackStandIn().secret, BODY + b"x"), ("another", BODY)):
        with pytest.raises(BadSlackSignature):
            verify_signature(secret, headers, body, NOW)


def test_without_a_signing_secret_nobody_gets_in() -> None:
    with pytest.raises(BadSlackSignature):
        verify_signature("", SlackStandIn(secret="").sign(BODY, NOW), BODY, NOW)


@pytest.mark.parametrize(
    "changes",
    [
        {"X-Slack-Request-Timestamp": ""},
        {"X-Slack-Request-Timestamp": "soon"},
        {"X-Slack-Request-Timestamp": "-1"},
        {"X-Slack-Request-Timestamp": "٣"},
        {"X-Slack-Request-Timestamp": "9" * 400},
        {"X-Slack-Signature": ""},
        {"X-Slack-Signature": "v0="},
        {"X-Slack-Signature": "v0=é"},
    ],
)
def test_missing_and_nonsensical_headers_are_refused(changes: dict[str, str]) -> None:
    with pytest.raises(BadSlackSignature):
        verify_signature(SlackStandIn().secret, SlackStandIn().sign(BODY, NOW) | changes, BODY, NOW)
    with pytest.raises(BadSlackSignature):
        verify_signature(SlackStandIn().secret, {}, BODY, NOW)


def test_a_wrapped_secret_and_headers_in_any_case_will_do() -> None:
    standin = SlackStandIn()
    headers = {name.lower(): value for name, value in standin.sign(BODY, NOW).items()}
    verify_signature(Secret(standin.secret), headers, BODY, NOW)


def test_other_kinds_and_buttons_without_a_value_are_ignored() -> None:
    assert parse_interactivity(form(pressed(type="view_submission"))) == []
    assert (
        parse_interactivity(
            form(
                pressed(
                    actions=[
                        {"type": "button", "action_id": "open"},
                        {"type": "datepicker", "value": "x"},
                    ]
                )
            )
        )
        == []
    )


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"payload",
        b"payload=",
        b"payload=nonsense",
        b"other=1",
        b"\xff\xfe",
        b"payload=%FF",
        form([]),
        form(None),
        form({}),
        form(pressed(user=None)),
        form(pressed(user={})),
        form(pressed(actions=None)),
        form(pressed(actions=["x"])),
        b"payload=" + b"[" * 100_000,
        b"payload=" + b"&".join(b"a=1" for _ in range(1000)),
    ],
)
def test_what_is_no_press_is_a_bad_request(body: bytes) -> None:
    with pytest.raises(BadInteractivityRequest):
        parse_interactivity(body)


async def test_the_one_who_pressed_is_told_and_nobody_is_pinged(slack: SlackStandIn) -> None:
    await send_reply(slack.response_url, "<!channel> done")
    assert slack.replies == [
        {"response_type": "ephemeral", "replace_original": False, "text": "&lt;!channel&gt; done"}
    ]


async def test_a_refused_reply_is_an_error_without_the_address(slack: SlackStandIn) -> None:
    slack.answer(404, b"used_url")
    with pytest.raises(DeliveryError) as caught:
        await send_reply(slack.response_url, "done")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "nonsense",
        "http://192.0.2.1/x",
        "http://example.org/",
        "file:///etc/passwd",
        "http://[",
        "https://",
    ],
)
async def test_only_https_and_loopback_are_answered(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    called: list[str] = []

    async def call(_client: object, _who: str, url: str, **_: Any) -> None:
        called.append(url)

    monkeypatch.setattr("amproxy.notify.channels.slack.presses.http.send_request", call)
    await send_reply(url, "done")
    assert called == []
