"""The handshake of Amazon SNS: confirmed for SNS alone, and nothing else is ever asked."""

from __future__ import annotations

from typing import Any

import pytest

from amproxy.accept import sns
from amproxy.accept.body import PushRefused
from tests.support.accept.sns import CERTIFICATE, HOST, NOW, SUBSCRIBE, certificate, handshake


async def asked(message: dict[str, Any], pem: bytes | None = None) -> tuple[int, list[str]]:
    """The status (200: confirmed or nothing to do), and the addresses that were asked."""
    addresses: list[str] = []

    async def fetch(url: str) -> bytes:
        addresses.append(url)
        return pem or certificate()

    try:
        await sns.answer_handshake(message, NOW, fetch)
    except PushRefused as error:
        return error.status, addresses
    return 200, addresses


@pytest.mark.parametrize("version", ["1", "2"])
async def test_a_subscription_that_sns_signed_is_confirmed(version: str) -> None:
    assert await asked(handshake(version)) == (200, [CERTIFICATE, SUBSCRIBE])


async def test_the_end_of_a_subscription_is_left_alone() -> None:
    assert await asked(handshake(Type="UnsubscribeConfirmation")) == (200, [])


@pytest.mark.parametrize(
    "url",
    [
        SUBSCRIBE.replace("https", "http"),
        SUBSCRIBE.replace("amazonaws.com", "amazonaws.com.evil.example"),
        SUBSCRIBE.replace("https://sns.", "https://evil.example/sns."),
        SUBSCRIBE.replace("https://", "https://user@"),
        SUBSCRIBE.replace(".com/", ".com:8443/"),
        SUBSCRIBE.replace(HOST, "https://evil.example#.sns.eu-central-1.amazonaws.com"),
        SUBSCRIBE.replace(HOST, "https://s3.eu-central-1.amazonaws.com"),
        SUBSCRIBE.replace(HOST, "https://sns.eu-central-1.amazonaws.com\\@evil.example"),
        SUBSCRIBE.replace(HOST, "https://127.0.0.1"),
        SUBSCRIBE.replace(HOST, "https://[::1"),
        SUBSCRIBE.replace("ConfirmSubscription", "DeleteTopic"),
        SUBSCRIBE + " x",
        "",
        7,
        None,
    ],
)
async def test_no_address_but_that_of_sns_is_asked(url: Any) -> None:
    assert await asked(handshake(SubscribeURL=url)) == (422, [])


@pytest.mark.parametrize(
    "url",
    [
        CERTIFICATE.replace("https", "http"),
        CERTIFICATE.replace(".pem", ".txt"),
        CERTIFICATE.replace(HOST, "https://bucket.s3.amazonaws.com"),
        CERTIFICATE.replace(HOST, "https://sns.evil.example"),
    ],
)
async def test_no_certificate_but_that_of_sns_is_asked_for(url: str) -> None:
    assert await asked(handshake(SigningCertURL=url)) == (422, [])


@pytest.mark.parametrize(
    "changed",
    [
        {"Token": "other"},
        {"Message": "other"},
        {"Signature": "AAAA"},
        {"Signature": "not base64!"},
        {"SignatureVersion": "3"},
        {"SignatureVersion": None},
        {"TopicArn": "arn:aws:sns:eu-central-1:666:theirs"},
    ],
)
async def test_what_sns_did_not_sign_is_not_confirmed(changed: dict[str, Any]) -> None:
    status, addresses = await asked(handshake(**changed))
    assert (status, SUBSCRIBE in addresses) == (403, False)


@pytest.mark.parametrize(
    "pem",
    [certificate("evil.example"), certificate(days=-1), b"no certificate"],
    ids=["another's", "too old", "none"],
)
async def test_a_certificate_that_is_not_sns_or_not_valid_confirms_nothing(pem: bytes) -> None:
    assert await asked(handshake(), pem) == (403, [CERTIFICATE])
