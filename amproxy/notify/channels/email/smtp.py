"""One mail handed to an SMTP server: TLS, sign-in, envelope, content, and what each answer means."""

from __future__ import annotations

import base64
import contextlib
import ipaddress
import ssl

import aiosmtplib

from amproxy.config.structs import EmailSettings
from amproxy.errors import DeliveryError
from amproxy.notify.channels import http_settings
from amproxy.notify.channels.http import clean_for_log
from amproxy.secret import reveal

TIMEOUT = 10.0  # seconds for connecting, and for the answer to each command
CONTENT_TIMEOUT = 60.0  # for the verdict on the content, which may wait for a virus scanner
GREYLIST_RETRY_AFTER = 60.0  # seconds until a server that wants to see us again should do so
_AUTH_CODES = {530, 534, 535, 538}


async def send_mail(settings: EmailSettings, sender: str, recipients: list[str], content: bytes) -> dict[str, DeliveryError]:
    """Hand over one mail. Answers with the recipients that the server refused, and why; all others have it.

    Raises DeliveryError where nobody has it: ambiguous once the content was on its way.
    """
    client = _build_client(settings)
    sending = False
    try:
        await client.connect()
        await _start_tls(client, settings)
        await _sign_in(client, settings)
        refused = await _send_envelope(client, sender, recipients)
        if len(refused) == len(recipients):
            raise _least_permanent(refused)
        sending = True
        await client.data(content, timeout=CONTENT_TIMEOUT)
    except (aiosmtplib.SMTPException, OSError, ValueError) as error:
        raise _to_delivery_error(error, sending) from None
    finally:
        await _quit(client)
    return refused


def parse_smarthost(smarthost: str) -> tuple[str, int]:
    """ "host:port" in its parts. Raises DeliveryError (permanent)."""
    host, _, port = smarthost.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise DeliveryError("email: smtp_smarthost is not host:port", permanent=True)
    return host.removeprefix("[").removesuffix("]"), int(port)


def _build_client(settings: EmailSettings) -> aiosmtplib.SMTP:
    host, port = parse_smarthost(settings.smarthost)
    implicit = port == 465 if settings.implicit_tls is None else settings.implicit_tls
    try:
        return aiosmtplib.SMTP(
            hostname=host,
            port=port,
            local_hostname=settings.hello,
            timeout=TIMEOUT,
            use_tls=implicit,
            start_tls=False,  # done below, where its absence can be refused
            tls_context=http_settings.build_ssl_context(settings.tls),
        )
    except ValueError as error:
        raise DeliveryError(f"email: {clean_for_log(str(error))}", permanent=True) from None


async def _start_tls(client: aiosmtplib.SMTP, settings: EmailSettings) -> None:
    """STARTTLS where it is demanded, or where a password would go out in the clear without it."""
    await _greet(client)
    if _is_encrypted(client):
        return
    offered = client.supports_extension("starttls")
    if settings.require_tls and not offered:
        raise DeliveryError("email: TLS is required and the server does not offer it (smtp_require_tls)", permanent=True)
    if settings.require_tls or (offered and settings.auth_username and not _is_loopback(client)):
        await client.starttls()
        await _greet(client)


async def _greet(client: aiosmtplib.SMTP) -> None:
    try:
        await client.ehlo()
    except aiosmtplib.SMTPHeloError:
        await client.helo()


