"""A position in the file while it is read: the node, its path, and where problems are collected.

Readers are functions of a cursor. They return the value, or None where there is none or it is
broken; problems are recorded at the cursor, so that one pass finds all of them. A struct built from
a broken section is never used: the load stops at the recorded errors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

from amproxy.config.structs import FilePlace, TemplateFile
from amproxy.config.yaml import MappingNode, ScalarNode, SequenceNode, YamlNode
from amproxy.errors import ConfigProblem
from amproxy.text import Phrase, PhraseValue
from amproxy.text.problems import alternatives

Reader = Callable[["Cursor"], Any]

# Errors of a file that propose a word: to search all known ones takes milliseconds, and a file may
# have thousands of errors.
_MAX_HINTS: Final = 20
_MAX_VALUE: Final = 1000  # characters of a value that an error quotes


class ConfigDocument:
    """The state that all cursors of one file share."""

    def __init__(self, file: str, folder: Path, env: Mapping[str, str] | None) -> None:
        # env: what `${NAME}` stands for; None = it is text
        self.file, self.folder, self.env = file, folder, env
        self.errors: list[ConfigProblem] = []
        self.warnings: list[ConfigProblem] = []
        self.names: dict[str, dict[str, int]] = {}  # section → each name in it → its line
        self.templates: tuple[TemplateFile, ...] = ()  # of `templates`, each a sound one


class Cursor:
    """One node of the file and its path, such as `route.routes[1].matchers[0]`."""

    __slots__ = ("document", "node", "path")

    def __init__(self, document: ConfigDocument, node: YamlNode, path: str = "") -> None:
        self.document, self.node, self.path = document, node, path

    @property
    def place(self) -> FilePlace:
        return FilePlace(file=self.document.file, line=self.node.line, column=self.node.column)

    @property
    def null(self) -> bool:
        return isinstance(self.node, ScalarNode) and self.node.null

    def error(self, key: str, /, **values: PhraseValue) -> None:
        """Record an error, by the key and values of its text: the file does not load."""
        self.document.errors.append(self._problem(Phrase(key, _shortened(values)), ""))

    def warn(self, kind: str, words: Phrase) -> None:
        """Record a warning of a kind, such as "unused": the file loads."""
        self.document.warnings.append(self._problem(words, kind))

    def _problem(self, words: Phrase, kind: str) -> ConfigProblem:
        return ConfigProblem(
            words,
            file=self.document.file,
            line=self.node.line,
            column=self.node.column,
            path=self.path,
            kind=kind,
        )

    def hint(self, word: str, known: Callable[[], Iterable[str]]) -> PhraseValue:
        """As `hint`, for the first errors of the file; "" for the rest."""
        return hint(word, known()) if len(self.document.errors) < _MAX_HINTS else ""

    def child(self, node: YamlNode, key: str | int) -> Cursor:
        """The cursor of a node below, by its key or its position in a list."""
        if isinstance(key, int):
            return Cursor(self.document, node, f"{self.path}[{key}]")
        return Cursor(self.document, node, f"{self.path}.{key}" if self.path else key)

    def items(self, *, nulls: bool = False) -> Iterator[Cursor]:
        """The cursors of a list's entries. An empty entry is an error, or skipped with `nulls`."""
        if self.null:
            return
        if not isinstance(self.node, SequenceNode):
            self.error("problem.expected_list", found=describe_node(self.node))
            return
        for position, node in enumerate(self.node.items):
            item = self.child(node, position)
            if not item.null:
                yield item
            elif not nulls:
                item.error("problem.empty_entry")

    def pairs(self) -> Iterator[tuple[str, Cursor, Cursor]]:
        """The keys of a map in order: (key, cursor of the key, cursor of the value).

        A key given twice is an error.
        """
        if self.null:
            return
        if not isinstance(self.node, MappingNode):
            self.error("problem.expected_map", found=describe_node(self.node))
            return
        for again, _ in self.node.repeated:
            first = self.node.pairs[again.text][0]
            self.child(again, again.text).error(
                "problem.repeated_key", key=again.text, line=first.line
            )
        for key, (key_node, value) in self.node.pairs.items():
            yield key, self.child(key_node, key), self.child(value, key)

    def section(self, table: Mapping[str, Reader]) -> Section:
        """Read a map by a table of its keys. Other keys are errors; null counts as not given."""
        section = Section(self)
        for key, key_cursor, value in self.pairs():
            if key not in table:
                key_cursor.error("problem.unknown_key", key=key, hint=self.hint(key, lambda: table))
                continue
            if value.null:
                continue
            # Before the value is read: a broken one counts as given, or it would be reported twice.
            section.cursors[key] = value
            read = table[key](value)
            if read is not None:
                section[key] = read
        return section


class Section(dict[str, Any]):
    """A map as read: values by key, as far as they are given and sound.

    `cursors` has every key that is given, sound or not.
    """

    def __init__(self, cursor: Cursor) -> None:
        super().__init__()
        self.cursor = cursor
        self.cursors: dict[str, Cursor] = {}

    def given(self, *keys: str) -> str:
        """The first of the keys that is given, sound or not; "" = none.

        An empty text counts as not given, as for Alertmanager.
        """
        return next((key for key in keys if key in self.cursors and self.get(key) != ""), "")

    def pick(self, *keys: str) -> dict[str, Any]:
        """The keys that are present; the struct has the defaults of the rest."""
        return {key: self[key] for key in keys if key in self}

    def require(self, *keys: str, why: Phrase | None = None) -> None:
        """Record an error unless one of the keys is given."""
        if self.given(*keys):
            return
        missing = alternatives(keys)
        if why is None:
            self.cursor.error("problem.missing", keys=missing)
        else:
            self.cursor.error("problem.missing_because", keys=missing, why=why)

    def exclusive(self, *keys: str) -> None:
        """Record an error at each further one of keys that exclude each other."""
        for extra in [key for key in keys if self.given(key)][1:]:
            self.cursors[extra].error("problem.only_one_of", keys=", ".join(keys))

    def error(self, at: str, key: str, /, **values: PhraseValue) -> None:
        """Record an error at the value of a key, or at the map where that is not given."""
        self.cursors.get(at, self.cursor).error(key, **values)


def _shortened(values: Mapping[str, PhraseValue]) -> dict[str, PhraseValue]:
    """The values of an error with long texts cut, as the file may have any."""
    return {
        name: f"{value[:_MAX_VALUE]}…"
        if isinstance(value, str) and len(value) > _MAX_VALUE
        else value
        for name, value in values.items()
    }


def describe_node(node: YamlNode) -> Phrase:
    """The kind of a node, for "found …"."""
    if isinstance(node, ScalarNode):
        return Phrase("problem.node_nothing" if node.null else "problem.node_value")
    return Phrase("problem.node_list" if isinstance(node, SequenceNode) else "problem.node_map")


def hint(word: str, known: Iterable[str]) -> PhraseValue:
    """The end of an error about an unknown word: the likely one, or all known ones if few."""
    known = list(known)
    close = get_close_matches(word, known, n=1) or [
        name for name in known if name.lower() == word.lower()
    ]
    if close:
        return Phrase("problem.did_you_mean", {"word": close[0]})
    few = sorted(known)
    return Phrase("problem.there_is", {"known": ", ".join(few)}) if 0 < len(few) <= 12 else ""
