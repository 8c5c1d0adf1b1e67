"""Delivery of one mail to an SMTP server: TLS, sign-in, envelope, content, and its errors."""

from __future__ import annotations

import base64
import contextlib
import ipaddress
import ssl

import aiosmtplib

from amproxy import timeouts
from amproxy.errors import DeliveryError
from amproxy.notify.channels.email.settings import EmailSettings, parse_smarthost
from amproxy.notify.channels.http import clean_for_log
from amproxy.notify.channels.http_settings import build_ssl_context
from amproxy.notify.permit import obtain_permit
from amproxy.secret import reveal
from amproxy.text import Phrase, phrase

SERVICE_NAME = "email"
TIMEOUT = 10.0  # seconds for connecting, and for the reply to each command
CONTENT_TIMEOUT = 60.0  # for the reply to the content, which may wait for a virus scanner
GREYLIST_RETRY_AFTER = 60.0  # seconds: a greylisting server accepts a second attempt by then
_AUTH_CODES = {530, 534, 535, 538}


async def send_mail(
    settings: EmailSettings, sender: str, recipients: list[str], content: bytes
) -> dict[str, DeliveryError]:
    """Hand over one mail; return the recipients that the server refused, with their errors.

    All others have it. Raises DeliveryError where nobody has it, ambiguous once the content was on
    its way; and what `obtain_permit` raises.
    """
    client = _build_client(settings)
    sending = False
    try:
        await client.connect()
        await _start_tls(client, settings)
        await _sign_in(client, settings)
        await obtain_permit()
        refused = await _send_envelope(client, sender, recipients)
        if len(refused) == len(recipients):
            raise _least_permanent(refused)
        sending = True
        async with timeouts.limit(CONTENT_TIMEOUT):
            await client.data(content, timeout=None)
    except (aiosmtplib.SMTPException, OSError, ValueError) as error:
        raise _to_delivery_error(error, sending) from None
    finally:
        await _quit(client)
    return refused


def _build_client(settings: EmailSettings) -> aiosmtplib.SMTP:
    try:
        host, port = parse_smarthost(settings.smarthost)
    except ValueError:
        raise DeliveryError(phrase("failure.email_smarthost"), permanent=True) from None
    implicit = port == 465 if settings.implicit_tls is None else settings.implicit_tls
    try:
        return aiosmtplib.SMTP(
            hostname=host,
            port=port,
            local_hostname=settings.hello,
            timeout=TIMEOUT,
            use_tls=implicit,
            start_tls=False,  # `_start_tls` does it, which can refuse a server without TLS
            tls_context=build_ssl_context(settings.tls),
        )
    except ValueError as error:
        raise DeliveryError(_said(error), permanent=True) from None


async def _start_tls(client: aiosmtplib.SMTP, settings: EmailSettings) -> None:
    """Start TLS where it is required, or where a password would go out in the clear without it."""
    await _greet(client)
    if _is_encrypted(client):
        return
    offered = client.supports_extension("starttls")
    if settings.require_tls and not offered:
        raise DeliveryError(phrase("failure.email_no_tls"), permanent=True)
    if settings.require_tls or (offered and settings.auth_username and not _is_loopback(client)):
        await client.starttls()
        await _greet(client)  # anew, because the server may offer more (AUTH) now


async def _greet(client: aiosmtplib.SMTP) -> None:
    try:
        await client.ehlo()
    except aiosmtplib.SMTPHeloError:
        await client.helo()


