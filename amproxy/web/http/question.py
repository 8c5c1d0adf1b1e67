"""What a page is asked to try out: labels and a moment, from the address. What is wrong with them is said on the page."""

from __future__ import annotations

import re
from datetime import datetime
from typing import NamedTuple

from starlette.requests import Request

from amproxy.labels.matchers import BadMatcher, parse_matchers
from amproxy.moment import parse

LONGEST = 2000  # characters of labels: what fits into an address


class Question(NamedTuple):
    """What was written, and what it means; `labels` is None where nothing is asked, or where it is wrong."""

    text: str
    at_text: str
    labels: dict[str, str] | None
    at: datetime
    wrong: str


def question(request: Request, zone: str, now: float) -> Question:
    """`labels` and `at` of a query; a time without offset is of `zone`. now: Unix seconds."""
    text, at_text = request.query_params.get("labels", "").strip()[:LONGEST], request.query_params.get("at", "").strip()[:40]
    at = parse(None, zone, now)
    try:
        at = parse(at_text or None, zone, now)
        return Question(text, at_text, labels_of(text) if text else None, at, "")
    except ValueError as error:
        return Question(text, at_text, None, at, str(error)[:300])


def labels_of(text: str) -> dict[str, str]:
    """`alertname="Down", team="ops"`, with or without braces, quotes and commas. Raises ValueError."""
    parts = [text] if '"' in text else re.split(r"[,\s]+", text.strip("{}, "))
    try:
        found = [matcher for part in parts for matcher in parse_matchers(part)]
    except BadMatcher as error:
        raise ValueError(f"not labels: {error}") from None
    if wrong := next((matcher for matcher in found if matcher.op != "="), None):
        raise ValueError(f"{wrong}: an alert has values, so only = can stand here")
    return {matcher.name: matcher.value for matcher in found if matcher.value}
