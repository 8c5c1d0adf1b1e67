"""OAuth 2 and proxies of an http_config, against a stand-in that is target, token server and proxy."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any
from urllib.parse import parse_qs

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from amproxy.config.structs import HttpSettings
from amproxy.errors import DeliveryError
from amproxy.notify.channels.http import HttpClients, send_request
from tests.support.config.configs import config
from tests.support.standins.serving import Request, Response, Server


class Standin:
    """Tokens `t1`, `t2` … at /token; elsewhere 200 for the latest token, else 401."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.answers: list[Response] = []  # of /token, before the usual one
        self.expires: object = 3600
        self.form_only = False
        self.revoked: set[str] = set()
        self.issued = 0
        self.server = Server(self.answer)

    async def answer(self, request: Request) -> Response:
        self.requests.append(request)
        if not request.path.endswith("/token"):
            given = request.headers.get("authorization", "")
            wanted = f"Bearer t{self.issued}"
            return Response(200 if given == wanted and given not in self.revoked else 401)
        if self.answers:
            return self.answers.pop(0)
        if self.form_only and b"client_secret=" not in request.body:
            return Response.json({"error": "invalid_client"}, 401)
        self.issued += 1
        token = f"t{self.issued}"
        return Response.json(
            {"access_token": token, "token_type": "bearer", "expires_in": self.expires}
        )

    def came(self, end: str) -> list[Request]:
        return [request for request in self.requests if request.path.endswith(end)]

    def form(self) -> dict[str, list[str]]:
        return parse_qs(self.came("/token")[-1].body.decode())


@pytest.fixture
def standin() -> Iterator[Standin]:
    found = Standin()
    found.server.start()
    yield found
    found.server.stop()


@pytest.fixture
async def clients() -> AsyncIterator[HttpClients]:
    made = HttpClients()
    yield made
    await made.close()


def http_settings(http: dict[str, Any]) -> HttpSettings:
    """The settings of an http_config, by the file's grammar."""
    hook = {"url": "http://h/", "http_config": http}
    file = {"route": {"receiver": "r"}, "receivers": [{"name": "r", "webhook_configs": [hook]}]}
    settings: HttpSettings = config(json.dumps(file)).receivers["r"].integrations[0].settings.http
    return settings


def oauth(standin: Standin, **more: Any) -> HttpSettings:
    given = {"client_id": "me:you", "client_secret": "s3cret/+", **more}
    return http_settings({"oauth2": {"token_url": f"{standin.server.address}/token", **given}})


async def call(clients: HttpClients, http: HttpSettings, url: str, path: str = "/hook") -> int:
    answer = await send_request(clients.client(http), "Somebody", url + path, content=b"{}")
    return answer.status


async def test_a_token_is_fetched_once_and_sent_with_each_call(
    standin: Standin, clients: HttpClients
) -> None:
    http = oauth(standin, scopes=["a", "b"], endpoint_params={"audience": "x"})
    found = await asyncio.gather(*(call(clients, http, standin.server.address) for _ in range(5)))
    assert found == [200] * 5
    [asked] = standin.came("/token")
    name, _, secret = base64.b64decode(asked.headers["authorization"][6:]).decode().partition(":")
    assert (name, secret) == ("me%3Ayou", "s3cret%2F%2B")
    form = {"grant_type": ["client_credentials"], "scope": ["a b"], "audience": ["x"]}
    assert standin.form() == form
    assert standin.came("/hook")[0].headers["authorization"] == "Bearer t1"
    assert standin.came("/hook")[0].body == b"{}"


@pytest.mark.parametrize("expires", [1, "1"])
async def test_one_that_is_about_to_expire_is_fetched_anew(
    standin: Standin, clients: HttpClients, expires: object
) -> None:
    standin.expires, http = expires, oauth(standin)
    for number in (1, 2):
        assert await call(clients, http, standin.server.address) == 200
        assert len(standin.came("/token")) == number


async def test_one_that_is_revoked_is_fetched_anew_and_the_call_made_again(
    standin: Standin, clients: HttpClients
) -> None:
    http = oauth(standin)
    assert await call(clients, http, standin.server.address) == 200
    standin.revoked.add("Bearer t1")
    assert await call(clients, http, standin.server.address) == 200
    assert [one.headers["authorization"] for one in standin.came("/hook")][-2:] == [
        *("Bearer t1", "Bearer t2")
    ]


async def test_a_server_that_wants_the_secret_in_the_form_gets_it(
    standin: Standin, clients: HttpClients
) -> None:
    standin.form_only, standin.expires, http = True, 1, oauth(standin)
    assert await call(clients, http, standin.server.address) == 200
    assert standin.form()["client_id"] == ["me:you"]
    assert standin.form()["client_secret"] == ["s3cret/+"]
    assert await call(clients, http, standin.server.address) == 200
    assert len(standin.came("/token")) == 3, "it asks the other way first again"