async def _sign_in(client: aiosmtplib.SMTP, settings: EmailSettings) -> None:
    """Sign in by one method, the first that fits: a second try could lock the account.

    A server that offers no AUTH gets none, as from Alertmanager: one that needs it refuses at MAIL.
    """
    if not settings.auth_username or not client.supports_extension("auth"):
        return
    if not _is_encrypted(client) and not _is_loopback(client):
        raise _auth_error(phrase("failure.email_password_open"))
    try:
        password = reveal(settings.auth_password, settings.auth_password_file)
        shared = reveal(settings.auth_secret, settings.auth_secret_file)
    except (OSError, UnicodeError) as error:
        raise _auth_error(phrase("failure.email_password_unread", said=str(error))) from None
    methods = client.supported_auth_methods
    if shared and "cram-md5" in methods:
        await client.auth_crammd5(settings.auth_username, shared)
    elif "plain" in methods:
        await _auth_plain(client, settings, password)
    elif "login" in methods:
        await client.auth_login(settings.auth_username, password)
    elif "cram-md5" in methods:
        await client.auth_crammd5(settings.auth_username, password)
    else:
        raise _auth_error(phrase("failure.email_no_method"))


def _auth_error(words: Phrase) -> DeliveryError:
    return DeliveryError(words, permanent=True, reason="auth_error")


def _said(error: Exception) -> Phrase:
    return phrase("failure.said", service=SERVICE_NAME, said=clean_for_log(str(error)))


async def _auth_plain(client: aiosmtplib.SMTP, settings: EmailSettings, password: str) -> None:
    """Sign in by PLAIN without aiosmtplib's own method, which has no argument for the identity."""
    words = "\0".join((settings.auth_identity, settings.auth_username, password)).encode()
    reply = await client.execute_command(b"AUTH", b"PLAIN", base64.b64encode(words))
    if reply.code != 235:
        raise aiosmtplib.SMTPAuthenticationError(reply.code, reply.message)


async def _send_envelope(
    client: aiosmtplib.SMTP, sender: str, recipients: list[str]
) -> dict[str, DeliveryError]:
    """Send the envelope; return the refused recipients with their errors."""
    await client.mail(sender)
    refused = {}
    for recipient in recipients:
        try:
            await client.rcpt(recipient)
        except aiosmtplib.SMTPRecipientRefused as error:
            refused[recipient] = _smtp_error(error, greylisting=True)
    return refused


def _least_permanent(refused: dict[str, DeliveryError]) -> DeliveryError:
    """Of several errors a temporary one, where there is one."""
    return min(refused.values(), key=lambda error: error.permanent)


async def _quit(client: aiosmtplib.SMTP) -> None:
    """End the connection politely where it still stands."""
    # Its errors do not matter: by now it is known what became of the mail.
    with contextlib.suppress(aiosmtplib.SMTPException, OSError):
        if client.is_connected:
            await client.quit(timeout=1.0)
    client.close()


def _to_delivery_error(error: Exception, sending: bool) -> DeliveryError:
    cause = error if isinstance(error, ssl.SSLError) else error.__cause__
    if isinstance(error, aiosmtplib.SMTPResponseException):
        return _smtp_error(error)
    if isinstance(cause, ssl.SSLError):
        # a bad certificate stays bad; a handshake that broke may succeed
        permanent = isinstance(cause, ssl.SSLCertVerificationError)
        said = clean_for_log(str(cause))
        words = phrase("failure.tls_failed", service=SERVICE_NAME, said=said)
        return DeliveryError(words, permanent=permanent)
    if isinstance(error, TimeoutError):
        words = phrase("failure.no_answer", service=SERVICE_NAME)
        return DeliveryError(words, reason="timeout", ambiguous=sending)
    if isinstance(error, OSError):
        return DeliveryError(_said(error), reason="network", ambiguous=sending)
    return DeliveryError(_said(error), permanent=True)


def _smtp_error(
    error: aiosmtplib.SMTPResponseException, greylisting: bool = False
) -> DeliveryError:
    """The error for a code: 4xx is temporary, 5xx permanent, anything else is no SMTP."""
    said = clean_for_log(error.message)
    message = phrase("failure.status_said", service=SERVICE_NAME, status=error.code, said=said)
    refused_sign_in = isinstance(error, aiosmtplib.SMTPAuthenticationError) and error.code >= 500
    if error.code in _AUTH_CODES or refused_sign_in:
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
