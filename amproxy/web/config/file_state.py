"""How the file on the disk stands: what `amproxy check` says of it, and whether it is the one in force."""

from __future__ import annotations

import asyncio
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from amproxy.calendars.offline import warnings_ahead
from amproxy.check.report import report
from amproxy.clock import utc
from amproxy.context import Context
from amproxy.edit.change import digest
from amproxy.grouping.maintenance import ended_warnings

FRESH = 600.0  # seconds: gaps ahead come nearer, so what was found is not true for ever


class FileState(NamedTuple):
    in_force: bool  # the file on the disk is the one that was loaded
    errors: list[dict[str, Any]]  # {file, line, column, path, message}
    warnings: list[dict[str, Any]]  # the same and kind


class FileChecks:
    """Checks the file when it has changed, and now and then: a page that keeps itself up to date asks often."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._known: tuple[str, float, dict[str, Any]] | None = None  # digest, when, what was found

    async def state(self) -> FileState:
        context, now = self._context, self._context.now()
        path = Path(context.config.path)
        found = await asyncio.to_thread(_digest, path)
        if self._known is None or self._known[0] != found or not 0 <= now - self._known[1] < FRESH:
            self._known = found, now, await asyncio.to_thread(_checked, path, utc(now))
        known = self._known[2]
        return FileState(found == context.config.digest, known["errors"], known["warnings"])


def _digest(path: Path) -> str:
    try:
        return digest(path.read_bytes())
    except OSError:
        return ""  # the check says why it cannot be read


def _checked(path: Path, now: datetime) -> dict[str, Any]:
    return report(path, also=lambda config: (*warnings_ahead(config, now), *ended_warnings(config, now)))
