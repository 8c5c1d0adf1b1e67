"""Reasons and events in English, as the tests read them."""

from __future__ import annotations

from collections.abc import Callable

from amproxy.text import Words, phrase
from amproxy.text.render import english


def said(words: Words, full_name: Callable[[str], str] = str) -> str:
    """A phrase in words; full names are those that it was stored with, or the given ones."""
    return english(full_name).text(words)


# The reason of an incident's opening, and of one that is held back.
FIRST_NOTIFICATION = phrase("news.first")
SILENCED = phrase("reason.several", reasons=("silenced by eve",))
