"""The Go templates of a file, compiled: Alertmanager's own by their names, and its `templates:`."""

from __future__ import annotations

import glob
from collections.abc import Iterable
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from amproxy.config.files import read_text
from amproxy.config.read.cursor import Cursor
from amproxy.config.read.values import list_of, text
from amproxy.config.structs import TemplateFile
from amproxy.errors import ConfigError, ConfigProblem
from amproxy.gotemplate.errors import GoParseError
from amproxy.text import Phrase

if TYPE_CHECKING:
    from amproxy.gotemplate.template import Template, TemplateSet

MAX_TEMPLATE_BYTES: Final = 1024 * 1024  # of one file
MAX_TEMPLATE_FILES: Final = 500


class GoTemplates:
    """Texts as templates that may use those of the files. Each is compiled once."""

    def __init__(self) -> None:
        self._compiled: dict[tuple[str, bool], Template] = {}

    @cached_property
    def _set(self) -> TemplateSet:
        # here: most files of people on call have no such text, and the language with its default
        # templates takes a tenth of a start
        from amproxy.gotemplate.alertmanager import FUNCTIONS
        from amproxy.gotemplate.defaults import default_templates
        from amproxy.gotemplate.template import TemplateSet

        found = TemplateSet(FUNCTIONS, missing_key="zero")
        for name, body in default_templates():
            found.add(name, body)
        return found

    def add(self, file: TemplateFile) -> None:
        """Take in a file. Raises GoParseError, with the file's base name."""
        self._set.add(Path(file.path).name, file.text)

    def compile(self, text: str, *, html: bool = False) -> Template:
        """A text of the file as a template; html: of a page, escaped by context.

        Raises GoParseError and, for a page, GoEscapeError.
        """
        key = text, html
        if key not in self._compiled:
            self._compiled[key] = self._html(text) if html else self._set.text(text)
        return self._compiled[key]

    def _html(self, text: str) -> Template:
        from amproxy.gotemplate.html.template import html_text

        return html_text(self._set, text)


@lru_cache(maxsize=4)
def go_templates(files: tuple[TemplateFile, ...]) -> GoTemplates:
    """The templates of files that have been checked at load."""
    found = GoTemplates()
    for file in files:
        found.add(file)
    return found


def read_templates(at: Cursor) -> tuple[TemplateFile, ...]:
    """`templates`: the files of its globs."""
    try:
        return load_templates(list_of(text)(at) or (), at.document.folder)
    except ConfigError as error:
        at.document.errors += error.problems
        return ()


def load_templates(patterns: Iterable[str], folder: Path) -> tuple[TemplateFile, ...]:
    """The files of globs that start at a folder, sorted within each; a glob may match none.

    Raises ConfigError with the problems of all files.
    """
    files: dict[str, TemplateFile] = {}
    templates, problems = GoTemplates(), list[ConfigProblem]()
    for pattern in patterns:
        # not Path.glob: a pattern may be absolute
        for name in sorted(glob.glob(pattern, root_dir=folder)):  # noqa: PTH207
            path = folder / name
            if str(path) in files or not path.is_file():
                continue
            if len(files) >= MAX_TEMPLATE_FILES:
                words = Phrase("problem.too_many_templates", {"most": MAX_TEMPLATE_FILES})
                raise ConfigError([*problems, ConfigProblem(words, file=str(path))])
            try:
                file = TemplateFile(path=str(path), text=read_text(path, MAX_TEMPLATE_BYTES))
                templates.add(file)
                files[str(path)] = file
            except ConfigProblem as problem:
                problems.append(problem)
            except GoParseError as error:
                words = Phrase("problem.no_go_template", {"fault": error.reason})
                problems.append(
                    ConfigProblem(words, file=str(path), line=error.line, column=error.column)
                )
    if problems:
        raise ConfigError(problems)
    return tuple(files.values())
