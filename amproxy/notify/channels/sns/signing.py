"""Signature Version 4 of AWS: the headers that prove whose request it is. Pure."""

from __future__ import annotations

import hashlib
import hmac
from datetime import UTC, datetime
from typing import Final
from urllib.parse import parse_qsl, quote

import httpx

from amproxy.config.structs import Struct
from amproxy.secret import Secret

_ALGORITHM: Final = "AWS4-HMAC-SHA256"
_UNRESERVED: Final = "-_.~"


class AwsCredentials(Struct, frozen=True, kw_only=True):
    """A key pair. token: of credentials that end. expires: Unix seconds; None = never."""

    access_key: str
    secret_key: Secret
    token: Secret = Secret("")
    expires: float | None = None


def signed_headers(
    url: httpx.URL,
    body: bytes,
    content_type: str,
    credentials: AwsCredentials,
    *,
    region: str,
    service: str,
    now: float,
) -> dict[str, str]:
    """The headers of a POST, its Authorization among them. now: Unix seconds."""
    at = datetime.fromtimestamp(now, UTC)
    stamp, day = at.strftime("%Y%m%dT%H%M%SZ"), at.strftime("%Y%m%d")
    headers = {
        "content-type": content_type,
        "host": url.netloc.decode("ascii"),
        "x-amz-date": stamp,
    }
    if credentials.token:
        headers["x-amz-security-token"] = credentials.token.reveal()
    names = ";".join(sorted(headers))
    scope = f"{day}/{region}/{service}/aws4_request"
    request = "\n".join(
        (
            "POST",
            # encoded once more than it goes out
            quote(url.raw_path.partition(b"?")[0].decode("ascii"), safe=f"/{_UNRESERVED}"),
            _canonical_query(url),
            *(f"{name}:{headers[name].strip()}" for name in sorted(headers)),
            "",
            names,
            hashlib.sha256(body).hexdigest(),
        )
    )
    digest = hashlib.sha256(request.encode()).hexdigest()
    key = f"AWS4{credentials.secret_key.reveal()}".encode()
    for part in (day, region, service, "aws4_request"):
        key = _hmac(key, part)
    signature = _hmac(key, "\n".join((_ALGORITHM, stamp, scope, digest))).hex()
    headers["authorization"] = (
        f"{_ALGORITHM} Credential={credentials.access_key}/{scope},"
        f" SignedHeaders={names}, Signature={signature}"
    )
    return headers


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def _canonical_query(url: httpx.URL) -> str:
    pairs = parse_qsl(url.query.decode("ascii"), keep_blank_values=True)
    encoded = [
        f"{quote(name, safe=_UNRESERVED)}={quote(value, safe=_UNRESERVED)}" for name, value in pairs
    ]
    return "&".join(sorted(encoded))