async def _sign_in(client: aiosmtplib.SMTP, settings: EmailSettings) -> None:
    """One method, the first that fits: a second try after a refusal could lock the account.

    A server that offers no AUTH gets none, as from Alertmanager: it says at MAIL whether it wants one.
    """
    if not settings.auth_username or not client.supports_extension("auth"):
        return
    if not _is_encrypted(client) and not _is_loopback(client):
        raise DeliveryError("email: the password would go out without TLS", permanent=True, reason="auth_error")
    try:
        password = reveal(settings.auth_password, settings.auth_password_file)
    except (OSError, UnicodeError) as error:
        raise DeliveryError(f"email: the password cannot be read: {error}", permanent=True, reason="auth_error") from None
    methods = client.supported_auth_methods
    if "plain" in methods:
        await _auth_plain(client, settings, password)
    elif "login" in methods:
        await client.auth_login(settings.auth_username, password)
    elif "cram-md5" in methods:
        await client.auth_crammd5(settings.auth_username, password)
    else:
        raise DeliveryError("email: the server offers no way to sign in that is known here", permanent=True, reason="auth_error")


async def _auth_plain(client: aiosmtplib.SMTP, settings: EmailSettings, password: str) -> None:
    """By hand: aiosmtplib's own has no place for the identity."""
    told = "\0".join((settings.auth_identity, settings.auth_username, password)).encode()
    answer = await client.execute_command(b"AUTH", b"PLAIN", base64.b64encode(told))
    if answer.code != 235:
        raise aiosmtplib.SMTPAuthenticationError(answer.code, answer.message)


async def _send_envelope(client: aiosmtplib.SMTP, sender: str, recipients: list[str]) -> dict[str, DeliveryError]:
    """The envelope; each recipient gets a verdict of its own."""
    await client.mail(sender)
    refused = {}
    for recipient in recipients:
        try:
            await client.rcpt(recipient)
        except aiosmtplib.SMTPRecipientRefused as error:
            refused[recipient] = _smtp_error(error, greylisting=True)
    return refused


def _least_permanent(refused: dict[str, DeliveryError]) -> DeliveryError:
    """Of several refusals one that may pass, where there is one."""
    return min(refused.values(), key=lambda error: error.permanent)


async def _quit(client: aiosmtplib.SMTP) -> None:
    """Say goodbye where there is still somebody; whether the mail was taken is known by now."""
    with contextlib.suppress(aiosmtplib.SMTPException, OSError):
        if client.is_connected:
            await client.quit(timeout=1.0)
    client.close()


def _to_delivery_error(error: Exception, sending: bool) -> DeliveryError:
    cause = error if isinstance(error, ssl.SSLError) else error.__cause__
    if isinstance(error, aiosmtplib.SMTPResponseException):
        return _smtp_error(error)
    if isinstance(cause, ssl.SSLError):
        return DeliveryError(f"email: TLS failed: {clean_for_log(str(cause))}", permanent=isinstance(cause, ssl.SSLCertVerificationError))
    if isinstance(error, TimeoutError):
        return DeliveryError("email: no answer in time", reason="timeout", ambiguous=sending)
    if isinstance(error, OSError):
        return DeliveryError(f"email: {clean_for_log(str(error))}", reason="network", ambiguous=sending)
    return DeliveryError(f"email: {clean_for_log(str(error))}", permanent=True)


def _smtp_error(error: aiosmtplib.SMTPResponseException, greylisting: bool = False) -> DeliveryError:
    """What the server's code means: 4xx passes, 5xx stays, anything else is no SMTP."""
    message = f"email: {error.code} {clean_for_log(error.message)}"
    if error.code in _AUTH_CODES or (isinstance(error, aiosmtplib.SMTPAuthenticationError) and error.code >= 500):
        return DeliveryError(message, permanent=True, reason="auth_error")
    if 500 <= error.code < 600:
        return DeliveryError(message, permanent=True)
    wait = GREYLIST_RETRY_AFTER if greylisting and error.code in {450, 451} else None
    return DeliveryError(message, reason="server_error", retry_after=wait)


def _is_encrypted(client: aiosmtplib.SMTP) -> bool:
    return client.get_transport_info("sslcontext") is not None


def _is_loopback(client: aiosmtplib.SMTP) -> bool:
    peer = client.get_transport_info("peername")
    return ipaddress.ip_address(peer[0].partition("%")[0]).is_loopback
