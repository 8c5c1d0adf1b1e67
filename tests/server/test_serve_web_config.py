"""`--web.config.file`: basic auth, TLS and headers in the form of the Prometheus family, and what is refused."""

from __future__ import annotations

import re
import shutil
import socket
import ssl
import subprocess
from pathlib import Path

import pytest

from amproxy.errors import ConfigError
from amproxy.server.web_config import WebConfig, load_web_config
from tests.support.server.reached import (
    PASSWORD,
    ROUTES,
    Client,
    cpu,
    hashed,
    https,
    tls_section,
    users_section,
    web_config,
)
from tests.support.servers import Servers
from tests.support.standins.certificate import Certificate
from tests.support.waiting import until

ALERT = {"labels": {"alertname": "DiskFull", "host": "db1"}}


@pytest.fixture
def certificate(tmp_path: Path) -> Certificate:
    return Certificate(tmp_path)


def test_nobody_gets_in_without_the_password(servers: Servers, tmp_path: Path) -> None:
    amproxy = servers.amproxy(ROUTES, args=[web_config(tmp_path, users_section(alice=PASSWORD))])
    stranger, alice = Client(amproxy.url), Client(amproxy.url, login=f"alice:{PASSWORD}")
    for path in (
        "/",
        "/-/healthy",
        "/-/ready",
        "/metrics",
        "/api/v2/status",
        "/api/v1/incidents",
        "/static/style.css",
        "/nothing",
    ):
        refused = stranger.ask(path)
        assert refused.status == 401 and refused.headers["www-authenticate"].startswith("Basic"), (
            path
        )
        assert alice.ask(path).status == (404 if path == "/nothing" else 200), path
    assert (
        stranger.ask("/api/v2/alerts", [ALERT]).status
        == stranger.ask("/webhook/any", {"title": "x"}).status
        == 401
    )
    assert (
        alice.ask("/api/v2/alerts", [ALERT]).status
        == alice.ask("/webhook/any", {"title": "x"}).status
        == 200
    )
    for login in (
        "alice:wrong",
        f"bob:{PASSWORD}",
        "alice:",
        f":{PASSWORD}",
        "alice",
        f"alice:{PASSWORD}x",
    ):
        assert Client(amproxy.url, login=login).ask("/-/healthy").status == 401, login
    for header in ("Basic", "Basic ****", "Basic /w==", f"Bearer {PASSWORD}", ""):
        assert stranger.ask("/-/healthy", Authorization=header).status == 401, header
    assert PASSWORD not in amproxy.stderr and "$2b$" not in amproxy.stderr


def test_hashes_of_other_tools_and_long_passwords_are_understood(
    servers: Servers, tmp_path: Path
) -> None:
    long = "ä" * 100
    apache, old = (hashed().replace("$2b$", kind) for kind in ("$2y$", "$2a$"))
    text = f"basic_auth_users: {{apache: {apache}, old: {old}, long: {hashed(long[:36])}}}"
    amproxy = servers.amproxy(ROUTES, args=[web_config(tmp_path, text)])
    for login in (f"apache:{PASSWORD}", f"old:{PASSWORD}", f"long:{long}"):
        assert Client(amproxy.url, login=login).ask("/-/healthy").status == 200, login


def test_a_password_is_compared_once_and_an_unknown_user_takes_as_long_as_a_known_one(
    servers: Servers, tmp_path: Path
) -> None:
    text = f"basic_auth_users: {{alice: {hashed(cost=11)}, bob: {hashed(cost=4)}}}"
    amproxy = servers.amproxy(ROUTES, args=[web_config(tmp_path, text)])

    def seconds(login: str) -> float:
        """How long the service's processor worked on it: the clock would also count what other processes do."""
        client, before = Client(amproxy.url, login=login), cpu(amproxy)
        client.ask("/-/healthy")
        return cpu(amproxy) - before

    first = seconds(f"alice:{PASSWORD}")
    known = min(seconds(f"alice:wrong{number}") for number in range(3))
    unknown = min(seconds(f"carol:wrong{number}") for number in range(3))
    assert first > 0.04, "a comparison of this cost takes longer: was there one?"
    assert 0.5 < unknown / known < 2
    assert min(seconds(f"alice:{PASSWORD}") for _ in range(5)) < known / 4
    assert min(seconds("alice:wrong1") for _ in range(5)) < known / 4


