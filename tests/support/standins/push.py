"""A push service on loopback, and the browsers that subscribe at it: decrypts what comes, and refuses what a real one refuses."""

from __future__ import annotations

import base64
import json
import re
import ssl
import time
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import http_ece  # type: ignore[import-untyped]
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from tests.support.standins.services import ServiceStandIn, check
from tests.support.standins.serving import Request, Response, Server

MOST_BYTES = 4096
MOST_TTL = 2_419_200  # seconds; FCM refuses more
_DAY = 86400


class Pushed(NamedTuple):
    """One notification as the browser's worker gets it, and the headers that it came with."""

    message: dict[str, Any]
    ttl: int
    urgency: str
    topic: str


@dataclass
class Phone:
    """One subscription. `key` is the application server's, that a browser ties it to."""

    endpoint: str
    key: str
    private: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )
    auth: bytes = bytes(range(16))
    ended: bool = False
    trouble: int = 0  # the status of every answer about it, in place of the right one
    pushed: list[Pushed] = field(default_factory=list)

    @property
    def fields(self) -> dict[str, str]:
        """What the page posts about it."""
        point = self.private.public_key().public_bytes(
            serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
        )
        return {"endpoint": self.endpoint, "p256dh": encode(point), "auth": encode(self.auth)}


class PushStandIn(ServiceStandIn):
    """`with PushStandIn(certificate.context()) as service:`; `service.phone(key)` subscribes."""

    def __init__(self, tls: ssl.SSLContext) -> None:
        super().__init__()
        self._server = Server(self._handle, tls, secure=True)
        self.phones: dict[str, Phone] = {}
        self.subjects: list[str] = []

    @property
    def url(self) -> str:
        return self._server.address.replace("127.0.0.1", "localhost")

    def phone(self, key: str) -> Phone:
        path = f"/push/secret-{len(self.phones)}-{'x' * 60}"
        self.phones[path] = Phone(self.url + path, key)
        return self.phones[path]

    def take(self, request: Request) -> Response:
        phone = self.phones.get(request.path)
        check(phone is not None, 404, {"reason": "no such subscription"})
        assert phone is not None
        if phone.trouble:
            return Response(phone.trouble)
        check(not phone.ended, 410, {"reason": "Unregistered"})
        check(request.method == "POST", 405, {"reason": "method"})
        self._check_vapid(request.headers, phone)
        ttl, topic = request.headers.get("ttl", ""), request.headers.get("topic", "")
        urgency = request.headers.get("urgency", "normal")
        check(ttl.isdigit() and int(ttl) <= MOST_TTL, 400, {"reason": "TTL"})
        check(urgency in ("very-low", "low", "normal", "high"), 400, {"reason": "Urgency"})
        check(re.fullmatch(r"[A-Za-z0-9_-]{0,32}", topic), 400, {"reason": "Topic"})
        coding = request.headers.get("content-encoding")
        check(coding == "aes128gcm", 415, {"reason": "Content-Encoding"})
        check(len(request.body) <= MOST_BYTES, 413, {"reason": "too large"})
        text = http_ece.decrypt(request.body, private_key=phone.private, auth_secret=phone.auth)
        phone.pushed.append(Pushed(json.loads(text), int(ttl), urgency, topic))
        return Response(201, headers={"Location": f"{self.url}/message/1"})

    def _check_vapid(self, headers: dict[str, str], phone: Phone) -> None:
        """As RFC 8292 demands, and the services besides."""
        found = re.fullmatch(r"vapid t=([\w-]+)\.([\w-]+)\.([\w-]+), k=([\w-]+)", headers.get("authorization", ""))  # fmt: skip
        check(found, 401, {"reason": "no VAPID"})
        assert found is not None
        head, claims, signature, key = found.groups()
        check(key == phone.key, 403, {"reason": "subscribed to another key"})
        public = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), decode(key))
        raw = decode(signature)
        check(len(raw) == 64, 403, {"reason": "signature"})
        der = encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
        try:
            public.verify(der, f"{head}.{claims}".encode(), ec.ECDSA(hashes.SHA256()))
        except InvalidSignature:
            check(False, 403, {"reason": "signature"})
        said, kind = json.loads(decode(claims)), json.loads(decode(head))
        check(kind.get("alg") == "ES256", 403, {"reason": "alg"})
        check(said.get("aud") == self.url, 403, {"reason": "aud"})
        check(0 < said.get("exp", 0) - time.time() <= _DAY, 403, {"reason": "exp"})
        subject = urlsplit(said.get("sub", ""))
        check(subject.scheme in ("mailto", "https"), 403, {"reason": "sub"})
        self.subjects.append(said["sub"])


def encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
