"""How people are told apart at a glance: a colour each, the same everywhere, and a mark of a few letters that no other has. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from amproxy.web.http.format import initials

TONES = 12  # colours in static/people.css


def tones(names: Iterable[str]) -> dict[str, str]:
    """Name of a user → class of their colour. names: of all users in the order of the file, so that a new one changes nobody's."""
    return {name: f"tone{place % TONES}" for place, name in enumerate(names)}


def marks(called: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Name of a user → their mark: initials, and more letters where these are somebody else's. called: (name, full name or "")."""
    found: dict[str, str] = {}
    used: set[str] = set()
    for name, full_name in called:
        mark = next(mark for mark in _candidates(full_name or name) if mark not in used)
        used.add(mark)
        found[name] = mark
    return found


def _candidates(full_name: str) -> Iterator[str]:
    words = re.findall(r"\w+", full_name)
    first = initials(" ".join(words)) or "?"
    yield first
    last = words[-1] if words else ""
    for length in range(2, min(4, len(last)) + 1):
        yield f"{first[0]}{last[:length]}" if len(words) > 1 else last[:length].capitalize()
    number = 2
    while True:
        yield f"{first}{number}"
        number += 1