def test_a_changed_file_takes_effect_by_itself_and_a_bad_one_does_not(
    servers: Servers, tmp_path: Path
) -> None:
    amproxy = servers.amproxy(ROUTES, args=[web_config(tmp_path, users_section(alice=PASSWORD))])
    alice, bob = Client(amproxy.url, login=f"alice:{PASSWORD}"), Client(amproxy.url, login="bob:b")
    assert (alice.ask("/-/healthy").status, bob.ask("/-/healthy").status) == (200, 401)
    web_config(tmp_path, "basic_auth_users: {bob: no hash}")
    until(lambda: alice.ask("/-/healthy") and "web.yml:1:25" in amproxy.stderr)
    assert (alice.ask("/-/healthy").status, bob.ask("/-/healthy").status) == (200, 401)
    assert "no hash" not in amproxy.stderr
    web_config(tmp_path, "")
    until(lambda: alice.ask("/-/healthy") and "that takes a restart" in amproxy.stderr)
    assert (alice.ask("/-/healthy").status, Client(amproxy.url).ask("/-/healthy").status) == (
        200,
        401,
    )
    web_config(tmp_path, users_section(bob="b"))
    until(lambda: bob.ask("/-/healthy").status == 200)
    assert alice.ask("/-/healthy").status == 401


def test_headers_of_the_file_are_on_every_answer(servers: Servers, tmp_path: Path) -> None:
    text = """
http_server_config:
  http2: false
  headers: {Strict-Transport-Security: max-age=3600, X-Frame-Options: deny, Content-Security-Policy: "default-src 'self'"}
"""
    client = Client(servers.amproxy(ROUTES, args=[web_config(tmp_path, text)]).url)
    for path, body in (
        ("/", None),
        ("/-/healthy", None),
        ("/api/v2/status", None),
        ("/api/v2/alerts", [ALERT]),
        ("/nothing", None),
    ):
        headers = client.ask(path, body).headers
        assert (headers["strict-transport-security"], headers["x-frame-options"]) == (
            "max-age=3600",
            "deny",
        ), path
        assert headers.get_all("content-security-policy") == ["default-src 'self'"], path


def test_tls_is_spoken_and_nothing_else(
    servers: Servers, tmp_path: Path, certificate: Certificate
) -> None:
    amproxy = servers.amproxy(
        ROUTES, args=[web_config(tmp_path, tls_section(certificate)), "--web.route-prefix=/am"]
    )
    client = Client(https(amproxy), trust=certificate.file)
    assert client.ask("/am/-/healthy").status == 200
    assert client.ask("/am/api/v2/alerts", [ALERT]).status == 200
    assert f"url={https(amproxy)}/am/" in amproxy.printed
    with pytest.raises(OSError):  # how it ends is the other side's affair
        Client(amproxy.url).ask("/am/-/healthy")


def test_a_renewed_certificate_is_used_at_once(
    servers: Servers, tmp_path: Path, certificate: Certificate
) -> None:
    amproxy = servers.amproxy(ROUTES, args=[web_config(tmp_path, tls_section(certificate))])
    assert Client(https(amproxy), trust=certificate.file).ask("/-/healthy").status == 200
    old = tmp_path / "old.pem"
    shutil.copy(certificate.file, old)
    renewed = Certificate(tmp_path)

    def taken() -> bool:
        try:
            return Client(https(amproxy), trust=renewed.file).ask("/-/healthy").status == 200
        except OSError:
            return False

    until(taken)
    with pytest.raises(OSError, match="certificate verify failed"):
        Client(https(amproxy), trust=old).ask("/-/healthy")


