"""Reasons for which Redis is away, as phrases for an operator, taken from redis-py's errors.

No phrase has a password, nor an address with one.
"""

from __future__ import annotations

import errno
import socket
import ssl
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from redis.asyncio.sentinel import MasterNotFoundError
from redis.exceptions import AuthenticationError, NoPermissionError

from amproxy.errors import StoreUnavailable
from amproxy.text import Phrase, phrase

LONGEST_SAID: Final = 300  # characters of what Redis or the system says
_WRONG = "invalid username-password pair"  # redis-py leaves out the code WRONGPASS

_SYSTEM_KEYS: Final = {
    errno.ECONNREFUSED: "redis.refuses",
    errno.ECONNRESET: "redis.reset",
    errno.ENOENT: "redis.no_socket",
    errno.EACCES: "redis.no_access",
    errno.EHOSTUNREACH: "redis.no_route",
    errno.ENETUNREACH: "redis.no_network",
    errno.EMFILE: "redis.no_descriptor",
}


def place_of(url: str) -> str:
    """Host and port of a URL of Redis, or its path; never a user, a password or an option."""
    parts = urlsplit(url)
    return parts.netloc.rpartition("@")[2] or parts.path


class Failure(NamedTuple):
    """A connection that could not be made, or broke."""

    reason: Phrase
    lasting: bool  # it stays so until somebody changes a setting: not just an end of Redis


def describe_failure(error: BaseException, place: str) -> Failure:
    """The reason for a failure of the connection to `place`."""
    for cause in _causes(error):
        if reason := _reason(cause, place):
            is_end = isinstance(cause, ConnectionError | TimeoutError | FileNotFoundError)
            return Failure(reason, not is_end)
    if isinstance(error, StoreUnavailable) and isinstance(error.words, Phrase):
        return Failure(phrase("redis.said", place=place, said=error.words), lasting=False)
    return Failure(_said(place, str(error)), lasting=False)


def _causes(error: BaseException) -> list[BaseException]:
    """The error and those that it came from, the last of which is the system's."""
    found: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in found:
        found.append(cause)
        cause = cause.__cause__ or cause.__context__
    return found


def _reason(error: BaseException, place: str) -> Phrase | None:
    """The reason for an error that is known, None for others."""
    text = str(error)
    if isinstance(error, MasterNotFoundError):  # its text has the settings of the connection
        return phrase("redis.sentinels", place=place)
    if isinstance(error, AuthenticationError) or text.startswith(("NOAUTH", "WRONGPASS")):
        return _sign_in_reason(text, place)
    if isinstance(error, NoPermissionError) or text.startswith("NOPERM"):
        return _quoted("redis.permission", place, text.removeprefix("NOPERM "))
    if isinstance(error, ssl.SSLCertVerificationError):
        return _quoted("redis.certificate", place, error.verify_message)
    if isinstance(error, ssl.SSLError):
        return _quoted("redis.tls", place, (error.reason or text).replace("_", " ").lower())
    if isinstance(error, OSError):
        return _system_reason(error, place)
    return None


def _sign_in_reason(text: str, place: str) -> Phrase:
    if text.startswith("NOAUTH") or text.startswith("Authentication required"):
        return _quoted("redis.password", place, text.removeprefix("NOAUTH "))
    code = "WRONGPASS " if text.startswith(_WRONG) else ""
    return _quoted("redis.wrong_password", place, code + text)


def _system_reason(error: OSError, place: str) -> Phrase:
    if isinstance(error, socket.gaierror):
        return _quoted("redis.no_host", place, error.strerror or str(error))
    if isinstance(error, TimeoutError):
        return phrase("redis.silent", place=place)
    if key := _SYSTEM_KEYS.get(error.errno or 0):
        return Phrase(key, {"place": place})
    return _said(place, error.strerror or str(error))


def _quoted(key: str, place: str, said: str) -> Phrase:
    """A reason with the words of Redis or of the system."""
    return Phrase(key, {"place": place, "said": said[:LONGEST_SAID]})


def _said(place: str, said: str) -> Phrase:
    """Words of Redis or of the system that need no others around them."""
    quoted = phrase("refusal.quoted", text=said[:LONGEST_SAID])
    return phrase("redis.said", place=place, said=quoted)
