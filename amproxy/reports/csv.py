"""A table as CSV (RFC 4180), safe to open in a spreadsheet: a text that it would take for a formula begins with an apostrophe."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def csv_table(rows: Iterable[Mapping[str, Any]], like: Mapping[str, Any]) -> str:
    """Rows that all have the keys of `like`; a map in a cell becomes columns of its own, None an empty cell."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\r\n")
    columns = [name for name, _ in _flat(like)]
    writer.writerow(columns)
    for row in rows:
        cells = dict(_flat(row))
        writer.writerow([_safe(cells[name]) for name in columns])
    return out.getvalue()


def _flat(row: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in row.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}_")
        else:
            yield f"{prefix}{name}", value


def _safe(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