def test_clients_show_a_certificate_where_the_file_demands_one(
    servers: Servers, tmp_path: Path, certificate: Certificate
) -> None:
    folder = tmp_path / "client"
    folder.mkdir()
    ours, foreign = Certificate(folder), tmp_path / "foreign"
    foreign.mkdir()
    Certificate(foreign)
    text = f"{tls_section(certificate)}  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: client/certificate.pem\n"
    amproxy = servers.amproxy(ROUTES, args=[web_config(tmp_path, text)])
    shown = ours.file, folder / "key.pem"
    assert (
        Client(https(amproxy), trust=certificate.file, certificate=shown).ask("/-/healthy").status
        == 200
    )
    for other in (None, (foreign / "certificate.pem", foreign / "key.pem")):
        with pytest.raises(OSError):  # an alert, or the end of the connection
            Client(https(amproxy), trust=certificate.file, certificate=other).ask("/-/healthy")


@pytest.mark.parametrize(
    ("settings", "version", "cipher"),
    [
        ("min_version: TLS13", "TLSv1.3", ""),
        ("max_version: TLS12", "TLSv1.2", ""),
        (
            "{max_version: TLS12, cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384]}",
            "TLSv1.2",
            "ECDHE-ECDSA-AES256-GCM-SHA384",
        ),
        ("cipher_suites: [TLS_AES_128_GCM_SHA256]", "TLSv1.3", ""),
    ],
)
def test_versions_and_ciphers_are_those_of_the_file(
    servers: Servers,
    tmp_path: Path,
    certificate: Certificate,
    settings: str,
    version: str,
    cipher: str,
) -> None:
    more = "".join(f"  {line}\n" for line in re.findall(r"\w+: (?:\[.*?\]|\w+)", settings))
    amproxy = servers.amproxy(ROUTES, args=[web_config(tmp_path, tls_section(certificate) + more)])
    host, _, port = amproxy.url.removeprefix("http://").rpartition(":")

    def handshake(highest: ssl.TLSVersion) -> tuple[str | None, str]:
        context = ssl.create_default_context(cafile=certificate.file)
        context.maximum_version = highest
        with (
            socket.create_connection((host, int(port))) as raw,
            context.wrap_socket(raw, server_hostname=host) as spoken,
        ):
            return spoken.version(), spoken.cipher()[0]

    assert handshake(ssl.TLSVersion.TLSv1_3)[0] == version
    if version == "TLSv1.3":
        with pytest.raises(ssl.SSLError):
            handshake(ssl.TLSVersion.TLSv1_2)
    if cipher:
        assert handshake(ssl.TLSVersion.TLSv1_3)[1] == cipher


VERIFY = "  client_auth_type: VerifyClientCertIfGiven\n  client_ca_file: certificate.pem\n"


@pytest.mark.parametrize("more", ["", VERIFY])
def test_listening_elsewhere_than_on_loopback_is_refused_while_strangers_get_in(
    servers: Servers, tmp_path: Path, certificate: Certificate, more: str
) -> None:
    option = web_config(tmp_path, tls_section(certificate) + more)
    with pytest.raises(
        RuntimeError, match=r"ended with 1(?s:.*)refusing to listen on 0\.0\.0\.0:0"
    ):
        servers.amproxy(ROUTES, args=["--listen", "0.0.0.0:0", option])


def test_listening_everywhere_is_allowed_where_everybody_shows_who_they_are(
    servers: Servers, tmp_path: Path
) -> None:
    amproxy = servers.amproxy(
        ROUTES, args=["--listen", "0.0.0.0:0", web_config(tmp_path, users_section(alice=PASSWORD))]
    )
    assert (
        Client(amproxy.url, login=f"alice:{PASSWORD}").ask("/api/v2/alerts", [ALERT]).status == 200
    )
    assert Client(amproxy.url).ask("/-/healthy").status == 401


