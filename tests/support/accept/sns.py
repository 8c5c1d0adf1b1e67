"""Amazon SNS: a handshake, and the certificate that it is signed by."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID

NOW = datetime(2026, 11, 30, tzinfo=UTC)
HOST = "https://sns.eu-central-1.amazonaws.com"
SUBSCRIBE = f"{HOST}/?Action=ConfirmSubscription&TopicArn=arn:aws:sns:eu-central-1:1:t&Token=abc"
CERTIFICATE = f"{HOST}/SimpleNotificationService-0123.pem"
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)


def certificate(name: str = "sns.amazonaws.com", days: int = 30) -> bytes:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(KEY.public_key())
        .serial_number(1)
        .not_valid_before(NOW - timedelta(days=60))
        .not_valid_after(NOW + timedelta(days=days))
        .sign(KEY, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM)


def handshake(version: str = "1", **changed: Any) -> dict[str, Any]:
    """A confirmation as SNS signs it; `changed` is what somebody did to it on the way."""
    sent: dict[str, Any] = {
        "Type": "SubscriptionConfirmation",
        "MessageId": "165545c9-2a5c",
        "Token": "abc",
        "TopicArn": "arn:aws:sns:eu-central-1:1:t",
        "Message": "You have chosen to subscribe to the topic.\nVisit the SubscribeURL.",
        "SubscribeURL": SUBSCRIBE,
        "Timestamp": "2026-11-30T00:00:00.000Z",
        "SignatureVersion": version,
        "SigningCertURL": CERTIFICATE,
    }
    sent.update({name: changed.pop(name) for name in ("SubscribeURL",) if name in changed})
    names = "Message MessageId SubscribeURL Timestamp Token TopicArn Type"
    signed = "".join(f"{name}\n{sent[name]}\n" for name in names.split())
    kind = hashes.SHA1() if version == "1" else hashes.SHA256()
    signature = KEY.sign(signed.encode(), padding.PKCS1v15(), kind)
    return {**sent, "Signature": base64.b64encode(signature).decode(), **changed}
