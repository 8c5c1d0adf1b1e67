"""Reading amproxy's log: logfmt and JSON into fields."""

from __future__ import annotations

import json
import re
from typing import Any

_PAIR = re.compile(r'([a-z_]+)=("(?:[^"\\]|\\.)*"|[^\s"=]+)(?: |$)')


def parse_logfmt(line: str) -> dict[str, str]:
    """The fields of a line; it must be made of nothing but pairs, and no name may come twice."""
    fields, at = dict[str, str](), 0
    while at < len(line):
        pair = _PAIR.match(line, at)
        assert pair, f"no pair at {line[at:]!r} of {line!r}"
        name, value = pair.groups()
        assert name not in fields, line
        fields[name] = json.loads(value) if value.startswith('"') else value
        at = pair.end()
    return fields


def log_lines(text: str) -> list[dict[str, Any]]:
    """The lines of a log in either format, without what the console channel printed."""
    return [
        json.loads(line) if line.startswith("{") else parse_logfmt(line)
        for line in text.splitlines()
        if line.startswith(("{", "time="))
    ]
