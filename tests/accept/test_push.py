"""The answer to a push before anything is decoded: size, encoding, tokens, headers."""

from __future__ import annotations

import gzip
import hashlib
import hmac
import json
import zlib
from pathlib import Path
from typing import Any

import pytest

from amproxy.accept.body import ClientDisconnected, PushRefused, decompress_body, read_body
from amproxy.accept.tokens import check_signature, parse_credential, source_by_token
from amproxy.config.structs import Source, Web
from amproxy.secret import Secret
from tests.support.accept.pushes import Answer, answer_of, chunk, config, request_scope

BODY = json.dumps({"alerts": [{"status": "firing", "labels": {"a": "b"}}]}).encode()
NOW = 1_767_603_600.0
POSTED = b'[{"labels":{"a":"b"}}]'
HUNG_UP = {"type": "http.disconnect"}


async def body_of(*events: dict[str, Any], limit: int = 10, **headers: str) -> bytes:
    coming = list(events)

    async def receive() -> Any:
        return coming.pop(0)

    return await read_body(request_scope(**headers), receive, limit)


async def pushed(body: bytes = BODY, /, *, sources: Any = (), **headers: str) -> Answer:
    """The answer of the webhook "am"; 503 = all is well, but for the Redis that is not there."""
    wanted = config(sources={source.name: source for source in sources})
    path = headers.pop("path", "/webhook/am")
    answer = await answer_of(wanted, request_scope(path, **headers), chunk(body))
    assert answer is not None
    return answer


# The body


async def test_a_body_in_pieces_is_put_together() -> None:
    pieces = (chunk(b"12345", more=True), chunk(b"", more=True), chunk(b"67890"))
    assert await body_of(*pieces) == b"1234567890"
    assert await body_of({"type": "http.request"}) == b""


@pytest.mark.parametrize(
    ("events", "headers"),
    [
        ((), {"content_length": "11"}),
        ((chunk(b"x" * 11),), {}),
        ((chunk(b"x" * 11),), {"content_length": "5"}),
        ((chunk(b"x" * 11),), {"content_length": "-1"}),
        ((chunk(b"x" * 6, more=True), chunk(b"x" * 6, more=True)), {}),
    ],
)
async def test_a_body_is_too_large_as_soon_as_that_is_known(
    events: tuple[dict[str, Any], ...], headers: dict[str, str]
) -> None:
    with pytest.raises(PushRefused) as refused:
        await body_of(*events, **headers)
    assert refused.value.status == 413


async def test_a_sender_that_hangs_up_gets_no_answer_and_stores_nothing() -> None:
    with pytest.raises(ClientDisconnected):
        await body_of(chunk(b"1", more=True), HUNG_UP)
    for path in ("/webhook/am", "/api/v2/alerts"):
        half = chunk(BODY[:9], more=True)
        assert await answer_of(config(), request_scope(path), half, HUNG_UP) is None


@pytest.mark.parametrize(
    ("status", "encoding", "body"),
    [
        (415, "br", BODY),
        (415, "gzip, gzip", BODY),
        (400, "gzip", b""),
        (400, "gzip", zlib.compress(BODY)),
        (400, "gzip", gzip.compress(BODY, mtime=0)[:-1]),
        (413, "gzip", gzip.compress(b"x" * 1_000_000, mtime=0)),
    ],
)
def test_a_packed_body_that_cannot_be_used_is_refused(
    status: int, encoding: str, body: bytes
) -> None:
    with pytest.raises(PushRefused) as refused:
        decompress_body(request_scope(content_encoding=encoding), body, 1_000)
    assert refused.value.status == status


@pytest.mark.parametrize("encoding", ["gzip", " X-GZIP ", "identity", ""])
def test_the_name_of_an_encoding_may_be_written_in_any_way(encoding: str) -> None:
    body = gzip.compress(BODY) if "gzip" in encoding.lower() else BODY
    assert decompress_body(request_scope(content_encoding=encoding), body, 1_000) == BODY


# The answer


