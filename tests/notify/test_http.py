"""What all HTTP channels share: how long to wait, and what a status means."""

from __future__ import annotations

from email.utils import formatdate

import httpx
import pytest

from amproxy import clock
from amproxy.notify.channels.http import RemoteResponse, parse_retry_after, response_error


@pytest.mark.parametrize(
    ("stated", "seconds"),
    [
        *(("5", 5.0), (7, 7.0), ("0.25", 0.25), ("0", 0.0), ("99999", 3600.0), ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0)),
        *(("-3", None), ("nan", None), ("1e999", None), ("soon", None), ("", None), (None, None), (True, None), ([], None)),
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
        *((302, True, "client_error", False), (400, True, "client_error", False), (401, True, "auth_error", False)),
        *((403, True, "auth_error", False), (408, False, "timeout", False), (425, False, "timeout", False)),
        *((429, False, "rate_limited", False), (500, False, "server_error", True), (503, False, "server_error", True)),
    ],
)
def test_a_status_says_whether_to_try_again(status: int, *, permanent: bool, reason: str, ambiguous: bool) -> None:
    error = response_error(RemoteResponse(status, httpx.Headers(), b""), "Somebody", "words\nof theirs")
    assert (error.permanent, error.reason, error.ambiguous) == (permanent, reason, ambiguous)
    assert str(error) == f"Somebody: {status} words of theirs"