@pytest.mark.parametrize(
    ("answer", "permanent", "words"),
    [
        (Response.json({"error": "invalid_client"}, 401), True, "401 invalid_client"),
        (Response(503), False, "503"),
        (Response(200, b"<html>"), True, "no token"),
        (Response(200, drop=True), False, "connection broke"),
    ],
)
async def test_without_a_token_nothing_is_sent_and_the_error_says_why(
    standin: Standin, clients: HttpClients, answer: Response, permanent: bool, words: str
) -> None:
    standin.answers = [answer, answer]
    with pytest.raises(DeliveryError) as caught:
        await call(clients, oauth(standin), standin.server.address)
    error = caught.value
    assert (error.permanent, error.ambiguous) == (permanent, False)
    assert words in str(error) and str(error).startswith("OAuth2: ")
    assert "s3cret" not in str(error) and standin.server.address not in str(error)
    assert standin.came("/hook") == []


async def test_a_client_may_sign_instead(standin: Standin, clients: HttpClients) -> None:
    key = rsa.generate_private_key(65537, 2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()
    http = oauth(
        standin,
        client_secret="",
        grant_type="urn:ietf:params:oauth:grant-type:jwt-bearer",
        client_certificate_key=pem,
        client_certificate_key_id="k1",
        claims={"team": "db"},
        scopes=["a"],
    )
    assert await call(clients, http, standin.server.address) == 200
    head, body, _ = standin.form()["assertion"][0].split(".")
    decoded = [json.loads(base64.urlsafe_b64decode(part + "==")) for part in (head, body)]
    assert decoded[0] == {"alg": "RS256", "kid": "k1", "typ": "JWT"}
    claims = decoded[1]
    assert (claims["iss"], claims["sub"], claims["team"]) == ("me:you", "me:you", "db")
    assert claims["aud"] == f"{standin.server.address}/token"
    assert abs(claims["iat"] - time.time()) < 60 and claims["exp"] - claims["iat"] == 600


async def test_the_token_is_fetched_over_the_proxy_of_its_own_section(
    standin: Standin, clients: HttpClients
) -> None:
    proxy = Standin()
    proxy.server.start()
    http = oauth(standin, token_url="http://tokens.test/token", proxy_url=proxy.server.address)
    with pytest.raises(DeliveryError, match="no token"):
        proxy.answers = [Response(200, b"{}")]
        await call(clients, http, standin.server.address)
    proxy.server.stop()
    assert proxy.came("/token")[0].headers["host"] == "tokens.test"
    assert standin.requests == []


# ---------------------------------------------------------------------------------------- proxies


@pytest.mark.parametrize(
    ("http", "host", "proxied"),
    [
        ({"proxy_url": "PROXY"}, "far.test", True),
        ({"proxy_url": "PROXY"}, "127.0.0.1", True),
        ({"proxy_url": "PROXY", "no_proxy": "near.test"}, "far.test", True),
        ({"proxy_url": "PROXY", "no_proxy": "other.test"}, "127.0.0.1", False),
        ({"proxy_from_environment": True}, "far.test", True),
        ({"proxy_from_environment": True}, "127.0.0.1", False),
        ({}, "127.0.0.1", False),
    ],
)
async def test_each_address_is_called_over_its_proxy(
    standin: Standin,
    clients: HttpClients,
    monkeypatch: pytest.MonkeyPatch,
    http: dict[str, Any],
    host: str,
    proxied: bool,
) -> None:
    proxy = Standin()
    proxy.server.start()
    given = {
        key: proxy.server.address if value == "PROXY" else value for key, value in http.items()
    }
    monkeypatch.setenv("HTTP_PROXY", proxy.server.address.removeprefix("http://"))
    monkeypatch.setenv("NO_PROXY", "near.test")
    port = standin.server.port
    await call(clients, http_settings(given), f"http://{host}:{port}")
    proxy.server.stop()
    assert (len(proxy.requests), len(standin.requests)) == ((1, 0) if proxied else (0, 1))


async def test_a_tunnel_is_asked_for_with_the_headers_of_the_file(
    standin: Standin, clients: HttpClients
) -> None:
    http = http_settings(
        {
            "proxy_url": standin.server.address,
            "proxy_connect_header": {"X-Pass": ["s3cret"]},
        }
    )
    with pytest.raises(DeliveryError):  # the stand-in makes no tunnels
        await call(clients, http, "https://far.test")
    [asked] = standin.requests
    assert (asked.method, asked.headers["x-pass"]) == ("CONNECT", "s3cret")


async def test_a_proxy_that_cannot_be_used_fails_for_good_and_is_not_shown(
    clients: HttpClients,
) -> None:
    http = http_settings({"proxy_url": "ftp://user:s3cret@h"})
    with pytest.raises(DeliveryError) as caught:
        await call(clients, http, "http://far.test")
    assert caught.value.permanent and "s3cret" not in str(caught.value)