async def test_a_refusal_names_its_kind_and_the_reason() -> None:
    answer = await pushed(b"{")
    assert (answer.status, answer.headers["content-type"]) == (400, "application/json")
    assert answer.body["error"] == "malformed"
    assert answer.body["detail"].startswith("the body is not JSON: Input data was truncated")
    assert answer.body["code"] == "not_json"
    assert answer.body["arguments"] == {"error": "Input data was truncated"}


async def test_the_alerts_api_answers_in_alertmanagers_form() -> None:
    scope = request_scope("/api/v2/alerts", content_type="text/plain")
    answer = await answer_of(config(), scope, chunk(POSTED))
    assert answer is not None and answer.status == 415
    message = 'unsupported media type "text/plain", only [application/json] are allowed'
    assert answer.body == {"code": 415, "message": message}


async def test_a_body_over_the_limit_of_the_file_is_refused_at_both_endpoints() -> None:
    wanted = config(web=Web(max_body=20))
    for path in ("/webhook/am", "/api/v2/alerts"):
        answer = await answer_of(wanted, request_scope(path), chunk(POSTED))
        assert answer is not None and answer.status == 413


async def test_while_redis_is_away_the_sender_learns_when_to_try_again() -> None:
    answer = await pushed()
    assert (answer.status, answer.headers["retry-after"]) == (503, "1")
    assert answer.body["error"] == "try again"


# Tokens


