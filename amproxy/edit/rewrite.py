"""Rewrite a YAML text to other data, touching only the lines that differ. Pure.

Comments, order and style of the rest stay. A list or map without brackets is taken apart into its
entries, each with the comments that belong to it; entries stay, move, change inside, go, or are
rendered anew, and are joined again. The caller checks the data of the result.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from amproxy.config.yaml import LayoutCollection, LayoutElement, LayoutValue, PlainScalar, YamlData
from amproxy.edit.render import (
    detect_indentation,
    looks_typed,
    render_entry,
    render_inline,
    render_pair,
    render_scalar,
)
from amproxy.errors import Uneditable
from amproxy.text import Phrase

# A new key goes after the last one present that precedes it here; keys not listed go last.
_KEY_ORDER: Final = (
    *("name", "full_name", "team", "timezone", "role", "contacts", "notification_rules"),
    *("quiet_hours", "notices", "absences", "members"),
    *("repeat", "acknowledge_timeout", "acknowledge_reminder", "after_snooze", "auto_resolve"),
    *("reopen_within", "reopen_on", "flapping", "storm"),
    *("notify", "wait", "wait_until", "wait_for_alerts", "webhook", "forward", "resolve"),
    *("if_nobody", "matchers"),
    *("schedule", "users", "receiver", "position", "pick", "urgency"),
    *("rotation", "every", "start", "end", "advance", "reason"),
    *("active_time_intervals", "mute_time_intervals", "layers", "overrides", "steps"),
)
_KEY_RANK: Final = {key: rank for rank, key in enumerate(_KEY_ORDER)}

# A wanted entry of a list or pair of a map: the old element or None, the pair's key, the data.
_WantedEntry = tuple[LayoutElement | None, str, YamlData]


def rewrite_text(text: str, root: LayoutValue, wanted: YamlData) -> str:
    """Return `text`, whose layout is `root`, with the data `wanted`.

    Raises Uneditable where the value to change is shared by an anchor or comes from elsewhere.
    """
    start, end = EntryBounds(text).range_of(root)
    return text[:start] + _Rewriter(text, root).value(root, wanted) + text[end:]


class _EntryText:
    """One entry as lines: comments above, the entry (first line not indented), lines below.

    `position` is that of the old entry it was, -1 for a new one.
    """

    __slots__ = ("above", "below", "body", "position")

    def __init__(self, above: list[str], body: str, below: list[str], position: int = -1) -> None:
        self.above, self.body, self.below, self.position = above, body, below, position


class _Rewriter:
    """Rewrites the values of one text."""

    def __init__(self, text: str, root: LayoutValue) -> None:
        self._text, self._bounds = text, EntryBounds(text)
        self._indentation = detect_indentation(root)
        # Anchors with an alias: a change below one of them would change another place too.
        self._shared = {value.alias for value in _walk_values(root) if value.alias}

    def value(self, value: LayoutValue, wanted: YamlData) -> str:
        """The text for the range of a value: of a scalar, or a collection of the same kind."""
        start, end = self._bounds.range_of(value)
        if value.data == wanted:
            return self._text[start:end]
        self._check_changeable(value)
        if not isinstance(value, LayoutCollection):
            return render_scalar(wanted, value.style, typed=_looks_typed(value.data))
        if value.flow:
            return self._rewrite_flow(value, wanted)
        return self._rewrite_block(value, wanted)

    def _uneditable(self, value: LayoutValue, reason: Phrase) -> Uneditable:
        line = self._text.count("\n", 0, value.start) + 1
        return Uneditable(Phrase("refusal.at_line", {"line": str(line), "reason": reason}))

    def _check_changeable(self, value: LayoutValue) -> None:
        if value.alias:
            raise self._uneditable(value, Phrase("refusal.alias", {"alias": value.alias}))
        if value.anchor in self._shared:
            raise self._uneditable(value, Phrase("refusal.anchor", {"anchor": value.anchor}))
        if isinstance(value.data, str) and "${" in value.data:
            reason = Phrase("refusal.from_environment", {"value": value.data[:60]})
            raise self._uneditable(value, reason)

    def _check_removable(self, value: LayoutValue) -> None:
        for inner in _walk_values(value):
            if inner.anchor in self._shared:
                raise self._uneditable(
                    inner, Phrase("refusal.inner_anchor", {"anchor": inner.anchor})
                )

    def _check_removed(self, elements: list[LayoutElement], entries: list[_WantedEntry]) -> None:
        staying = {id(element) for element, _, _ in entries if element}
        for element in elements:
            if id(element) not in staying:
                self._check_removable(element.value)

    def _check_merged_keys(self, value: LayoutCollection, wanted: YamlData) -> None:
        for key in value.merged:
            if wanted.get(key) != value.data[key]:
                raise self._uneditable(value, Phrase("refusal.merge_key", {"key": key}))

    def _match_elements(self, value: LayoutCollection, wanted: YamlData) -> list[_WantedEntry]:
        """The wanted entries in order, each with the old element that it was."""
        if isinstance(wanted, list):
            return [
                (value.elements[old] if old >= 0 else None, "", data)
                for old, data in match_entries(value.data, wanted)
            ]
        self._check_merged_keys(value, wanted)
        old = {element.key: element for element in value.elements}
        keys = order_keys([*old], [key for key in wanted if key not in value.merged])
        return [
            (old.get(key), key, old[key].value.data if key == "<<" else wanted[key]) for key in keys
        ]

    def _rewrite_block(self, value: LayoutCollection, wanted: YamlData) -> str:
        """The text of a collection without brackets."""
        entries = self._match_elements(value, wanted)
        self._check_removed(value.elements, entries)
        # By identity: two entries of a list may be equal.
        position = {id(element): place for place, element in enumerate(value.elements)}
        texts = [
            self._entry_text(value, position[id(element)], data)
            if element
            else _EntryText([], self._render_new(value, key, data), [])
            for element, key, data in entries
        ]
        return self._join_entries(value, texts)

    def _entry_text(self, value: LayoutCollection, position: int, data: YamlData) -> _EntryText:
        bounds, element = self._bounds, value.elements[position]
        body = self._rewrite_element(value, element, data)
        body_end, end = bounds.body_end(element), bounds.end_of(value, position)
        below = self._text[body_end + 1 : end].split("\n") if end > body_end else []
        if position + 1 < len(value.elements):
            below += bounds.lines_between(value, position)
        # The first entry of a list inside of a list shares its line with the outer dash: the
        # comments above it belong to the outer entry.
        own_line = position or bounds.begins_line(value.start)
        above = bounds.comments_above(value, position) if own_line else []
        return _EntryText(above, body, below, position)

    def _join_entries(self, value: LayoutCollection, texts: list[_EntryText]) -> str:
        """The lines of all entries, with the blank lines that stood between them.

        An entry with a new neighbour is set apart from it as the first two entries are.
        """
        last = len(value.elements) - 1
        usual = self._bounds.usual_blank_lines(value)
        lines: list[str] = []
        inline_start = not self._bounds.begins_line(value.start)
        for place, entry in enumerate(texts):
            indent = "" if inline_start and not place else " " * value.column
            own = [indent + entry.body]
            lines += [*own, *entry.above] if inline_start and not place else [*entry.above, *own]
            below = entry.below
            if place == len(texts) - 1:
                below = below if entry.position == last else _strip_blank_lines(below)
            elif entry.position in (-1, last):
                below = [*below, *usual]
            lines += below
        return "\n".join(lines)

    def _render_new(self, value: LayoutCollection, key: str, data: YamlData) -> str:
        lines = (
            render_pair(key, data, value.column, self._indentation)
            if key
            else render_entry(data, value.column, self._indentation)
        )
        return "\n".join(lines)

    def _rewrite_element(
        self, value: LayoutCollection, element: LayoutElement, wanted: YamlData
    ) -> str:
        """The lines of an entry with the data `wanted`, from its dash or key on."""
        text, child, end = self._text, element.value, self._bounds.body_end(element)
        if child.data == wanted:
            return text[element.begin : end]
        if _can_change_in_place(child, wanted):
            start, stop = self._bounds.range_of(child)
            changed = self.value(child, wanted)
            rest = _align_comment(text[stop:end], len(changed) - (stop - start))
            return text[element.begin : start] + changed + rest
        self._check_changeable(child)
        self._check_removable(child)
        fresh = self._render_new(value, element.key, wanted)
        if element.key:
            # The key stays as written, quotes included.
            head = text[element.begin : child.start]
            fresh = head[: head.index(":")] + fresh[len(render_scalar(element.key)) :]
        first, newline, rest = fresh.partition("\n")
        longer = len(first) - (child.end - element.begin)
        return first + _align_comment(self._line_comment(element), longer) + newline + rest

    def _line_comment(self, element: LayoutElement) -> str:
        """The comment in the line of an entry, with the spaces before it."""
        value = element.value
        block = isinstance(value, LayoutCollection) and not value.flow
        start = element.begin + 1 if block else value.end
        line = self._text[start : self._bounds.line_end(start)]
        found = line.find(" #")
        spaces = len(line[: found + 1]) - len(line[: found + 1].rstrip()) if found >= 0 else 0
        return line[found + 1 - spaces :].rstrip("\r") if found >= 0 else ""

    def _rewrite_flow(self, value: LayoutCollection, wanted: YamlData) -> str:
        """The text of a collection with brackets."""
        entries, elements = self._match_elements(value, wanted), value.elements
        if [element for element, _, _ in entries] == elements:
            return self._rewrite_flow_in_place(value, entries)
        ends = [element.value.end for element in elements]
        between = [
            self._text[end : after.begin] for end, after in zip(ends, elements[1:], strict=False)
        ]
        if any("#" in text for text in (*between, self._text[ends[-1] : value.end])):
            raise self._uneditable(value, Phrase("refusal.comments_between"))
        self._check_removed(elements, entries)
        texts = [self._rewrite_flow_element(element, key, data) for element, key, data in entries]
        opening = self._text[value.start : elements[0].begin]
        closing = self._text[ends[-1] : value.end].replace(",", "")
        joiner = between[0] if between else ", "
        return opening + joiner.join(texts) + closing

    def _rewrite_flow_in_place(self, value: LayoutCollection, entries: list[_WantedEntry]) -> str:
        out, last = "", value.start
        for element, key, data in entries:
            assert element is not None
            out += self._text[last : element.begin] + self._rewrite_flow_element(element, key, data)
            last = element.value.end
        return out + self._text[last : value.end]

    def _rewrite_flow_element(
        self, element: LayoutElement | None, key: str, wanted: YamlData
    ) -> str:
        if element is None:
            name = f"{render_scalar(key)}: " if key else ""
            return name + render_inline(wanted)
        child = element.value
        if child.data == wanted:
            return self._text[element.begin : child.end]
        head = self._text[element.begin : child.start]
        if _can_change_in_place(child, wanted):
            return head + self.value(child, wanted)
        self._check_changeable(child)
        self._check_removable(child)
        return (head if head[-1:] in (" ", "") else head + " ") + render_inline(wanted)


def _looks_typed(data: YamlData) -> bool:
    """A value without quotes that is a number or a bool: what replaces it may be one as well."""
    return isinstance(data, PlainScalar) and looks_typed(data)


def _can_change_in_place(value: LayoutValue, wanted: YamlData) -> bool:
    """Return True where the value stays of its kind, so that only its own text changes."""
    if isinstance(value, LayoutCollection):
        return bool(value.elements) and bool(wanted) and isinstance(wanted, type(value.data))
    return (
        value.start < value.end
        and value.style not in ("|", ">")
        and (wanted is None or isinstance(wanted, str))
        and not value.alias
    )


def _align_comment(rest: str, longer: int) -> str:
    """The rest of a line after a value grew by `longer`: a comment set apart stays aligned."""
    spaces = len(rest) - len(rest.lstrip(" "))
    if spaces > 1 and rest[spaces:].startswith("#"):
        return " " * max(1, spaces - longer) + rest[spaces:]
    return rest


def _walk_values(value: LayoutValue) -> Iterator[LayoutValue]:
    yield value
    for element in value.elements if isinstance(value, LayoutCollection) else ():
        yield from _walk_values(element.value)


def _strip_blank_lines(lines: list[str]) -> list[str]:
    while lines and not lines[-1].strip():
        lines = lines[:-1]
    return lines


class EntryBounds:
    """The lines of a text that belong to each entry of a list or map written without brackets.

    An entry owns the comments right above it in its column, and deeper ones right below it:
    they stay, move and go with it.
    """

    def __init__(self, text: str) -> None:
        self._text = text

    def range_of(self, value: LayoutValue) -> tuple[int, int]:
        """The range of the text to replace for `value`: with the comments that belong to it."""
        if not isinstance(value, LayoutCollection) or value.flow or not value.elements:
            return value.start, value.end
        start, end = value.start, self.end_of(value, len(value.elements) - 1)
        if self.begins_line(start):
            start -= value.column
            start -= sum(len(line) + 1 for line in self.comments_above(value, 0))
        return start, end

    def begins_line(self, offset: int) -> bool:
        """Return True where nothing but spaces stands before `offset` in its line."""
        return not self._text[self._text.rfind("\n", 0, offset) + 1 : offset].strip(" ")

    def line_end(self, offset: int) -> int:
        """The offset of the line end at or after `offset`."""
        found = self._text.find("\n", offset)
        return len(self._text) if found < 0 else found

    def body_end(self, element: LayoutElement) -> int:
        """The end of an entry's own lines, including the comments of the entries inside of it."""
        value = element.value
        if isinstance(value, LayoutCollection) and not value.flow and value.elements:
            return self.range_of(value)[1]
        return self.line_end(value.end)

    def end_of(self, value: LayoutCollection, position: int) -> int:
        """The end of an entry, including the comments below that are deeper than itself."""
        end = self.body_end(value.elements[position])
        while end < len(self._text):
            line = self._text[end + 1 : self.line_end(end + 1)]
            if not line.lstrip().startswith("#") or len(line) - len(line.lstrip()) <= value.column:
                break
            end += 1 + len(line)
        return end

    def comments_above(self, value: LayoutCollection, position: int) -> list[str]:
        """The comment lines right above an entry, in its column."""
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

    def usual_blank_lines(self, value: LayoutCollection) -> list[str]:
        """The blank lines between the first two entries."""
        if len(value.elements) < 2:
            return []
        return [line for line in self.lines_between(value, 0) if not line.strip()]

    def lines_between(self, value: LayoutCollection, position: int) -> list[str]:
        """The lines between an entry and the next one that belong to neither."""
        following = value.elements[position + 1].begin - value.column
        following -= sum(len(line) + 1 for line in self.comments_above(value, position + 1))
        return self._text[self.end_of(value, position) + 1 : following].split("\n")[:-1]


