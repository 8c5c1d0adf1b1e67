"""The encryption of one push for one browser: RFC 8291, in the coding aes128gcm of RFC 8188.

The whole message is one record: nothing that fits into a push needs a second one.
"""

from __future__ import annotations

import os
from typing import Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from amproxy.notify.channels.push.vapid import decode_base64url, public_bytes

MAX_BODY: Final = 4096  # bytes of an encrypted message, which every push service takes
_SALT_BYTES, _TAG_BYTES, _AUTH_BYTES, _POINT_BYTES = 16, 16, 16, 65
_RECORD_SIZE: Final = MAX_BODY
# Salt, record size, length of the key, key; behind the text a byte that ends it, and the tag.
_HEADER_BYTES: Final = _SALT_BYTES + 4 + 1 + _POINT_BYTES
MAX_TEXT: Final = MAX_BODY - _HEADER_BYTES - 1 - _TAG_BYTES  # bytes before encryption
_LAST_RECORD: Final = b"\x02"


class BadKeys(ValueError):
    """Keys of a browser that are none."""


def parse_browser_keys(p256dh: str, auth: str) -> tuple[ec.EllipticCurvePublicKey, bytes]:
    """The public key and the secret of a subscription. Raises BadKeys."""
    try:
        point, shared = decode_base64url(p256dh), decode_base64url(auth)
        key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
    except ValueError:
        raise BadKeys("no point on P-256") from None
    if len(point) != _POINT_BYTES or len(shared) != _AUTH_BYTES:
        raise BadKeys("keys of another length")
    return key, shared


def encrypt(text: bytes, p256dh: str, auth: str) -> bytes:
    """The body of a push; text: at most MAX_TEXT bytes (ValueError). Raises BadKeys."""
    if len(text) > MAX_TEXT:
        raise ValueError(f"{len(text)} bytes do not fit into a push")
    browser, shared = parse_browser_keys(p256dh, auth)
    own, salt = ec.generate_private_key(ec.SECP256R1()), os.urandom(_SALT_BYTES)
    sender, receiver = public_bytes(own.public_key()), public_bytes(browser)
    secret = own.exchange(ec.ECDH(), browser)
    material = _derive(shared, secret, b"WebPush: info\0" + receiver + sender, 32)
    key = _derive(salt, material, b"Content-Encoding: aes128gcm\0", 16)
    nonce = _derive(salt, material, b"Content-Encoding: nonce\0", 12)
    header = salt + _RECORD_SIZE.to_bytes(4, "big") + bytes((len(sender),)) + sender
    return header + AESGCM(key).encrypt(nonce, text + _LAST_RECORD, None)


def _derive(salt: bytes, material: bytes, info: bytes, length: int) -> bytes:
    return HKDF(algorithm=hashes.SHA256(), length=length, salt=salt, info=info).derive(material)
