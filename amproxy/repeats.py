"""Lines of the log that would come again and again: told at once, then ever more seldom."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from amproxy.log import EventLog

FIRST_GAP: Final = 5.0  # seconds between the first two lines about one thing; doubled each time …
LONGEST_TROUBLE_GAP: Final = 300.0  # … up to this many while something is away …
LONGEST_FLOOD_GAP: Final = 60.0  # … and to this many while something floods in
MAX_REASONS: Final = 20  # reasons of one trouble that are told at once
MAX_KINDS: Final = 500  # kinds of lines that are counted apart: senders choose some of their names


class Trouble:
    """Something that may be away for long.

    It is told when it begins, again after 5, 10, 20 … seconds, at once for another reason, and when
    it is over. An end that nobody waited for is not told.
    """

    def __init__(
        self,
        log: EventLog,
        away: str,
        back: str,
        *,
        now: Callable[[], float] = time.monotonic,
        **fields: Any,
    ) -> None:
        """away, back: the messages. fields: of each line."""
        self._log, self._away, self._back, self._fields = log, away, back, fields
        self._now = now
        self._began: float | None = None
        self._told_at = self._gap = 0.0
        self._reasons: set[str] = set()

    def note(self, reason: str) -> None:
        """It is away, for a reason that shows no secret."""
        now = self._now()
        if self._began is None:
            self._began, self._gap = now, FIRST_GAP
        elif now - self._told_at >= self._gap:
            self._gap = min(2 * self._gap, LONGEST_TROUBLE_GAP)
        elif reason in self._reasons or len(self._reasons) >= MAX_REASONS:
            return
        self._reasons.add(reason)
        self._told_at = now
        lasted = now - self._began
        self._log.warning(self._away, **self._fields, reason=reason, lasted=lasted or None)

    def end(self) -> None:
        """It is there; told only where it was away."""
        if self._began is not None:
            self._log.info(self._back, **self._fields, lasted=self._now() - self._began)
        self._began = None
        self._reasons.clear()


@dataclass
class _Kind:
    """Lines that are alike but for their figures."""

    level: int
    fields: dict[str, Any]  # those of the last one
    counts: dict[str, int]  # the sums since the last line
    gap: float  # seconds until the next line
    timer: asyncio.TimerHandle | None = None


class Flood:
    """Lines that may come by the thousand: the first of a kind is written at once.

    What comes of the same kind within the next seconds is one line with the sums, and the gaps grow
    while it goes on.
    """

    def __init__(self, log: EventLog, msg: str) -> None:
        self._log, self._msg = log, msg
        self._kinds: dict[object, _Kind] = {}

    def add(self, level: int, kind: object, fields: dict[str, Any], **counts: int) -> None:
        """Count one more. kind: a key; lines that are added up have the same one."""
        known = self._kinds.get(kind)
        if known is None:
            if len(self._kinds) >= MAX_KINDS:
                kind, fields = None, {}
            known = self._kinds.get(kind)
        if known is None:
            self._kinds[kind] = known = _Kind(level, fields, counts, FIRST_GAP)
            self._tell(known)
            self._await_more(kind, known)
            return
        known.level, known.fields, sums = level, fields, known.counts
        for name, count in counts.items():
            sums[name] = sums.get(name, 0) + count

    def close(self) -> None:
        """Write what was counted and not told yet."""
        for known in self._kinds.values():
            if known.timer is not None:
                known.timer.cancel()
            self._tell(known)
        self._kinds.clear()

    def _await_more(self, kind: object, known: _Kind) -> None:
        loop = asyncio.get_running_loop()
        known.timer = loop.call_later(known.gap, self._look, kind, known)

    def _look(self, kind: object, known: _Kind) -> None:
        if not known.counts:
            del self._kinds[kind]  # it has ended: the next one is the first of another flood
            return
        self._tell(known)
        known.gap = min(2 * known.gap, LONGEST_FLOOD_GAP)
        self._await_more(kind, known)

    def _tell(self, known: _Kind) -> None:
        if known.counts:
            counts = {name: count for name, count in known.counts.items() if count}
            self._log.log(known.level, self._msg, {**known.fields, **counts})
            known.counts = {}
