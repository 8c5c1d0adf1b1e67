"""The key that identifies amproxy to push services, and what it signs with it (VAPID, RFC 8292)."""

from __future__ import annotations

import base64
import binascii
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from joserfc import jwt
from joserfc.jwk import ECKey

from amproxy.errors import DeliveryError
from amproxy.notify.channels.push.settings import PushSettings
from amproxy.secret import reveal, short_lived
from amproxy.text import phrase

LIFETIME: Final = 12 * 3600.0  # seconds that a token is good for; services refuse more than 24 h
_RENEW_BEFORE: Final = 3600.0  # seconds before its end at which a token is not used any more
_MAX_TOKENS: Final = 100  # push services are few
_SCALAR_BYTES: Final = 32


def make_key() -> str:
    """A new private key on P-256 in the form that `push_vapid_key` takes: base64url, 32 bytes."""
    number = ec.generate_private_key(ec.SECP256R1()).private_numbers().private_value
    return encode_base64url(number.to_bytes(_SCALAR_BYTES, "big"))


def parse_key(text: str) -> ec.EllipticCurvePrivateKey:
    """A private key on P-256 from base64url, as Web Push tools print it, or PEM.

    Raises ValueError.
    """
    if "-----BEGIN" in text:
        try:
            found = serialization.load_pem_private_key(text.encode(), None)
        except (TypeError, UnsupportedAlgorithm) as error:  # encrypted; an unknown curve
            raise ValueError(str(error)) from None
        if isinstance(found, ec.EllipticCurvePrivateKey) and found.curve.name == "secp256r1":
            return found
        raise ValueError("no key on P-256")
    data = decode_base64url(text)
    if len(data) != _SCALAR_BYTES:
        raise ValueError("not 32 bytes")
    return ec.derive_private_key(int.from_bytes(data, "big"), ec.SECP256R1())


def public_bytes(key: ec.EllipticCurvePublicKey) -> bytes:
    """The 65 bytes of a point that is not compressed."""
    return key.public_bytes(
        serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
    )


def encode_base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def decode_base64url(text: str) -> bytes:
    """The bytes of base64url, padded or not. Raises ValueError."""
    text = text.strip().rstrip("=")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except binascii.Error as error:
        raise ValueError(str(error)) from None


def public_key(settings: PushSettings) -> str:
    """The public key that browsers subscribe to, base64url. Raises DeliveryError."""
    return encode_base64url(public_bytes(load_key(settings).public_key()))


def load_key(settings: PushSettings) -> ec.EllipticCurvePrivateKey:
    """The file's key, else amproxy's own. Raises DeliveryError (permanent) where none is usable."""
    try:
        text = reveal(settings.vapid_key, settings.vapid_key_file) or settings.made_key.reveal()
        return parse_key(text)
    except (OSError, UnicodeError) as error:
        words = phrase(
            "failure.file_unread", service="push", key="push_vapid_key_file", said=str(error)
        )
    except ValueError:
        words = phrase("failure.vapid_key")
    raise DeliveryError(words, permanent=True)


class VapidToken(NamedTuple):
    text: str
    ends: float  # Unix seconds


class Signer:
    """Signs for push services; a token is used again while it lasts."""

    def __init__(self) -> None:
        self._tokens: dict[tuple[str, ...], VapidToken] = {}

    def authorization(self, settings: PushSettings, endpoint: str, subject: str, now: float) -> str:
        """The header `Authorization` of a push. now: Unix seconds. Raises DeliveryError.

        subject: where the push service's people can write to, an https or mailto URL.
        """
        key, parts = load_key(settings), urlsplit(endpoint)
        audience, public = f"{parts.scheme}://{parts.netloc}", public_key(settings)
        known = self._tokens.get((audience, public, subject))
        if known is None or not now <= known.ends - _RENEW_BEFORE <= now + LIFETIME:
            known = VapidToken(_sign(key, audience, subject, now + LIFETIME), now + LIFETIME)
            if len(self._tokens) >= _MAX_TOKENS:
                self._tokens.clear()
            self._tokens[audience, public, subject] = known
        return f"vapid t={known.text}, k={public}"


def _sign(key: ec.EllipticCurvePrivateKey, audience: str, subject: str, ends: float) -> str:
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    claims = {"aud": audience, "exp": int(ends), "sub": subject}
    signing = ECKey.import_key(short_lived(pem.decode()).reveal())
    return jwt.encode({"typ": "JWT", "alg": "ES256"}, claims, signing, algorithms=["ES256"])


def subject_of(url: str) -> str:
    """The contact of this service from an address of its pages: its origin, if that is https."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme == "https" and host:
        return f"https://{parts.netloc}"
    # Apple refuses a name without a dot.
    return f"mailto:amproxy@{host if '.' in host and not host[-1].isdigit() else 'example.org'}"
