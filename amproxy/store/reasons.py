"""Reasons for which Redis is away, in words for an operator, taken from redis-py's errors.

No text has a password, nor an address with one.
"""

from __future__ import annotations

import errno
import socket
import ssl
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from redis.asyncio.sentinel import MasterNotFoundError
from redis.exceptions import AuthenticationError, NoPermissionError

LONGEST_REASON = 300  # characters
_WRONG = "invalid username-password pair"  # redis-py leaves out the code WRONGPASS

_SYSTEM_WORDS: Final = {
    errno.ECONNREFUSED: "refuses connections: no Redis runs there, or it listens on another port",
    errno.ECONNRESET: "closed the connection; where none ever works, it may expect TLS (rediss://)",
    errno.ENOENT: "is not there: no Redis runs with this socket, or a file named for TLS lacks",
    errno.EACCES: "cannot be opened: amproxy's user has no permission",
    errno.EHOSTUNREACH: "cannot be reached: there is no route to this host",
    errno.ENETUNREACH: "cannot be reached: there is no route to this network",
    errno.EMFILE: "cannot be reached: amproxy has no file descriptor left",
}


def place_of(url: str) -> str:
    """Host and port of a URL of Redis, or its path; never a user, a password or an option."""
    parts = urlsplit(url)
    return parts.netloc.rpartition("@")[2] or parts.path


class Failure(NamedTuple):
    """A connection that could not be made, or broke."""

    reason: str
    lasting: bool  # it stays so until somebody changes a setting: not just an end of Redis


def describe_failure(error: BaseException, place: str) -> Failure:
    """The reason for a failure of the connection to `place`."""
    if isinstance(error, BaseExceptionGroup):
        # The parts of one connection. Where several fail, it is for one reason.
        return describe_failure(error.exceptions[0], place)
    for cause in _causes(error):
        if words := _words(cause, place):
            is_end = isinstance(cause, ConnectionError | TimeoutError | FileNotFoundError)
            return Failure(words[:LONGEST_REASON], not is_end)
    return Failure(f"{place}: {error}"[:LONGEST_REASON], lasting=False)


def _causes(error: BaseException) -> list[BaseException]:
    """The error and those that it came from, the last of which is the system's."""
    found: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in found:
        found.append(cause)
        cause = cause.__cause__ or cause.__context__
    return found


def _words(error: BaseException, place: str) -> str:
    """The words for an error that has some, "" for others."""
    text = str(error)
    if isinstance(error, MasterNotFoundError):  # its text has the settings of the connection
        return f"the sentinels {place} do not answer, or know no master of this name"
    if isinstance(error, AuthenticationError) or text.startswith(("NOAUTH", "WRONGPASS")):
        return _words_of_sign_in(text, place)
    if isinstance(error, NoPermissionError) or text.startswith("NOPERM"):
        reason = text.removeprefix("NOPERM ")
        return f"{place} does not let this user do what amproxy needs (NOPERM {reason})"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"TLS: the certificate of {place} is not trusted: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        reason = (error.reason or text).replace("_", " ").lower()
        return f"TLS with {place} fails: {reason}"
    if isinstance(error, OSError):
        return _words_of_system(error, place)
    return ""


def _words_of_sign_in(text: str, place: str) -> str:
    if text.startswith("NOAUTH") or text.startswith("Authentication required"):
        reason = text.removeprefix("NOAUTH ")
        return f"{place} demands a password, and the URL has none (NOAUTH {reason})"
    code = "WRONGPASS " if text.startswith(_WRONG) else ""
    return f"{place} does not take the user or the password of the URL ({code}{text})"


def _words_of_system(error: OSError, place: str) -> str:
    if isinstance(error, socket.gaierror):
        return f"the host of {place} cannot be resolved: {error.strerror}"
    if isinstance(error, TimeoutError):
        return f"{place} does not answer in time: a firewall, or TLS where Redis speaks none?"
    if words := _SYSTEM_WORDS.get(error.errno or 0):
        return f"{place} {words}"
    return f"{place}: {error.strerror or error}"
