"""Telegram's HTML mode, as strict as the real parser: markup in, plain text and entities out, or its own words of refusal."""

from __future__ import annotations

import re
from dataclasses import dataclass

TAGS = {
    "b",
    "strong",
    "i",
    "em",
    "u",
    "ins",
    "s",
    "strike",
    "del",
    "tg-spoiler",
    "span",
    "a",
    "code",
    "pre",
    "blockquote",
    "tg-emoji",
}
NAMED = {"lt": "<", "gt": ">", "amp": "&", "quot": '"'}
_ENTITY = re.compile(r"&(?:#([0-9]{1,7})|#[xX]([0-9a-fA-F]{1,6})|([a-z]+));?")
_START = re.compile(
    r"<([a-zA-Z][-a-zA-Z0-9]*)((?:\s+[-a-zA-Z]+(?:=(?:\"[^\"<>]*\"|'[^'<>]*'))?)*)\s*>"
)
_HREF = re.compile(r"href=(?:\"([^\"]*)\"|'([^']*)')")
_END = re.compile(r"</([-a-zA-Z0-9]*)\s*>")


class BadMarkup(Exception):
    """The text is not valid HTML of Telegram; str() is the description."""


@dataclass
class Entity:
    kind: str
    start: int  # code points of the plain text
    end: int
    url: str = ""


def parse(markup: str) -> tuple[str, list[Entity]]:
    """Return the plain text and what is marked in it. Raises BadMarkup."""
    plain: list[str] = []
    entities: list[Entity] = []
    opened: list[Entity] = []
    place = 0
    while place < len(markup):
        char = markup[place]
        offset = len(markup[:place].encode()) if char == "<" else 0
        if char == "&" and (found := _ENTITY.match(markup, place)) and (text := _decoded(found)):
            plain += text
            place = found.end()
        elif char != "<":
            plain.append(char)
            place += 1
        elif markup.startswith("</", place):
            entity, place = _closed(markup, place, offset, opened)
            entity.end = len(plain)
            entities.append(entity)
        else:
            entity, place = _opened(markup, place, offset)
            entity.start = len(plain)
            opened.append(entity)
    if opened:
        raise BadMarkup(f'Can\'t find end tag corresponding to start tag "{opened[-1].kind}"')
    return "".join(plain), entities


def _decoded(found: re.Match[str]) -> str:
    decimal, hexadecimal, name = found.groups()
    if name:
        return NAMED.get(name, "")
    code = int(decimal) if decimal else int(hexadecimal, 16)
    return chr(code) if 0 < code < 0x110000 else ""


def _opened(markup: str, place: int, offset: int) -> tuple[Entity, int]:
    found = _START.match(markup, place)
    name = re.match(r"<([^\s>]*)", markup[place : place + 64])
    shown = (name.group(1) if name else "").lower()
    if found is None or found.group(1).lower() not in TAGS:
        raise BadMarkup(f'Unsupported start tag "{shown}" at byte offset {offset}')
    kind, attributes = found.group(1).lower(), found.group(2)
    if kind == "span" and 'class="tg-spoiler"' not in attributes:
        raise BadMarkup(f'Tag "span" must have class "tg-spoiler" at byte offset {offset}')
    href = _HREF.search(attributes)
    url = _ENTITY.sub(_decoded, href.group(1) or href.group(2) or "") if href else ""
    return Entity(kind, 0, 0, url), found.end()


def _closed(markup: str, place: int, offset: int, opened: list[Entity]) -> tuple[Entity, int]:
    found = _END.match(markup, place)
    if found is None or not opened:
        raise BadMarkup(f"Unexpected end tag at byte offset {offset}")
    if found.group(1).lower() not in {"", opened[-1].kind}:
        raise BadMarkup(
            f'Unmatched end tag at byte offset {offset}, expected "</{opened[-1].kind}>", found "</{found.group(1)}>"'
        )
    return opened.pop(), found.end()
