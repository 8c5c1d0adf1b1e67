"""Email on its way: what the server's answers mean, TLS, sign-in, people."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from amproxy.config.structs import Global, TlsSettings
from amproxy.errors import DeliveryError
from amproxy.notify.channels.email import smtp
from amproxy.notify.channels.email.channel import EmailChannel
from amproxy.secret import Secret
from tests.support.config.configs import fault
from tests.support.notify.mails import NOW, card, refusal, settings
from tests.support.standins.certificate import Certificate
from tests.support.standins.smtp import SmtpServer

pytestmark = pytest.mark.filterwarnings(
    "ignore:Requiring AUTH while not requiring TLS"
)  # of the stand-in, on loopback


@pytest.fixture
def server() -> Iterator[SmtpServer]:
    with SmtpServer() as started:
        yield started
        started.assert_no_surprises()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return Certificate(tmp_path_factory.mktemp("certificate"))


# ------------------------------------------------------------------------------------------------------------ verdicts


@pytest.mark.parametrize(
    ("answer", "wanted"),
    [
        ("421 4.3.2 closing", (False, "server_error")),
        ("451 4.3.0 try later", (False, "server_error")),
        ("452 4.3.1 full", (False, "server_error")),
        ("550 5.7.1 policy", (True, "client_error")),
        ("552 5.3.4 too big", (True, "client_error")),
        ("530 5.7.0 authentication required", (True, "auth_error")),
    ],
)
async def test_4xx_is_temporary_and_5xx_is_not(
    server: SmtpServer, answer: str, wanted: tuple[bool, str]
) -> None:
    server.sender_answer = answer
    at_sender = await refusal(settings(server), card())
    server.sender_answer, server.content_answers = "", [answer]
    at_content = await refusal(settings(server), card())
    for error in (at_sender, at_content):
        assert (error.permanent, error.reason, error.ambiguous) == (*wanted, False)
        assert answer[:3] in str(error)


async def test_an_unknown_recipient_is_refused_for_good(server: SmtpServer) -> None:
    server.unknown = {"alice@example.org"}
    assert (await refusal(settings(server), card())).permanent


async def test_one_refused_recipient_does_not_sink_the_others(
    server: SmtpServer, caplog: pytest.LogCaptureFixture
) -> None:
    server.unknown = {"bob@example.org"}
    await EmailChannel().send(
        settings(server, to="bob@example.org, Alice <alice@example.org>"), card()
    )
    assert server.mails[0].recipients == ["alice@example.org"]
    assert "recipient=bob@example.org" in caplog.text


async def test_greylisting_is_temporary_and_the_retry_goes_to_those_who_do_not_have_it_yet(
    server: SmtpServer,
) -> None:
    channel = EmailChannel()
    server.greylisted = {"bob@example.org"}
    both = settings(server, to="alice@example.org, bob@example.org")
    with pytest.raises(DeliveryError) as caught:
        await channel.send(both, card())
    assert (caught.value.permanent, caught.value.retry_after) == (False, smtp.GREYLIST_RETRY_AFTER)
    await channel.send(both, card(at=NOW + 60))
    assert [mail.recipients for mail in server.mails] == [
        ["alice@example.org"],
        ["bob@example.org"],
    ]


async def test_a_retry_that_is_refused_for_good_is_over_where_somebody_has_the_mail(
    server: SmtpServer,
) -> None:
    channel = EmailChannel()
    both = settings(server, to="alice@example.org, bob@example.org")
    server.greylisted = {"bob@example.org"}
    with pytest.raises(DeliveryError):
        await channel.send(both, card())
    server.unknown = {"bob@example.org"}
    await channel.send(both, card())
    assert len(server.mails) == 1


async def test_of_refusals_for_good_and_for_now_the_hopeful_one_counts_where_nobody_has_it(
    server: SmtpServer,
) -> None:
    server.unknown, server.greylisted = {"alice@example.org"}, {"bob@example.org"}
    assert not (
        await refusal(settings(server, to="alice@example.org, bob@example.org"), card())
    ).permanent


async def test_a_connection_lost_after_the_content_may_have_delivered(server: SmtpServer) -> None:
    server.lose_connection = True
    error = await refusal(settings(server), card())
    assert (error.permanent, error.reason, error.ambiguous) == (False, "network", True)


async def test_nobody_listening_is_temporary_and_not_ambiguous() -> None:
    with SmtpServer() as gone:
        pass
    error = await refusal(settings(gone), card())
    assert (error.permanent, error.reason, error.ambiguous) == (False, "network", False)


def answering(words: bytes) -> Callable[[socket.socket], None]:
    def serve(listening: socket.socket) -> None:
        connection, _ = listening.accept()
        with connection:
            connection.sendall(words)
            connection.recv(1000)

    return serve


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (b"421 busy\r\n", "server_error"),
        (b"HTTP/1.1 400 Bad\r\n", "server_error"),
        (b"", "timeout"),
    ],
)
async def test_a_server_that_is_busy_silent_or_no_smtp_is_temporary(
    words: bytes, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(smtp, "TIMEOUT", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=answering(words), args=(listening,), daemon=True)
        thread.start()
        error = await refusal(settings(f"127.0.0.1:{listening.getsockname()[1]}"), card())
        await asyncio.to_thread(thread.join, 5)
    assert (error.permanent, error.reason, error.ambiguous) == (False, reason, False)
    assert not thread.is_alive(), "the connection was left open"


# ------------------------------------------------------------------------------------------------------ TLS and sign-in


async def test_tls_that_is_required_and_not_offered_is_refused_for_good(server: SmtpServer) -> None:
    error = await refusal(settings(server, require_tls=True), card())
    assert error.permanent
    assert "TLS is required" in str(error)
    assert server.attempts == []


async def test_starttls_is_used_where_it_is_required(certificate: Certificate) -> None:
    with SmtpServer(certificate=certificate, login=("oncall", "pass:ü")) as server:
        tls = TlsSettings(ca_file=str(certificate.file))
        signed_in = settings(
            server,
            require_tls=True,
            tls=tls,
            auth_username="oncall",
            auth_password=Secret("pass:ü"),
        )
        await EmailChannel().send(signed_in, card())
        assert (server.mails[0].encrypted, server.mails[0].user) == (True, "oncall")


@pytest.mark.parametrize("implicit", [False, True])
async def test_a_certificate_that_nobody_vouches_for_is_refused(
    certificate: Certificate, implicit: bool
) -> None:
    with SmtpServer(certificate=certificate, implicit_tls=implicit) as server:
        error = await refusal(settings(server, require_tls=True, implicit_tls=implicit), card())
        assert error.permanent
        assert "TLS failed" in str(error)
        assert server.attempts == []


@pytest.mark.parametrize("implicit", [False, True])
async def test_the_name_in_the_certificate_is_checked_and_may_be_given(
    tmp_path: Path, implicit: bool
) -> None:
    named = Certificate(tmp_path, names="DNS:mail.example.org")
    with SmtpServer(certificate=named, implicit_tls=implicit) as server:
        wrong = settings(
            server,
            require_tls=True,
            implicit_tls=implicit,
            tls=TlsSettings(ca=named.file.read_text()),
        )
        assert "TLS failed" in str(await refusal(wrong, card()))
        right = TlsSettings(
            ca=named.file.read_text(),
            server_name="mail.example.org",
            min_version="TLS12",
            max_version="TLS13",
        )
        await EmailChannel().send(
            settings(server, require_tls=True, implicit_tls=implicit, tls=right), card()
        )
        await EmailChannel().send(
            settings(
                server,
                require_tls=True,
                implicit_tls=implicit,
                tls=TlsSettings(insecure_skip_verify=True),
            ),
            card(),
        )
        assert [mail.encrypted for mail in server.mails] == [True, True]


async def test_tls_from_the_first_byte_is_spoken_where_it_is_told(certificate: Certificate) -> None:
    with SmtpServer(certificate=certificate, implicit_tls=True) as server:
        await EmailChannel().send(
            settings(server, implicit_tls=True, tls=TlsSettings(ca_file=str(certificate.file))),
            card(),
        )
        assert server.mails[0].encrypted


def test_port_465_means_tls_from_the_first_byte_unless_the_file_says_otherwise() -> None:
    assert smtp._build_client(settings("mail.example.org:465")).use_tls
    assert not smtp._build_client(settings("mail.example.org:465", implicit_tls=False)).use_tls
    assert not smtp._build_client(settings("mail.example.org:587")).use_tls


async def test_a_password_goes_out_in_the_clear_over_loopback_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with SmtpServer(login=("oncall", "pw")) as server:
        signed_in = settings(server, auth_username="oncall", auth_password=Secret("pw"))
        await EmailChannel().send(signed_in, card())
        assert server.mails[0].user == "oncall"
        monkeypatch.setattr(smtp, "_is_loopback", lambda client: False)
        error = await refusal(signed_in, card())
        assert (error.permanent, error.reason) == (True, "auth_error")
        assert len(server.mails) == 1


async def test_starttls_protects_a_password_though_it_is_not_required(
    certificate: Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(smtp, "_is_loopback", lambda client: False)
    with SmtpServer(certificate=certificate, login=("oncall", "pw")) as server:
        tls = TlsSettings(ca_file=str(certificate.file))
        await EmailChannel().send(
            settings(server, auth_username="oncall", auth_password=Secret("pw"), tls=tls), card()
        )
        assert server.mails[0].encrypted


async def test_a_wrong_password_is_an_auth_error_that_shows_no_password(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("wrong-one\n")
    with SmtpServer(login=("oncall", "pw")) as server:
        error = await refusal(
            settings(server, auth_username="oncall", auth_password_file=str(tmp_path / "password")),
            card(),
        )
        assert (error.permanent, error.reason) == (True, "auth_error")
        assert "wrong-one" not in str(error)
        error = await refusal(
            settings(server, auth_username="oncall", auth_password_file=str(tmp_path / "none")),
            card(),
        )
        assert (error.permanent, error.reason) == (True, "auth_error")


async def test_a_server_that_wants_no_sign_in_gets_the_mail_without(server: SmtpServer) -> None:
    await EmailChannel().send(
        settings(server, auth_username="oncall", auth_password=Secret("pw")), card()
    )
    assert server.mails[0].user == ""


# ------------------------------------------------------------------------------------------------------------- people


def test_a_person_is_reached_over_the_server_of_global() -> None:
    person = EmailChannel().person(
        Global(channels={"email": settings("mail.example.org:587")}), "bob@example.org"
    )
    assert (person.to, person.smarthost) == ("bob@example.org", "mail.example.org:587")


@pytest.mark.parametrize(
    "address",
    [
        "",
        "bob",
        "bob@",
        "@example.org",
        "bob@exa mple.org",
        "bob@x\r\nRCPT TO:<eve@x>",
        "<>",
        "b\x00b@x.org",
        "bäb@x.org",
    ],
)
def test_an_address_that_is_none_is_refused(address: str) -> None:
    assert fault({"email": settings()}, "email", address) == "it is no e-mail address"


@pytest.mark.parametrize(
    ("lacking", "reason"),
    [
        ({"smarthost": ""}, "global has no smtp_smarthost"),
        ({"smarthost": "", "from_": ""}, "global has no smtp_smarthost, smtp_from"),
        ({"smarthost": "mail"}, "smtp_smarthost is not host:port with the number of a port"),
        ({"smarthost": "mail:smtp"}, "smtp_smarthost is not host:port with the number of a port"),
        ({"smarthost": "mail:0"}, "smtp_smarthost is not host:port with the number of a port"),
        ({"from_": ""}, "global has no smtp_from"),
        ({"from_": "amproxy"}, "smtp_from is no e-mail address"),
    ],
)
def test_a_person_cannot_be_reached_without_a_server_and_a_sender(
    lacking: dict[str, str], reason: str
) -> None:
    assert fault({"email": settings(**lacking)}, "email", "bob@example.org") == reason


async def test_an_international_domain_is_written_in_ascii(server: SmtpServer) -> None:
    await EmailChannel().send(settings(server, to="bob@bücher.example"), card())
    assert server.mails[0].recipients == ["bob@xn--bcher-kva.example"]
