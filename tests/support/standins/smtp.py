"""An SMTP server on loopback that is stricter than real ones, so that a mail that only some servers take is found out.

It refuses bare line feeds, long lines, 8-bit content, missing or repeated headers and a Bcc; it keeps what it takes.
Runs in a thread of its own: usable from tests of any kind.
"""

from __future__ import annotations

import asyncio
import email
import re
import threading
from email.message import EmailMessage
from email.policy import SMTP as POLICY
from types import TracebackType
from typing import Any, Self, cast

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from tests.support.standins.certificate import Certificate

_ONCE = ("from", "to", "subject", "date", "message-id", "mime-version")


class Mail:
    """One mail that was taken: its envelope, its bytes, and both as the receiver's program reads them."""

    def __init__(
        self, sender: str, recipients: list[str], content: bytes, encrypted: bool, user: str
    ) -> None:
        self.sender, self.recipients, self.content, self.encrypted, self.user = (
            sender,
            recipients,
            content,
            encrypted,
            user,
        )
        self.message: EmailMessage = email.message_from_bytes(content, policy=POLICY)

    def header(self, name: str) -> str:
        return str(self.message[name])

    def part(self, kind: str) -> str:
        """The text of the part "plain" or "html"."""
        body = self.message.get_body((kind,))
        assert body is not None, f"no {kind} part"
        return str(body.get_content())


class SmtpServer:
    """`with SmtpServer() as server:` listens on 127.0.0.1:`server.port`. The knobs may be turned at any time."""

    def __init__(
        self,
        *,
        certificate: Certificate | None = None,
        implicit_tls: bool = False,
        login: tuple[str, str] | None = None,
    ) -> None:
        """certificate: offers STARTTLS (or speaks TLS at once); login: offers AUTH and wants it."""
        self.mails: list[Mail] = []
        self.attempts: list[list[str]] = []  # recipients asked for, of each mail that was begun
        self.problems: list[str] = []
        self.unknown: set[str] = set()  # recipients refused for good
        self.greylisted: set[str] = set()  # recipients refused once
        self.sender_answer = ""  # instead of taking MAIL: "451 4.3.0 try later"
        self.content_answers: list[str] = []  # instead of taking the next contents
        self.lose_connection = False  # once a content is taken, without an answer
        self._certificate, self._implicit, self._login = certificate, implicit_tls, login
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    @property
    def smarthost(self) -> str:
        return f"127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._thread.start()
        self.port: int = asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(10)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(60)
        self._loop.close()

    def assert_no_surprises(self) -> None:
        assert self.problems == []

    async def _listen(self) -> int:
        context = self._certificate.context() if self._certificate else None
        self._server = await self._loop.create_server(
            lambda: SMTP(
                self,
                hostname="standin.test",
                loop=self._loop,
                tls_context=None if self._implicit else context,
                authenticator=self._check if self._login else None,
                auth_required=self._login is not None,
                auth_require_tls=self._login
                is None,  # without a login it is not offered in the clear
            ),
            "127.0.0.1",
            0,
            ssl=context if self._implicit else None,
        )
        return int(self._server.sockets[0].getsockname()[1])

    async def _stop(self) -> None:
        self._server.close()
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    def _check(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any
    ) -> AuthResult:
        told = (
            (data.login.decode(), data.password.decode())
            if isinstance(data, LoginPassword)
            else None
        )
        return AuthResult(success=told == self._login, handled=False, auth_data=data)

    # What aiosmtpd calls.

    async def handle_MAIL(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self.sender_answer:
            return self.sender_answer
        envelope.mail_from = address
        self.attempts.append([])
        return "250 OK"

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        self.attempts[-1].append(address)
        if address in self.unknown:
            return "550 5.1.1 no such mailbox"
        if address in self.greylisted:
            self.greylisted.discard(address)
            return "450 4.7.1 greylisted, come again"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        content = bytes(envelope.original_content or b"")
        if problem := _problem(content):
            self.problems.append(problem)
            return f"554 5.6.0 {problem}"
        if self.content_answers:
            return self.content_answers.pop(0)
        data = session.auth_data
        user = data.login.decode() if isinstance(data, LoginPassword) else ""
        self.mails.append(
            Mail(
                str(envelope.mail_from),
                list(envelope.rcpt_tos),
                content,
                session.ssl is not None or self._implicit,
                user,
            )
        )
        if self.lose_connection:
            cast(asyncio.Transport, server.transport).abort()
        return "250 taken"


def _problem(content: bytes) -> str:
    """What is wrong with a mail; "" = nothing."""
    if re.search(rb"(?<!\r)\n|\r(?!\n)", content):
        return "bare CR or LF"
    if any(len(line) > 998 for line in content.split(b"\r\n")):
        return "a line of more than 998 bytes"
    if not content.isascii() or b"\0" in content:
        return "8-bit content or NUL"
    head = content.split(b"\r\n\r\n", 1)[0]
    names = [
        line.split(b":")[0].decode().lower()
        for line in head.split(b"\r\n")
        if line[:1] not in (b" ", b"\t")
    ]
    for name in _ONCE:
        if names.count(name) != 1:
            return f"{names.count(name)} headers {name}"
    return "a Bcc header" if "bcc" in names else ""
