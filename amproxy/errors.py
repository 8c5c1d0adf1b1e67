"""Errors that cross rooms: raised where they are known, handled once, at the edge."""

from __future__ import annotations

import errno
from typing import Any, Final

_OS_HINTS: Final = {
    errno.EROFS: "it lies on a read-only file system",
    errno.ENOSPC: "its disk is full: make room and start again",
    errno.EDQUOT: "its disk quota is used up: make room and start again",
    errno.EACCES: "amproxy's user lacks the permission",
    errno.EPERM: "amproxy's user lacks the permission",
    errno.EEXIST: "a file of this name is there",
    errno.ENOTDIR: "a part of this path is a file",
    errno.EAGAIN: "the system lets amproxy start no more processes (ulimit -u)",
    errno.EMFILE: "amproxy may open no more files (ulimit -n)",
    errno.ENFILE: "the system can open no more files",
    errno.ENOMEM: "there is no memory left",
}


class AmproxyError(Exception):
    """Base of all of amproxy's own errors."""


class ConfigProblem(AmproxyError):
    """One error or warning about a file.

    words: a Phrase (amproxy/text, which lies above); `message` is it in English, for terminals and
    logs. Line and column count from 1, 0 = the file as a whole. kind: of a warning, such as
    "unused".
    """

    def __init__(
        self,
        words: Any,
        *,
        file: str = "",
        line: int = 0,
        column: int = 0,
        path: str = "",
        kind: str = "",
    ) -> None:
        super().__init__(words)
        self.words, self.path, self.kind = words, path, kind
        self.file, self.line, self.column = file, line, column

    @property
    def message(self) -> str:
        return str(self.words)

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {self.message}"


class ConfigError(AmproxyError):
    """A file that cannot take effect, with all its problems."""

    def __init__(self, problems: list[ConfigProblem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems

    def __reduce__(self) -> tuple[Any, ...]:
        return ConfigError, (self.problems,)  # the text is made of them


class StoreUnavailable(AmproxyError):
    """Redis is away, or did not answer in time: nothing was promised, the caller may try again.

    words: a Phrase, or what Redis said.
    """

    def __init__(self, words: Any) -> None:
        super().__init__(words)
        self.words = words


class Conflict(AmproxyError):
    """The state forbids the action (HTTP 409); the text is for people."""


class NotFound(AmproxyError):
    """There is no such thing (HTTP 404)."""


class Uneditable(AmproxyError):
    """A change that cannot be made to the file as it is written (HTTP 422), and the reason."""


class SideProcessFailed(AmproxyError):
    """Work that was given to another process was not done.

    fault: the reason, by which `amproxy/text` has its words; said: what belongs to it.
    """

    def __init__(self, fault: str, said: str = "") -> None:
        super().__init__(fault, said)
        self.fault, self.said = fault, said


class BadCalendar(AmproxyError):
    """A calendar that cannot be used; words: the reason as a Phrase, which quotes no address."""

    def __init__(self, words: Any) -> None:
        super().__init__(words)
        self.words = words


class DeliveryError(AmproxyError):
    """A message that a channel did not deliver.

    words: a Phrase, which holds what the other side said as a value; or a text.
    permanent: the same call will never succeed (blocked, unknown chat, bad credential or payload).
    reason: label of amproxy_delivery_attempts_total: timeout, rate_limited, auth_error,
    client_error, server_error, network.
    retry_after: seconds that the other side requested; None = our own back-off.
    ambiguous: it may have been delivered after all (the answer was late, cut off or lost).
    latency: seconds that the call lasted, set by its caller; None = there was no call.
    """

    latency: float | None = None

    def __init__(
        self,
        words: Any,
        *,
        permanent: bool = False,
        reason: str = "client_error",
        retry_after: float | None = None,
        ambiguous: bool = False,
    ) -> None:
        super().__init__(words)
        self.words, self.permanent, self.reason = words, permanent, reason
        self.retry_after, self.ambiguous = retry_after, ambiguous


def os_error_words(error: OSError) -> str:
    """The system's words for an error and, where there is one, what it means here."""
    hint = _OS_HINTS.get(error.errno or 0)
    return f"{error.strerror}; {hint}" if hint else error.strerror or str(error)
