"""The webhook out, against a server that takes only what Alertmanager sends."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from amproxy import __version__
from amproxy.config.structs import Global, HttpSettings, TlsSettings
from amproxy.errors import DeliveryError
from amproxy.model import Alert
from amproxy.notify.channels.http_settings import settings_for_url
from amproxy.notify.channels.webhook.channel import WebhookChannel
from amproxy.notify.channels.webhook.settings import WebhookSettings
from amproxy.notify.message import Card
from amproxy.secret import Secret
from tests.support.config.configs import fault
from tests.support.standins.webhook import Answer, WebhookServer
from tests.support.waiting import PATIENCE


@pytest.fixture
def server() -> Iterator[WebhookServer]:
    with WebhookServer() as started:
        yield started
        started.assert_no_surprises()


@pytest.fixture
async def channel() -> AsyncIterator[WebhookChannel]:
    made = WebhookChannel()
    yield made
    await made.close()


def card(**changes: Any) -> Card:
    alert = Alert(fingerprint="f", labels={"alertname": "<Disk & co>"}, starts_ns=1)
    return Card(
        **(
            {
                "kind": "group",
                "title": "Disk",
                "state": "firing",
                "receiver": "a.b",
                "alerts": [alert],
                "at": 1_800_000_000.0,
            }
            | changes
        )
    )


def settings(
    server: WebhookServer, http: dict[str, Any] | None = None, **changes: Any
) -> WebhookSettings:
    return WebhookSettings(
        **({"url": Secret(server.url), "http": HttpSettings(**(http or {}))} | changes)
    )


def refusal(caught: pytest.ExceptionInfo[DeliveryError]) -> tuple[bool, str, float | None]:
    return caught.value.permanent, caught.value.reason, caught.value.retry_after


async def test_posts_alertmanagers_payload_under_our_own_name(
    server: WebhookServer, channel: WebhookChannel
) -> None:
    await channel.send(settings(server), card())
    (request,) = server.requests
    assert request.payload["receiver"] == "a\\.b"
    assert request.headers["user-agent"] == f"amproxy/{__version__}"
    assert "gzip" not in request.headers.get("accept-encoding", "")


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
async def test_any_2xx_is_success(
    server: WebhookServer, channel: WebhookChannel, status: int
) -> None:
    server.answers = [Answer(status)]
    assert await channel.send(settings(server), card()) == {"state": "firing"}


@pytest.mark.parametrize(
    "answer",
    [
        Answer(body=b"<html>"),
        Answer(body=b"cut", length=100),
        Answer(headers={"Content-Encoding": "gzip"}, body=b"x"),
    ],
)
async def test_the_body_of_a_success_does_not_matter(
    server: WebhookServer, channel: WebhookChannel, answer: Answer
) -> None:
    server.answers = [answer]
    await channel.send(settings(server), card())
    assert len(server.requests) == 1


async def test_a_success_whose_body_never_ends_is_not_waited_for(
    server: WebhookServer, channel: WebhookChannel
) -> None:
    server.answers = [Answer(hang=600, body=b"late")]
    async with asyncio.timeout(PATIENCE):
        await channel.send(settings(server), card())


async def test_the_connection_is_used_again(server: WebhookServer, channel: WebhookChannel) -> None:
    for _ in range(3):
        await channel.send(settings(server), card())
    assert (len(server.requests), server.connections) == (3, 1)


@pytest.mark.parametrize(
    ("status", "wanted"),
    [
        (500, (False, "server_error", None)),
        (503, (False, "server_error", None)),
        (599, (False, "server_error", None)),
        (408, (False, "timeout", None)),
        (425, (False, "timeout", None)),
        (429, (False, "rate_limited", None)),
        (400, (True, "client_error", None)),
        (404, (True, "client_error", None)),
        (410, (True, "client_error", None)),
        (401, (True, "auth_error", None)),
        (403, (True, "auth_error", None)),
    ],
)
async def test_each_answer_means_what_the_contract_says(
    server: WebhookServer,
    channel: WebhookChannel,
    status: int,
    wanted: tuple[bool, str, float | None],
) -> None:
    server.answers = [Answer(status)]
    with pytest.raises(DeliveryError, match=str(status)) as caught:
        await channel.send(settings(server), card())
    assert refusal(caught) == wanted


@pytest.mark.parametrize("status", [429, 408, 503])
async def test_retry_after_is_honoured(
    server: WebhookServer, channel: WebhookChannel, status: int
) -> None:
    server.answers = [Answer(status, headers={"Retry-After": "17"})]
    with pytest.raises(DeliveryError) as caught:
        await channel.send(settings(server), card())
    assert caught.value.retry_after == 17


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_a_failure_and_is_not_followed(
    server: WebhookServer, channel: WebhookChannel, status: int
) -> None:
    server.answers = [Answer(status, headers={"Location": server.url + "/elsewhere"})]
    with pytest.raises(DeliveryError) as caught:
        await channel.send(settings(server), card())
    assert refusal(caught) == (True, "client_error", None)
    assert len(server.requests) == 1


async def test_a_connection_lost_after_sending_may_have_delivered(
    server: WebhookServer, channel: WebhookChannel
) -> None:
    server.answers = [Answer(drop=True)]
    with pytest.raises(DeliveryError) as caught:
        await channel.send(settings(server), card())
    assert (caught.value.ambiguous, *refusal(caught)) == (True, False, "network", None)


async def test_nobody_listening_is_temporary_and_not_ambiguous(channel: WebhookChannel) -> None:
    with WebhookServer() as gone:
        pass
    with pytest.raises(DeliveryError) as caught:
        await channel.send(settings(gone), card())
    assert (caught.value.ambiguous, *refusal(caught)) == (False, False, "network", None)


async def test_the_timeout_of_the_file_holds(
    server: WebhookServer, channel: WebhookChannel
) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = Secret(f"http://127.0.0.1:{silent.getsockname()[1]}/")
        async with asyncio.timeout(PATIENCE):
            with pytest.raises(DeliveryError) as caught:
                await channel.send(settings(server, url=url, timeout=0.3), card())
    assert (caught.value.ambiguous, *refusal(caught)) == (True, False, "timeout", None)


def basic(text: str) -> str:
    return "Basic " + base64.b64encode(text.encode()).decode()


async def test_user_and_password_in_the_url_become_basic_auth_and_the_query_stays(
    server: WebhookServer, channel: WebhookChannel
) -> None:
    url = server.url.replace("//", "//user:p%40ss@") + "?x=1&y=%20z"
    await channel.send(settings(server, url=Secret(url)), card())
    assert server.requests[0].headers["authorization"] == basic("user:p@ss")
    assert server.requests[0].path == "/hook?x=1&y=%20z"
    assert "user" not in server.requests[0].headers["host"]


async def test_basic_auth_of_http_config_is_sent_with_its_file_read_anew(
    server: WebhookServer, channel: WebhookChannel, tmp_path: Path
) -> None:
    file = tmp_path / "password"
    given = settings(server, {"basic_auth_username": "am", "basic_auth_password_file": str(file)})
    for password in ("old", "new:ü"):
        file.write_text(password + "\n", "utf-8")
        await channel.send(given, card())
    assert [request.headers["authorization"] for request in server.requests] == [
        basic("am:old"),
        basic("am:new:ü"),
    ]


async def test_authorization_and_headers_of_http_config_are_sent(
    server: WebhookServer, channel: WebhookChannel
) -> None:
    http = {
        "authorization_type": "Token",
        "authorization_credentials": Secret("tok123"),
        "http_headers": {"X-Team": ("a",)},
    }
    await channel.send(settings(server, http), card())
    headers = server.requests[0].headers
    assert (headers["authorization"], headers["x-team"], headers["content-type"]) == (
        "Token tok123",
        "a",
        "application/json",
    )


async def test_two_receivers_that_differ_in_their_password_alone_keep_their_own(
    server: WebhookServer, channel: WebhookChannel
) -> None:
    for password in ("one", "two"):
        await channel.send(
            settings(
                server, {"basic_auth_username": "am", "basic_auth_password": Secret(password)}
            ),
            card(),
        )
    assert [request.headers["authorization"] for request in server.requests] == [
        basic("am:one"),
        basic("am:two"),
    ]


async def test_credentials_that_cannot_be_read_are_an_auth_error(
    server: WebhookServer, channel: WebhookChannel, tmp_path: Path
) -> None:
    with pytest.raises(DeliveryError) as caught:
        await channel.send(
            settings(server, {"authorization_credentials_file": str(tmp_path / "none")}), card()
        )
    assert refusal(caught) == (True, "auth_error", None)
    assert server.requests == []


async def test_the_url_may_stand_in_a_file(
    server: WebhookServer, channel: WebhookChannel, tmp_path: Path
) -> None:
    (tmp_path / "url").write_text(server.url + "\n")
    await channel.send(settings(server, url=Secret(""), url_file=str(tmp_path / "url")), card())
    with pytest.raises(DeliveryError) as caught:
        await channel.send(
            settings(server, url=Secret(""), url_file=str(tmp_path / "none")), card()
        )
    assert caught.value.permanent
    assert len(server.requests) == 1


async def test_a_proxy_gets_the_request_unless_no_proxy_names_the_host(
    server: WebhookServer, channel: WebhookChannel
) -> None:
    proxied = {"proxy_url": f"http://127.0.0.1:{server.port}"}
    await channel.send(settings(server, proxied, url=Secret("http://hooks.test/x")), card())
    assert server.requests[0].path == "http://hooks.test/x"
    await channel.send(settings(server, proxied | {"no_proxy": "10.0.0.0/8"}), card())
    assert server.requests[1].path == "/hook"


@pytest.mark.parametrize(
    ("no_proxy", "host", "direct"),
    [
        ("example.org", "example.org", True),
        ("example.org", "hooks.example.org", True),
        ("example.org", "badexample.org", False),
        (".example.org", "example.org", False),
        (".example.org", "hooks.example.org", True),
        ("other.test, example.org:8080", "example.org:8080", True),
        ("example.org:8080", "example.org", False),
        ("10.0.0.0/8", "10.1.2.3", True),
        ("10.0.0.0/8", "11.1.2.3", False),
        ("nonsense/8", "10.1.2.3", False),
        ("10.1.2.3", "10.1.2.3", True),
        ("fd00::/8", "[fd00::1]", True),
        ("fd00::1", "[fd00::1]", True),
        ("*", "anything.test", True),
        ("example.org", "localhost", True),
        ("example.org", "127.0.0.2", True),
        ("", "127.0.0.2", False),
    ],
)
def test_no_proxy_is_read_as_go_reads_it(no_proxy: str, host: str, direct: bool) -> None:
    http = HttpSettings(proxy_url="http://proxy.test", no_proxy=no_proxy)
    assert (settings_for_url(http, f"http://{host}/").proxy_url == "") is direct


async def test_certificates_that_cannot_be_used_are_refused_for_good(
    server: WebhookServer, channel: WebhookChannel
) -> None:
    with pytest.raises(DeliveryError, match="certificates") as caught:
        await channel.send(settings(server, {"tls": TlsSettings(ca="nonsense")}), card())
    assert caught.value.permanent


@pytest.mark.parametrize(
    "url",
    [
        "",
        "hooks",
        "ftp://x/",
        "http://",
        "http://[::1",
        "mailto:hook-secret@x",
        "http://x:99999/hook-secret",
    ],
)
def test_an_address_that_is_no_url_is_refused_without_being_shown(url: str) -> None:
    assert fault({}, "webhook", url) == "it is no http or https URL"


async def test_no_error_shows_the_url(server: WebhookServer, channel: WebhookChannel) -> None:
    server.answers = [Answer(404, body=b"/hook"), Answer(500), Answer(drop=True)]
    for _ in range(3):
        with pytest.raises(DeliveryError) as caught:
            await channel.send(settings(server, url=Secret(server.url + "?key=s3cret")), card())
        assert "s3cret" not in f"{caught.value!r}"
        assert "/hook" not in str(caught.value)


async def test_a_person_is_reached_over_the_settings_of_global(
    server: WebhookServer, channel: WebhookChannel
) -> None:
    global_ = Global(
        channels={
            "webhook": WebhookSettings(
                timeout=7, http=HttpSettings(http_headers={"X-From": ("global",)})
            )
        }
    )
    person = channel.person(global_, server.url)
    assert server.url not in repr(person)
    await channel.send(person, card(kind="incident", incident="i1", number=42, state="triggered"))
    assert server.requests[0].headers["x-from"] == "global"
    assert server.requests[0].payload["incident"]["number"] == 42


async def test_a_new_state_is_posted_anew_and_the_same_state_is_not(
    server: WebhookServer, channel: WebhookChannel
) -> None:
    ref = await channel.send(settings(server), card(kind="incident", state="triggered"))
    ref = await channel.edit(settings(server), ref, card(kind="incident", state="triggered"))
    assert len(server.requests) == 1
    ref = await channel.edit(settings(server), ref, card(kind="incident", state="resolved"))
    assert [request.payload["incident"]["state"] for request in server.requests] == [
        "triggered",
        "resolved",
    ]
    assert await channel.edit(settings(server), ref, card(kind="incident", state="resolved")) == ref
    assert len(server.requests) == 2