@pytest.mark.parametrize(
    ("text", "place", "reason"),
    [
        ("tls_server_confg: {}", "1:1", "did you mean 'tls_server_config'"),
        ("tls_server_config:\n  nope: 1", "2:3", "unknown key 'nope'"),
        ("tls_server_config:\n  cert_file: certificate.pem", "2:3", "missing key_file"),
        (
            "tls_server_config:\n  cert_file: nowhere.pem\n  key_file: key.pem",
            "2:14",
            "cannot read the file 'nowhere.pem'",
        ),
        (
            "tls_server_config:\n  cert_file: key.pem\n  key_file: key.pem",
            "2:14",
            "no certificate in PEM form that fits key_file",
        ),
        (
            "tls_server_config:\n  cert_file: certificate.pem\n  key_file: other/key.pem",
            "2:14",
            "no certificate in PEM form that fits",
        ),
        (
            "tls_server_config:\n  cert_file: certificate.pem\n  key_file: key.pem\n  min_version: TLS10",
            "4:16",
            "expected 'TLS12' or 'TLS13'",
        ),
        (
            "tls_server_config: {cert_file: certificate.pem, key_file: key.pem, client_auth_type: RequireAnyClientCert}",
            "1:86",
            "not allowed",
        ),
        (
            "tls_server_config: {cert_file: certificate.pem, key_file: key.pem, client_ca_file: certificate.pem}",
            "1:84",
            "what for",
        ),
        (
            "tls_server_config: {cert_file: certificate.pem, key_file: key.pem, client_auth_type: RequireAndVerifyClientCert}",
            "1:20",
            "client_ca_file",
        ),
        (
            "tls_server_config: {cert_file: certificate.pem, key_file: key.pem, cipher_suites: [RC4]}",
            "1:84",
            "'RC4' is not allowed",
        ),
        (
            "tls_server_config: {cert_file: certificate.pem, key_file: key.pem, min_version: TLS13, max_version: TLS12}",
            "1:101",
            "below",
        ),
        ("http_server_config: {headers: {Server: x}}", "1:32", "unknown key 'Server'"),
        (
            "http_server_config: {headers: {X-Frame-Options: allow}}",
            "1:49",
            "expected 'deny' or 'sameorigin'",
        ),
        ("basic_auth_users:\n  alice: hunter2", "2:10", "expected a bcrypt hash"),
        ("basic_auth_users:\n  alice:", "2:9", "expected a bcrypt hash"),
        ("basic_auth_users: [alice]", "1:19", "expected a map"),
        ("basic_auth_users: {", "1:20", "not YAML"),
        ("basic_auth_users:\n  alice: " + "[" * 900, "2:209", "nested deeper than 200 levels"),
        ("# " + "x" * 300_000, "0:0", "larger than 256 KiB"),
    ],
)
def test_a_wrong_file_is_refused_with_the_place_and_the_reason(
    tmp_path: Path, text: str, place: str, reason: str
) -> None:
    Certificate(tmp_path)
    (tmp_path / "other").mkdir()
    Certificate(tmp_path / "other")
    web_config(tmp_path, text)
    with pytest.raises(ConfigError, match=f"web.yml:{place}: .*{re.escape(reason)}") as caught:
        load_web_config(tmp_path / "web.yml")
    assert "hunter2" not in str(caught.value)


def test_a_wrong_file_ends_the_start_with_its_line_and_no_stack_trace(
    servers: Servers, tmp_path: Path
) -> None:
    with pytest.raises(
        RuntimeError, match=r"ended with 1:(?s:.*)web\.yml:2:3: unknown key 'nope'"
    ) as caught:
        servers.amproxy(ROUTES, args=[web_config(tmp_path, "tls_server_config:\n  nope: 1")])
    assert "Traceback" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# nothing yet\n",
        "tls_server_config: {}",
        "basic_auth_users:\nhttp_server_config: {http2: true}",
    ],
)
def test_a_file_that_demands_nothing_changes_nothing(tmp_path: Path, text: str) -> None:
    web_config(tmp_path, text)
    assert load_web_config(tmp_path / "web.yml") == WebConfig()


def test_a_key_with_a_pass_phrase_is_refused_without_asking_for_it(
    servers: Servers, tmp_path: Path, certificate: Certificate
) -> None:
    key = tmp_path / "key.pem"
    subprocess.run(
        [
            "openssl",
            "ec",
            "-in",
            key,
            "-aes256",
            "-passout",
            "pass:secret",
            "-out",
            tmp_path / "locked.pem",
        ],
        check=True,
        capture_output=True,
    )
    (tmp_path / "locked.pem").replace(key)
    with pytest.raises(RuntimeError, match=r"ended with 1(?s:.*)web\.yml:2:14: "):
        servers.amproxy(ROUTES, args=[web_config(tmp_path, tls_section(certificate))])
