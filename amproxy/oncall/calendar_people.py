"""Whom a text means: the people of the file by their name, full name, or an address of theirs."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping

from amproxy.config.structs import User

_NO_ADDRESS = ("console", "webhook")  # contacts that are no address of a person: any word may stand there
_SEPARATOR = re.compile(r"[,;/&+\n]|\band\b")


class People:
    """Upper and lower case are the same everywhere. A name that belongs to several people means all of them."""

    def __init__(self, users: Mapping[str, User]) -> None:
        self._meant: dict[str, tuple[str, ...]] = {}
        for words in (_names, _full_names, _addresses):  # a word that is somebody's name is nobody else's address
            found: dict[str, list[str]] = {}
            for user, word in words(users.values()):
                if word and word not in self._meant:
                    found.setdefault(word, []).append(user)
            self._meant |= {word: tuple(dict.fromkeys(meant)) for word, meant in found.items()}
        longest_first = sorted(map(re.escape, self._meant), key=len, reverse=True)
        # Whole words, and no parts of addresses or of names with dots or hyphens: ann-maria and ann@example.org are not "ann".
        self._word = re.compile(rf"(?<![\w@])(?<!\w[.-])(?:{'|'.join(longest_first)})(?![\w@])(?![.-]\w)") if self._meant else None

    def named(self, text: str) -> tuple[str, ...]:
        """The first one named, and all that follow behind a comma, semicolon, slash, "&", "+", new line or "and"."""
        text, found, end = _folded(text), dict[str, None](), None
        for match in self._word.finditer(text) if self._word else ():
            if end is None or _SEPARATOR.search(text, end, match.start()):
                found |= dict.fromkeys(self._meant[match[0]])
            end = match.end()
        return tuple(found)

    def addressed(self, addresses: Iterable[str]) -> tuple[str, ...]:
        """Those whose address is among these."""
        return tuple(dict.fromkeys(user for address in addresses for user in self._meant.get(_folded(address), ())))


def _folded(text: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold()).strip(" \t")


def _names(users: Iterable[User]) -> Iterator[tuple[str, str]]:
    return ((user.name, _folded(user.name)) for user in users)


def _full_names(users: Iterable[User]) -> Iterator[tuple[str, str]]:
    return ((user.name, _folded(user.full_name)) for user in users)


def _addresses(users: Iterable[User]) -> Iterator[tuple[str, str]]:
    return ((user.name, _folded(address)) for user in users for channel, address in user.contacts.items() if channel not in _NO_ADDRESS)
