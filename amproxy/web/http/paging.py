"""Long lists as pages with a search: what is on screen is drawn, the rest when it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final, Generic, NamedTuple, TypeVar
from urllib.parse import urlencode

from starlette.requests import Request

LISTED: Final = 50  # entries of a page
_GLANCE: Final = 9  # entries
_MAX_DIGITS: Final = 6  # of the number of a page

T = TypeVar("T")


class ListedPage(NamedTuple, Generic[T]):
    """One page of a list, of those entries that have a text."""

    shown: Sequence[T]
    first: int  # place of the first one shown, from 1; 0 = nothing was found
    found: int  # with that text
    everything: int  # without it
    number: int  # of the page, from 1
    size: int  # entries of a full page
    text: str  # as it was typed
    others: tuple[tuple[str, str], ...]  # further pairs of the address

    @property
    def last(self) -> int:
        """Place of the last one shown."""
        return self.first + len(self.shown) - 1 if self.shown else 0

    @property
    def is_long(self) -> bool:
        """True where nobody sees everything at a glance: then there is something to search for."""
        return self.everything > min(self.size, _GLANCE)

    @property
    def before(self) -> str:
        """The query of the page before; "" = this is the first."""
        return self._query(self.number - 1) if self.number > 1 else ""

    @property
    def after(self) -> str:
        """The query of the next page; "" = this is the last."""
        return self._query(self.number + 1) if self.number * self.size < self.found else ""

    def _query(self, number: int) -> str:
        typed = [("text", self.text)] if self.text else []
        return urlencode([*self.others, *typed, ("page", number)])


def page_of_list(
    request: Request,
    entries: Iterable[T],
    texts: Callable[[T], Iterable[str]],
    *,
    others: Sequence[str] = (),
    size: int = LISTED,
) -> ListedPage[T]:
    """The page of a list that an address names by `text` and `page`; a page too far is the last.

    texts: those of an entry that are searched. others: names of further parameters of the address.
    """
    query, everything = request.query_params, list(entries)
    text = query.get("text", "").strip()
    wanted, found = text.casefold(), everything
    if wanted:
        found = [one for one in everything if any(wanted in it.casefold() for it in texts(one))]
    last = max(1, -(-len(found) // size))
    number = min(_page_number(query.get("page", "")), last)
    start = (number - 1) * size
    return ListedPage(
        shown=found[start : start + size],
        first=start + 1 if found else 0,
        found=len(found),
        everything=len(everything),
        number=number,
        size=size,
        text=text,
        others=tuple((name, query[name]) for name in others if query.get(name)),
    )


def _page_number(text: str) -> int:
    is_number = text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS
    return max(1, int(text)) if is_number else 1