async def test_a_sender_without_a_token_learns_how_to_send_one() -> None:
    source = Source(name="am", token=Secret("s3cret"))
    answer = await pushed(sources=[source])
    assert (answer.status, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert answer.body["detail"].endswith("as Bearer, as Basic password or as last path element")
    assert answer.body["code"] == "source_token" and answer.body["arguments"] == {"source": "am"}
    assert "s3cret" not in json.dumps(answer.body)


@pytest.mark.parametrize(
    ("authorization", "credential"),
    [
        ("Bearer  s3cret ", "s3cret"),
        ("bearer s3cret", "s3cret"),
        ("Basic dTpwOmFzcw==", "p:ass"),
        ("BASIC OnA=", "p"),
        ("Basic bm9jb2xvbg==", ""),
        ("Basic not base64!", "not base64!"),
        ("Basic /w==", "/w=="),
        ("s3cret", ""),
        ("", ""),
    ],
)
def test_a_credential_is_what_stands_behind_the_scheme(authorization: str, credential: str) -> None:
    assert parse_credential(request_scope(authorization=authorization)) == credential


async def test_a_token_in_the_path_may_be_escaped() -> None:
    source = Source(name="am", token=Secret("a/b c"))
    assert (await pushed(sources=[source], path="/webhook/am/a%2Fb%20c")).status == 503
    assert (await pushed(sources=[source], path="/webhook/am/a%2Fb")).status == 401


async def test_a_token_file_is_read_anew_and_an_empty_one_opens_nothing(tmp_path: Path) -> None:
    file = tmp_path / "token"
    source = Source(name="am", token_file=str(file))
    answer = await pushed(sources=[source], authorization="Bearer one")
    assert (answer.status, "cannot be read" in answer.body["detail"]) == (503, True)
    file.write_text("one\n")
    assert (await pushed(sources=[source], authorization="Bearer two")).status == 401
    answer = await pushed(sources=[source], authorization="Bearer one")
    assert answer.body["detail"] != "" and "cannot be read" not in answer.body["detail"]
    file.write_text("two\n")
    assert (await pushed(sources=[source], authorization="Bearer one")).status == 401
    file.write_text(" \n")
    assert (await pushed(sources=[source])).status == 401


def test_at_the_alerts_api_the_token_alone_says_which_source_it_is() -> None:
    known = [Source(name=name, token=Secret(f"token of {name}")) for name in ("one", "two")]
    wanted = config(sources={source.name: source for source in known})
    scope = request_scope("/api/v2/alerts", authorization="Bearer token of two")
    assert source_by_token(wanted, scope) == "two"


@pytest.mark.parametrize(
    "source",
    [
        Source(name="g", hmac_secret=Secret("k")),
        Source(name="g", token=Secret("s3cret"), hmac_secret=Secret("k")),
    ],
)
def test_a_source_that_signs_cannot_push_unsigned_to_the_alerts_api(source: Source) -> None:
    scope = request_scope("/api/v2/alerts", authorization="Bearer s3cret")
    with pytest.raises(PushRefused) as refused:
        source_by_token(config(sources={"g": source}), scope)
    assert refused.value.status == 401


@pytest.mark.parametrize("client", [("127.0.0.1", 1), ("127.9.9.9", 1), ("::1", 1), None])
def test_without_sources_this_machine_may_push(client: tuple[str, int] | None) -> None:
    assert source_by_token(config(), request_scope(client=client)) == "api"


@pytest.mark.parametrize("host", ["192.0.2.1", "::ffff:192.0.2.1", "2001:db8::1", "localhost", ""])
def test_without_sources_no_other_machine_may_push(host: str) -> None:
    with pytest.raises(PushRefused) as refused:
        source_by_token(config(), request_scope(client=(host, 1)))
    assert refused.value.status == 403


# Signatures


def signature(secret: bytes, body: bytes) -> str:
    return hmac.new(secret, body, hashlib.sha256).hexdigest()


def test_a_signature_may_be_written_in_capitals_and_with_blanks(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("k\n")
    given = f" {signature(b'k', BODY).upper()} "
    scope = request_scope(x_grafana_alerting_signature=given)
    check_signature(Source(name="g", hmac_secret_file=str(file)), scope, BODY, NOW)


@pytest.mark.parametrize("stamp", ["soon", "-1", "1.5", ""])
def test_a_timestamp_that_is_no_number_signs_nothing(stamp: str) -> None:
    given = signature(b"k", stamp.encode() + b":" + BODY)
    scope = request_scope(x_grafana_alerting_signature=given, x_timestamp=stamp)
    with pytest.raises(PushRefused) as refused:
        check_signature(Source(name="g", hmac_secret=Secret("k")), scope, BODY, NOW)
    assert refused.value.status == 401


@pytest.mark.parametrize("header", ["x_timestamp", "x_sent_at"])
@pytest.mark.parametrize("age", [-301, -299, 0, 299, 301])
def test_a_signature_with_its_time_is_good_for_five_minutes(age: int, header: str) -> None:
    stamp = str(int(NOW) - age)
    given = signature(b"k", stamp.encode() + b":" + BODY)
    scope = request_scope(**{"x_grafana_alert_signature": given, header: stamp})
    source = Source(name="g", hmac_secret=Secret("k"))
    if abs(age) <= 300:
        check_signature(source, scope, BODY, NOW)
        return
    with pytest.raises(PushRefused, match=r"301 s .*are the clocks right") as refused:
        check_signature(source, scope, BODY, NOW)
    assert refused.value.status == 401


def test_a_signature_is_found_under_any_name() -> None:
    source = Source(name="g", hmac_secret=Secret("k"))
    scope = request_scope(x_request_id="0" * 32, x_shop_signature=signature(b"k", BODY))
    check_signature(source, scope, BODY, NOW)
    with pytest.raises(PushRefused, match="does not fit"):
        check_signature(source, scope, BODY + b" ", NOW)


def test_a_body_with_the_time_in_it_is_not_taken_for_one_that_was_signed_without() -> None:
    body = b"1700000000:" + BODY
    scope = request_scope(x_grafana_alert_signature=signature(b"k", body))
    with pytest.raises(PushRefused, match="does not fit"):
        check_signature(Source(name="g", hmac_secret=Secret("k")), scope, body, NOW)


def test_a_signature_of_other_letters_is_refused() -> None:
    scope = request_scope(x_grafana_alert_signature="ü" * 64)
    with pytest.raises(PushRefused, match="does not fit"):
        check_signature(Source(name="g", hmac_secret=Secret("k")), scope, BODY, NOW)


async def test_the_signature_is_over_the_packed_body() -> None:
    source, packed = Source(name="am", hmac_secret=Secret("k")), gzip.compress(BODY)
    for signed, status in ((packed, 503), (BODY, 401)):
        headers = {"x_grafana_alerting_signature": signature(b"k", signed)}
        answer = await pushed(packed, sources=[source], content_encoding="gzip", **headers)
        assert answer.status == status