def match_entries(old: Sequence[YamlData], new: Sequence[YamlData]) -> list[tuple[int, YamlData]]:
    """Each new entry with the position of the old one that it was, -1 for one without.

    Matched are equal entries first, then those of the same name, then those that differ in the
    name but not in all, then those of the same kind. Comments follow the matched entry.
    """
    free = dict(enumerate(old))
    found = [-1] * len(new)
    for same in (_equal_entries, _equal_names, _equal_but_name, _equal_first_key):
        for place, data in enumerate(new):
            if found[place] < 0:
                # The same position first: of several equal ones, the one that did not move.
                near = (place, *free)
                position = next((at for at in near if at in free and same(free[at], data)), -1)
                found[place] = position
                free.pop(position, None)
    return list(zip(found, new, strict=True))


def _equal_entries(old: YamlData, new: YamlData) -> bool:
    return bool(old == new)


def _equal_names(old: YamlData, new: YamlData) -> bool:
    both_maps = isinstance(old, dict) and isinstance(new, dict)
    return both_maps and "name" in old and old["name"] == new.get("name")


def _equal_but_name(old: YamlData, new: YamlData) -> bool:
    both_maps = isinstance(old, dict) and isinstance(new, dict)
    if not both_maps or "name" not in old or "name" not in new:
        return False
    return any(key != "name" and old.get(key) == value for key, value in new.items())


def _equal_first_key(old: YamlData, new: YamlData) -> bool:
    """Compare two maps by their first key, which shows their kind; a name does not."""
    if not isinstance(old, dict) or not isinstance(new, dict) or not old or not new:
        return False
    return "name" not in new and next(iter(old)) in new


def order_keys(old: Sequence[str], new: Sequence[str]) -> list[str]:
    """The keys of a map in the order in which they are to stand: those that stay keep theirs."""
    keys = [key for key in old if key in new or key == "<<"]
    for key in new:
        if key not in keys:
            rank = _KEY_RANK.get(key, len(_KEY_RANK))
            before = [
                place
                for place, there in enumerate(keys)
                if _KEY_RANK.get(there, -1 if there == "<<" else len(_KEY_RANK)) <= rank
            ]
            keys.insert(max(before, default=-1) + 1, key)
    return keys
