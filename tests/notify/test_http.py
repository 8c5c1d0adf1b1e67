"""What all HTTP channels share: how long to wait, what a status means, and how a call fails."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import AsyncIterator, Iterator
from email.utils import formatdate

import httpx
import pytest
import respx

from amproxy import clock
from amproxy.errors import DeliveryError
from amproxy.notify.channels.http import (
    BODY_LIMIT,
    HttpClients,
    RemoteResponse,
    parse_retry_after,
    response_error,
    send_request,
)

URL = "https://hooks.test/s3cret"


@pytest.fixture
def router() -> Iterator[respx.MockRouter]:
    with respx.mock as started:
        yield started


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    clients = HttpClients()
    yield clients.client()
    await clients.close()


@pytest.mark.parametrize(
    ("stated", "seconds"),
    [
        *(("5", 5.0), (7, 7.0), ("0.25", 0.25), ("0", 0.0), ("99999", 3600.0)),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0),
        *(("-3", None), ("nan", None), ("1e999", None), ("soon", None), ("", None)),
        *((None, None), (True, None), ([], None)),
    ],
)
def test_a_wait_is_clamped_and_nonsense_is_ignored(stated: object, seconds: float | None) -> None:
    assert parse_retry_after(stated) == seconds


def test_a_wait_until_a_date_is_counted_from_now() -> None:
    wait = parse_retry_after(formatdate(clock.now() + 60, usegmt=True))
    assert wait is not None
    assert 55 < wait <= 60


@pytest.mark.parametrize(
    ("status", "permanent", "reason", "ambiguous"),
    [
        *((302, True, "client_error", False), (400, True, "client_error", False)),
        *((401, True, "auth_error", False), (403, True, "auth_error", False)),
        *((408, False, "timeout", False), (425, False, "timeout", False)),
        (429, False, "rate_limited", False),
        *((500, False, "server_error", False), (503, False, "server_error", False)),
        (504, False, "server_error", True),
    ],
)
def test_a_status_says_whether_to_try_again(
    status: int, *, permanent: bool, reason: str, ambiguous: bool
) -> None:
    error = response_error(
        RemoteResponse(status, httpx.Headers(), b""), "Somebody", "words\nof theirs"
    )
    assert (error.permanent, error.reason, error.ambiguous) == (permanent, reason, ambiguous)
    assert str(error) == f"Somebody: {status} words of theirs"


@pytest.mark.parametrize(
    ("status", "stated", "wait"),
    [
        *((429, "17", 17.0), (503, "0.5", 0.5), (408, "Wed, 21 Oct 2015 07:28:00 GMT", 0.0)),
        *((429, "99999", 3600.0), (500, "soon", None)),
        *((400, "17", None), (403, "17", None), (301, "17", None)),  # no later attempt follows
    ],
)
async def test_a_failure_waits_as_its_retry_after_says(
    router: respx.MockRouter,
    client: httpx.AsyncClient,
    status: int,
    stated: str,
    wait: float | None,
) -> None:
    router.post(URL).respond(status, headers={"Retry-After": stated})
    response = await send_request(client, "Somebody", URL)
    assert response_error(response, "Somebody").retry_after == wait


@pytest.mark.parametrize("location", ["https://elsewhere.test/", "/elsewhere"])
async def test_a_redirect_comes_back_as_it_is(
    router: respx.MockRouter, client: httpx.AsyncClient, location: str
) -> None:
    router.post(URL).respond(307, headers={"Location": location})
    assert (await send_request(client, "Somebody", URL)).status == 307
    assert len(router.calls) == 1


@pytest.mark.parametrize(
    ("limit", "wanted"), [(BODY_LIMIT, b'["' + b"x" * (BODY_LIMIT - 2)), (5, b'["xxx')]
)
async def test_a_long_body_is_cut_and_is_no_json_then(
    router: respx.MockRouter, client: httpx.AsyncClient, limit: int, wanted: bytes
) -> None:
    router.post(URL).respond(content=b'["' + b"x" * 2 * BODY_LIMIT + b'"]')
    response = await send_request(client, "Somebody", URL, limit=limit)
    assert response.body == wanted
    assert response.json() is None


async def test_a_body_that_fits_is_read_whole(
    router: respx.MockRouter, client: httpx.AsyncClient
) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for chunk in (b'{"o', b'k":', b"true}"):
            yield chunk

    router.get(URL).mock(return_value=httpx.Response(200, content=chunks()))
    response = await send_request(client, "Somebody", URL, method="GET", limit=11)
    assert response.json() == {"ok": True}


async def test_a_body_that_stalls_ends_with_the_time_of_the_whole_call(
    router: respx.MockRouter, client: httpx.AsyncClient
) -> None:
    async def stalling() -> AsyncIterator[bytes]:
        yield b"begun"
        await asyncio.Event().wait()

    router.post(URL).mock(return_value=httpx.Response(200, content=stalling()))
    with pytest.raises(DeliveryError, match=r"^Somebody: no answer in time$") as caught:
        await send_request(client, "Somebody", URL, within=0.05)
    assert (caught.value.reason, caught.value.ambiguous) == ("timeout", True)


@pytest.mark.parametrize(
    ("kind", "text", "reason", "permanent", "ambiguous"),
    [
        (httpx.ConnectTimeout, "no connection in time", "timeout", False, False),
        (httpx.PoolTimeout, "no connection in time", "timeout", False, False),
        (httpx.ReadTimeout, "no answer in time", "timeout", False, True),
        (httpx.WriteTimeout, "no answer in time", "timeout", False, True),
        (httpx.ProxyError, "the proxy refused", "network", False, False),
        (httpx.ReadError, "the connection broke (ReadError)", "network", False, True),
        (httpx.WriteError, "the connection broke (WriteError)", "network", False, True),
        (
            *(httpx.RemoteProtocolError, "the connection broke (RemoteProtocolError)"),
            *("network", False, True),
        ),
        (
            *(httpx.LocalProtocolError, "the address or a header is not valid"),
            *("client_error", True, False),
        ),
        (
            *(httpx.UnsupportedProtocol, "the address or a header is not valid"),
            *("client_error", True, False),
        ),
    ],
)
async def test_a_call_without_an_answer_fails_and_shows_no_url(
    router: respx.MockRouter,
    client: httpx.AsyncClient,
    kind: type[httpx.RequestError],
    text: str,
    reason: str,
    *,
    permanent: bool,
    ambiguous: bool,
) -> None:
    router.post(URL).mock(side_effect=kind(f"trouble with {URL}"))
    with pytest.raises(DeliveryError) as caught:
        await send_request(client, "Somebody", URL)
    error = caught.value
    assert str(error) == f"Somebody: {text}"
    assert (error.reason, error.permanent, error.ambiguous) == (reason, permanent, ambiguous)
    assert "s3cret" not in "".join(traceback.format_exception_only(error))
    assert error.__suppress_context__  # a logged traceback would show httpx's own error


async def test_a_refused_connection_is_shown_in_one_line(
    router: respx.MockRouter, client: httpx.AsyncClient
) -> None:
    router.post(URL).mock(side_effect=httpx.ConnectError("certificate\nhas expired" + "!" * 500))
    with pytest.raises(DeliveryError) as caught:
        await send_request(client, "Somebody", URL)
    assert str(caught.value).startswith("Somebody: no connection: certificate has expired!")
    assert len(str(caught.value)) < 250
    assert (caught.value.reason, caught.value.ambiguous) == ("network", False)


@pytest.mark.parametrize("url", ["https://x:port/s3cret", "https://[::1/s3cret"])
async def test_an_address_that_is_none_fails_for_good_and_is_not_shown(
    router: respx.MockRouter, client: httpx.AsyncClient, url: str
) -> None:
    with pytest.raises(DeliveryError) as caught:
        await send_request(client, "Somebody", url)
    assert caught.value.permanent
    assert str(caught.value) == "Somebody: the address or a header is not valid"
    assert not router.calls


async def test_many_calls_that_hang_delay_no_other_over_the_same_client(
    client: httpx.AsyncClient,
) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        if b"GET /quick" in request:
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
            await writer.drain()
        else:
            await reader.read()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0, backlog=512) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with asyncio.TaskGroup() as group:
            hanging = [
                group.create_task(send_request(client, "Somebody", f"{url}/hang", method="GET"))
                for _ in range(160)
            ]
            await asyncio.sleep(0)
            response = await send_request(client, "Somebody", f"{url}/quick", method="GET")
            assert response.status == 200
            for task in hanging:
                task.cancel()
