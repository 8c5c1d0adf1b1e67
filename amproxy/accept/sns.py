"""The handshake of Amazon SNS: a topic sends to an address that has confirmed it.

Confirming is a request that somebody else's body asks for, so it is made only to a host of SNS
itself, and only for a message that carries the signature of SNS, by its rules:
https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs, urlsplit

from amproxy.accept.body import PushRefused
from amproxy.text import phrase

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

HANDSHAKES: Final = ("SubscriptionConfirmation", "UnsubscribeConfirmation")
# The fields of a handshake that are signed, each as "NAME\nVALUE\n".
_SIGNED: Final = (
    *("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"),
)
_HOST = re.compile(r"sns\.[a-z0-9-]{1,40}\.amazonaws\.com(\.cn)?")
_SIGNER = re.compile(r"sns(\.[a-z0-9-]{1,40})?\.amazonaws\.com(\.cn)?")

# Returns the body of a GET. Raises DeliveryError.
Fetch = Callable[[str], Awaitable[bytes]]


def is_handshake(payload: dict[str, Any]) -> bool:
    """Check for a message of SNS that is no notification."""
    return payload.get("Type") in HANDSHAKES and "Token" in payload and "TopicArn" in payload


async def answer_handshake(payload: dict[str, Any], now: datetime, fetch: Fetch) -> bool:
    """Confirm a subscription that SNS has signed; return whether there was one to confirm.

    The end of a subscription is not contradicted. Raises PushRefused: 422 for an address that is
    not of SNS, 403 for a signature that does not fit; and what `fetch` raises.
    """
    if payload["Type"] != "SubscriptionConfirmation":
        return False
    subscribe, certificate = _text(payload, "SubscribeURL"), _text(payload, "SigningCertURL")
    _check_address(subscribe, "SubscribeURL")
    _check_address(certificate, "SigningCertURL")
    if parse_qs(urlsplit(subscribe).query).get("Action") != ["ConfirmSubscription"]:
        raise PushRefused(422, phrase("refusal.sns_subscription"))
    if not urlsplit(certificate).path.endswith(".pem"):
        raise PushRefused(422, phrase("refusal.sns_certificate"))
    check_signature(payload, await fetch(certificate), now)
    await fetch(subscribe)
    return True


def check_signature(payload: dict[str, Any], certificate: bytes, now: datetime) -> None:
    """Check a handshake's signature by the certificate of SNS. Raises PushRefused(403)."""
    # imported here and below: it happens once in the life of a subscription
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15

    kinds: dict[str, type[hashes.HashAlgorithm]] = {"1": hashes.SHA1, "2": hashes.SHA256}
    kind = kinds.get(str(payload.get("SignatureVersion")))
    if kind is None:
        raise PushRefused(403, phrase("refusal.sns_version"))
    signed = "".join(f"{name}\n{_text(payload, name)}\n" for name in _SIGNED)
    try:
        signature = base64.b64decode(_text(payload, "Signature"), validate=True)
        key = _signer_key(certificate, now)
        key.verify(signature, signed.encode(), PKCS1v15(), kind())
    except (InvalidSignature, UnsupportedAlgorithm, binascii.Error, ValueError):
        raise PushRefused(403, phrase("refusal.sns_signature")) from None


def _signer_key(pem: bytes, now: datetime) -> RSAPublicKey:
    """The key of a certificate of SNS that is valid now. Raises ValueError."""
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from cryptography.x509.oid import NameOID

    certificate = x509.load_pem_x509_certificate(pem)
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    if not any(_SIGNER.fullmatch(str(name.value)) for name in names):
        raise ValueError("the certificate is not that of SNS")
    if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
        raise ValueError("the certificate is not valid now")
    key = certificate.public_key()
    if not isinstance(key, RSAPublicKey):
        raise ValueError("the certificate has no RSA key")
    return key


def _check_address(url: str, field: str) -> None:
    """Raises PushRefused(422) for anything but https to a host of SNS."""
    try:
        parts = urlsplit(url)
        port, host = parts.port, parts.hostname or ""
    except ValueError:
        port, host, parts = None, "", urlsplit("")
    plain_host = parts.netloc.lower() in (host, f"{host}:443")  # no user, no other port
    if parts.scheme != "https" or port not in (None, 443) or not plain_host:
        host = ""
    if not _HOST.fullmatch(host) or any(char.isspace() or ord(char) < 33 for char in url):
        raise PushRefused(422, phrase("refusal.sns_address", field=field))


def _text(payload: dict[str, Any], name: str) -> str:
    """A field of the handshake. Raises PushRefused(422)."""
    value = payload.get(name)
    if not isinstance(value, str) or not value:
        raise PushRefused(422, phrase("refusal.no_text", field=name))
    return value
