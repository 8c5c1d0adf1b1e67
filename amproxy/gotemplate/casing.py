"""Upper, lower and title case as Go's strings package and x/text have it."""

from __future__ import annotations

import unicodedata

from amproxy.gotemplate.quoting import readable

# Between two letters these do not end a word.
_MID = frozenset(
    "':.\u00b7\u0387\u055f\u05f4\u2018\u2019\u2024\u2027\ufe13\ufe52\ufe55\uff07\uff0e\uff1a"
)
_LETTERS = frozenset(("Lu", "Ll", "Lt"))
# What may stand in a word without being a cased letter: other letters, digits, marks, underscores.
_WORD = frozenset(("Lm", "Lo", "Nd", "Nl", "Mn", "Mc", "Me", "Pc", "Cf"))


def to_upper(text: str) -> str:
    """Each character in upper case by itself, so that the number of characters stays."""
    return text.upper() if text.isascii() else "".join(map(_upper, readable(text)))


def to_lower(text: str) -> str:
    """Each character in lower case by itself."""
    return text.lower() if text.isascii() else "".join(map(_lower, readable(text)))


def _upper(char: str) -> str:
    upper = char.upper()
    if len(upper) > 1:
        # Some have a single capital beside the pair of letters; it is their title case.
        upper = char.title()
    return upper if len(upper) == 1 else char


def _lower(char: str) -> str:
    return char.lower()[0]


def title(text: str) -> str:
    """Each word with a capital first letter and the rest in lower case."""
    parts = []
    in_word = was_mid = False
    for position, char in enumerate(text):
        is_mid = char in _MID
        if was_mid and is_mid:
            in_word = False
        if _is_cased(char):
            if not in_word:
                parts.append(char.title())
            elif char == "\u03a3":
                parts.append("\u03c3" if _goes_on(text, position + 1) else "\u03c2")
            else:
                parts.append(char.lower())
            in_word = True
        else:
            parts.append(char)
            if not is_mid and _ends_word(char):
                in_word = False
        was_mid = is_mid
    return "".join(parts)


def _is_cased(char: str) -> bool:
    return unicodedata.category(char) in _LETTERS or char.upper() != char or char in "\u00aa\u00ba"


def _ends_word(char: str) -> bool:
    # Each ideograph, and each letter of Hiragana, is a word of its own.
    alone = "\u2e80" <= char <= "\u309f" or "\u3400" <= char <= "\u9fff" or char >= "\U00020000"
    return alone or char == "\u200b" or unicodedata.category(char) not in _WORD


def _goes_on(text: str, position: int) -> bool:
    """Tell whether a cased letter follows, over what does not count: a sigma is not the last."""
    for char in text[position : position + 31]:
        ignorable = char in _MID or unicodedata.category(char) in ("Mn", "Me", "Cf", "Lm", "Sk")
        if not ignorable:
            return _is_cased(char)
    return False
