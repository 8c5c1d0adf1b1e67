"""Which lines of a YAML text belong to an entry of a list or map written without brackets: its comments go where it goes. Pure.

Which entry of a list, or pair of a map, becomes which one of another: what decides where comments go. Pure.

A YAML text made to say something else, changing only what says it: comments, order and style of all the rest stay.

A list or map without brackets is taken apart into its entries, each with the comments above it and the deeper ones below it; they
are kept, moved, changed inside, left out, or written anew, and put together again. Whoever calls checks that the result says what
was wanted.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from amproxy.config.yaml import LayoutCollection, LayoutElement, LayoutValue, PlainScalar, YamlData
from amproxy.edit.render import detect_indentation, render_entry, render_inline, render_pair, render_scalar
from amproxy.errors import Uneditable


class EntryBounds:
    """Of one text. The comments right above an entry, in its column, are its own; so are deeper ones right below it."""

    def __init__(self, text: str) -> None:
        self._text = text

    def span(self, value: LayoutValue) -> tuple[int, int]:
        """The part of the text that `value` replaces: with the comments that belong to it."""
        if not isinstance(value, LayoutCollection) or value.flow or not value.elements:
            return value.start, value.end
        if self.begins_line(value.start):
            start = value.start - value.column
            return start - sum(len(line) + 1 for line in self.above(value, 0)), self.end_of(value, len(value.elements) - 1)
        return value.start, self.end_of(value, len(value.elements) - 1)

    def begins_line(self, offset: int) -> bool:
        return not self._text[self._text.rfind("\n", 0, offset) + 1 : offset].strip(" ")

    def line_end(self, offset: int) -> int:
        found = self._text.find("\n", offset)
        return len(self._text) if found < 0 else found

    def body_end(self, element: LayoutElement) -> int:
        """Where the lines of an entry end, the deeper comments below those that stand in it included."""
        value = element.value
        if isinstance(value, LayoutCollection) and not value.flow and value.elements:
            return self.span(value)[1]
        return self.line_end(value.end)

    def end_of(self, value: LayoutCollection, position: int) -> int:
        """The same with the comments below that are deeper than the entry itself."""
        end = self.body_end(value.elements[position])
        while end < len(self._text):
            line = self._text[end + 1 : self.line_end(end + 1)]
            if not line.lstrip().startswith("#") or len(line) - len(line.lstrip()) <= value.column:
                break
            end += 1 + len(line)
        return end

    def above(self, value: LayoutCollection, position: int) -> list[str]:
        """The comments that stand right above an entry and no deeper than it."""
        lines: list[str] = []
        end = value.elements[position].begin - value.column - 1  # of the line above
        first = self.end_of(value, position - 1) if position else -1
        while end > first:
            line = self._text[self._text.rfind("\n", 0, end) + 1 : end]
            if not line.lstrip().startswith("#") or len(line) - len(line.lstrip()) != value.column:
                break
            lines.insert(0, line)
            end -= len(line) + 1
        return lines

    def blank_below(self, value: LayoutCollection) -> list[str]:
        """The blank lines between the first two entries."""
        if len(value.elements) < 2:
            return []
        return [line for line in self.between(value, 0) if not line.strip()]

    def between(self, value: LayoutCollection, position: int) -> list[str]:
        """The lines between an entry and the next one that belong to neither."""
        following = value.elements[position + 1].begin - value.column
        following -= sum(len(line) + 1 for line in self.above(value, position + 1))
        return self._text[self.end_of(value, position) + 1 : following].split("\n")[:-1]


# Where a new key goes: after the last one that is there and comes before it here. Keys that are not listed go last.
_KEY_ORDER: Final = (
    *("name", "full_name", "team", "timezone", "role", "contacts", "notification_rules", "quiet_hours", "notices", "absences", "members"),
    *("repeat", "acknowledge_timeout", "acknowledge_reminder", "after_snooze", "auto_resolve", "reopen_within", "flapping", "storm"),
    *("notify", "wait", "wait_until", "wait_for_alerts", "webhook", "forward", "resolve", "if_nobody", "matchers"),
    *("schedule", "users", "receiver", "position", "pick", "urgency", "rotation", "every", "start", "end", "advance", "reason"),
    *("active_time_intervals", "mute_time_intervals", "layers", "overrides", "steps"),
)
_KEY_RANK: Final = {key: rank for rank, key in enumerate(_KEY_ORDER)}


def match_entries(old: Sequence[YamlData], new: Sequence[YamlData]) -> list[tuple[int, YamlData]]:
    """Each new entry with the position of the old one that it is, or that it was changed from; -1 for one that is new.

    Equal ones first, then those with the same name, then those that differ in the name but not in all, then those of the same kind.
    """
    free = dict(enumerate(old))
    found = [-1] * len(new)
    for same in (_equal_entries, _equal_names, _equal_but_name, _equal_first_key):
        for place, data in enumerate(new):
            if found[place] < 0:
                near = (place, *free)
                position = next((at for at in near if at in free and same(free[at], data)), -1)
                found[place] = position
                free.pop(position, None)
    return list(zip(found, new, strict=True))


def _equal_entries(old: YamlData, new: YamlData) -> bool:
    return bool(old == new)


def _equal_names(old: YamlData, new: YamlData) -> bool:
    return isinstance(old, dict) and isinstance(new, dict) and "name" in old and old["name"] == new.get("name")


def _equal_but_name(old: YamlData, new: YamlData) -> bool:
    if not isinstance(old, dict) or not isinstance(new, dict) or "name" not in old or "name" not in new:
        return False
    return any(key != "name" and old.get(key) == value for key, value in new.items())


def _equal_first_key(old: YamlData, new: YamlData) -> bool:
    """Of two maps: what they are is said by their first key, a name apart."""
    if not isinstance(old, dict) or not isinstance(new, dict) or not old or not new:
        return False
    return "name" not in new and next(iter(old)) in new


def order_keys(old: Sequence[str], new: Sequence[str]) -> list[str]:
    """The keys of a map in the order in which they are to stand: those that stay keep theirs."""
    keys = [key for key in old if key in new or key == "<<"]
    for key in new:
        if key not in keys:
            rank = _KEY_RANK.get(key, len(_KEY_RANK))
            before = [place for place, there in enumerate(keys) if _KEY_RANK.get(there, -1 if there == "<<" else len(_KEY_RANK)) <= rank]
            keys.insert(max(before, default=-1) + 1, key)
    return keys


class _EntryText:
    """One entry as lines: comments above (whole lines), itself (its first line not indented), and what stands below it (whole lines)."""

    __slots__ = ("above", "below", "body", "position")

    def __init__(self, above: list[str], body: str, below: list[str], position: int = -1) -> None:
        self.above, self.body, self.below, self.position = above, body, below, position


def rewrite_text(text: str, root: LayoutValue, wanted: YamlData) -> str:
    """`text`, whose layout is `root`, made to say `wanted`. Raises Uneditable where the part to change is shared or not its own."""
    start, end = EntryBounds(text).span(root)
    return text[:start] + _Rewriter(text, root).value(root, wanted) + text[end:]


class _Rewriter:
    def __init__(self, text: str, root: LayoutValue) -> None:
        self._text, self._at, self._manner = text, EntryBounds(text), detect_indentation(root)
        self._shared = {value.alias for value in _walk_values(root) if value.alias}  # anchors that an alias refers to

    # ------------------------------------------------------------------------------------------------------- what it becomes

    def value(self, value: LayoutValue, wanted: YamlData) -> str:
        """The text that takes the place of `span(value)`: of a text, or of a collection that stays one of its kind."""
        start, end = self._at.span(value)
        if value.data == wanted:
            return self._text[start:end]
        self._may_change(value)
        if not isinstance(value, LayoutCollection):
            return render_scalar(wanted, value.style, typed=isinstance(value.data, PlainScalar))
        if value.flow:
            return self._flow(value, wanted)
        return self._block(value, wanted)

    def _may_change(self, value: LayoutValue) -> None:
        line = self._text.count("\n", 0, value.start) + 1
        if value.alias:
            raise Uneditable(f"line {line}: this part is written elsewhere (*{value.alias}): change it in the file")
        if value.anchor in self._shared:
            raise Uneditable(f"line {line}: this part is used elsewhere too (&{value.anchor}): change it in the file")
        if isinstance(value.data, str) and "${" in value.data:
            raise Uneditable(f"line {line}: this value comes from the environment ({value.data[:60]}): change it in the file")

    def _may_go(self, value: LayoutValue) -> None:
        for part in _walk_values(value):
            if part.anchor in self._shared:
                raise Uneditable(
                    f"line {self._text.count(chr(10), 0, part.start) + 1}: &{part.anchor} is used elsewhere: change it in the file"
                )

    def _merges(self, value: LayoutCollection, wanted: YamlData) -> None:
        for key in value.merged:
            if wanted.get(key) != value.data[key]:
                line = self._text.count("\n", 0, value.start) + 1
                raise Uneditable(f"line {line}: {key} comes from a merge key (<<): change it in the file")

    def _pairs(self, value: LayoutCollection, wanted: YamlData) -> list[tuple[LayoutElement | None, str, YamlData]]:
        """What becomes of the entries, in order: the old one or None, the key of a pair, and what it is to say."""
        if isinstance(wanted, list):
            return [(value.elements[old] if old >= 0 else None, "", data) for old, data in match_entries(value.data, wanted)]
        self._merges(value, wanted)
        old = {element.key: element for element in value.elements}
        keys = order_keys([*old], [key for key in wanted if key not in value.merged])
        return [(old.get(key), key, old[key].value.data if key == "<<" else wanted[key]) for key in keys]

    # -------------------------------------------------------------------------------------------------------- without brackets

    def _block(self, value: LayoutCollection, wanted: YamlData) -> str:
        pairs, position = self._pairs(value, wanted), {id(element): place for place, element in enumerate(value.elements)}
        kept = {id(element) for element, _, _ in pairs if element}
        for element in value.elements:
            if id(element) not in kept:
                self._may_go(element.value)
        chunks = [
            self._chunk(value, position[id(element)], data) if element else _EntryText([], self._fresh(value, key, data), [])
            for element, key, data in pairs
        ]
        return self._together(value, chunks)

    def _chunk(self, value: LayoutCollection, position: int, data: YamlData) -> _EntryText:
        element = value.elements[position]
        body = self._element(value, element, data)
        end = self._at.end_of(value, position)
        below = self._text[self._at.body_end(element) + 1 : end].split("\n") if end > self._at.body_end(element) else []
        if position + 1 < len(value.elements):
            below += self._at.between(value, position)
        above = self._at.above(value, position) if position or self._at.begins_line(value.start) else []
        return _EntryText(above, body, below, position)

    def _together(self, value: LayoutCollection, chunks: list[_EntryText]) -> str:
        """Blank lines stand between entries as before; an entry that has got another neighbour is set apart as the first two are."""
        last = len(value.elements) - 1
        usual = self._at.blank_below(value)
        lines: list[str] = []
        inline_start = not self._at.begins_line(value.start)
        for place, chunk in enumerate(chunks):
            indent = "" if inline_start and not place else " " * value.column
            own = [indent + chunk.body]
            lines += [*own, *chunk.above] if inline_start and not place else [*chunk.above, *own]
            below = chunk.below
            if place == len(chunks) - 1:
                below = below if chunk.position == last else _strip_blank_lines(below)
            elif chunk.position in (-1, last):
                below = [*below, *usual]
            lines += below
        return "\n".join(lines)

    def _fresh(self, value: LayoutCollection, key: str, data: YamlData) -> str:
        return "\n".join(render_pair(key, data, value.column, self._manner) if key else render_entry(data, value.column, self._manner))

    def _element(self, value: LayoutCollection, element: LayoutElement, wanted: YamlData) -> str:
        """The lines of an entry, from its dash or key on, once it says something else."""
        child, end = element.value, self._at.body_end(element)
        if child.data == wanted:
            return self._text[element.begin : end]
        if _can_change_in_place(child, wanted):
            start, stop = self._at.span(child)
            text, rest = self.value(child, wanted), self._text[stop:end]
            return self._text[element.begin : start] + text + _align_comment(rest, len(text) - (stop - start))
        self._may_change(child)
        self._may_go(child)
        fresh, comment = self._fresh(value, element.key, wanted), self._comment(element)
        if element.key:
            head = self._text[element.begin : child.start]
            name = head[: head.index(":")]
            fresh = name + fresh[len(render_scalar(element.key)) :]
        first, newline, rest = fresh.partition("\n")
        return first + _align_comment(comment, len(first) - (child.end - element.begin)) + newline + rest

    def _comment(self, element: LayoutElement) -> str:
        """The comment that stands in the line of an entry, with the spaces before it."""
        value = element.value
        block = isinstance(value, LayoutCollection) and not value.flow
        start = element.begin + 1 if block else value.end
        line = self._text[start : self._at.line_end(start)]
        found = line.find(" #")
        spaces = len(line[: found + 1]) - len(line[: found + 1].rstrip()) if found >= 0 else 0
        return line[found + 1 - spaces :].rstrip("\r") if found >= 0 else ""

    # ----------------------------------------------------------------------------------------------------------- with brackets

    def _flow(self, value: LayoutCollection, wanted: YamlData) -> str:
        pairs, elements = self._pairs(value, wanted), value.elements
        if [element for element, _, _ in pairs] == elements:
            return self._in_place(value, pairs)
        ends = [element.value.end for element in elements]
        between = [self._text[end : after.begin] for end, after in zip(ends, elements[1:], strict=False)]
        if any("#" in part for part in (*between, self._text[ends[-1] : value.end])):
            line = self._text.count("\n", 0, value.start) + 1
            raise Uneditable(f"line {line}: comments stand between the entries in brackets: change it in the file")
        kept = {id(element) for element, _, _ in pairs if element}
        for element in elements:
            if id(element) not in kept:
                self._may_go(element.value)
        texts = [self._flow_element(element, key, data) for element, key, data in pairs]
        opening = self._text[value.start : elements[0].begin]
        closing = self._text[ends[-1] : value.end].replace(",", "")
        joiner = between[0] if between else ", "
        return opening + joiner.join(texts) + closing

    def _in_place(self, value: LayoutCollection, pairs: list[tuple[LayoutElement | None, str, YamlData]]) -> str:
        out, last = "", value.start
        for element, key, data in pairs:
            assert element is not None
            out += self._text[last : element.begin] + self._flow_element(element, key, data)
            last = element.value.end
        return out + self._text[last : value.end]

    def _flow_element(self, element: LayoutElement | None, key: str, wanted: YamlData) -> str:
        if element is None:
            return f"{render_scalar(key)}: {render_inline(wanted)}" if key else render_inline(wanted)
        child = element.value
        if child.data == wanted:
            return self._text[element.begin : child.end]
        head = self._text[element.begin : child.start]
        if _can_change_in_place(child, wanted):
            return head + self.value(child, wanted)
        self._may_change(child)
        self._may_go(child)
        return (head if head[-1:] in (" ", "") else head + " ") + render_inline(wanted)


def _can_change_in_place(value: LayoutValue, wanted: YamlData) -> bool:
    """Whether a value can be changed where it stands, without becoming something else."""
    if isinstance(value, LayoutCollection):
        return bool(value.elements) and bool(wanted) and isinstance(wanted, type(value.data))
    return value.start < value.end and value.style not in ("|", ">") and (wanted is None or isinstance(wanted, str)) and not value.alias


def _align_comment(rest: str, longer: int) -> str:
    """What follows a value in its line, for a value that has become longer: a comment set apart by spaces keeps its column."""
    spaces = len(rest) - len(rest.lstrip(" "))
    return " " * max(1, spaces - longer) + rest[spaces:] if spaces > 1 and rest[spaces:].startswith("#") else rest


def _walk_values(value: LayoutValue) -> Iterator[LayoutValue]:
    yield value
    for element in value.elements if isinstance(value, LayoutCollection) else ():
        yield from _walk_values(element.value)


def _strip_blank_lines(lines: list[str]) -> list[str]:
    while lines and not lines[-1].strip():
        lines = lines[:-1]
    return lines
