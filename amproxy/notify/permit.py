"""The permit to send a message, asked for once, when the first byte is next.

A connection may take seconds, and many messages are prepared at once: a permit from before all that
would say little of the moment of sending, and what a process that died meanwhile never sent would
count as sent. Channels ask by `obtain_permit`, wherever they write first; those that speak HTTP do
so by `send_request`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Iterator
from contextvars import ContextVar


class Permit:
    """The permit of one message that a channel is about to send."""

    def __init__(self, ask: Callable[[], Awaitable[bool]]) -> None:
        """ask: True where an earlier attempt may have arrived; raises where nothing may be sent."""
        self._ask = ask
        self.obtained = False
        self.is_copy = False  # known once it is obtained

    async def obtain(self) -> None:
        """Ask, the first time. Raises what `ask` raises."""
        if not self.obtained:
            self.is_copy = await self._ask()
            self.obtained = True


_current: ContextVar[Permit | None] = ContextVar("permit", default=None)


@contextlib.contextmanager
def sending_by(permit: Permit) -> Iterator[None]:
    """Let `obtain_permit` ask for this one, in this task."""
    token = _current.set(permit)
    try:
        yield
    finally:
        _current.reset(token)


async def obtain_permit() -> None:
    """Ask whether the message that is being sent may go out; nothing where none is being sent.

    Raises StoreUnavailable, NotOurs, Throttled: then nothing must be sent.
    """
    permit = _current.get()
    if permit is not None:
        await permit.obtain()


def may_have_left() -> bool:
    """Decide whether something of what is being sent may be on its way."""
    permit = _current.get()
    return permit is None or permit.obtained
