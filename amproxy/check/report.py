"""`amproxy check`: what is wrong with a file and what is doubtful, for programs and for people."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from amproxy.config.loader import load
from amproxy.config.structs import Config
from amproxy.errors import ConfigError, ConfigProblem

_WIDEST: Final = 160  # characters of a source line that are shown
# Values that may be secrets: of keys that sound like it, misspelt ones included, and the password of a URL.
_SECRET = re.compile(
    r"(?P<key>[\w-]*(?:tok|pass|secr|cred|key|auth|url|redis|values)[\w-]*[\"']?\s*:\s*)(?P<value>\$\{\w+\}|\"[^\"]*\"|'[^']*'|[^\s#,}\]][^,}\]]*)",
    re.IGNORECASE,
)
_FILE = re.compile(r"_file[\"']?\s*:\s*$")
_PLAIN_SECTION = re.compile(r"[\[{&*|>].*|\$\{\w+\}.*", re.DOTALL)  # no value yet, or only the name of a variable


def report(
    path: str | Path, env: Mapping[str, str] = os.environ, also: Callable[[Config], Iterable[ConfigProblem]] = lambda config: ()
) -> dict[str, Any]:
    """Load a file → {ok, errors: [{file, line, column, path, message}], warnings: [the same and kind]}.

    `also` gives warnings that need more than the file, such as the gaps of the days to come.
    """
    try:
        loaded = load(path, env)
    except ConfigError as error:
        return {"ok": False, "errors": [_fields(problem) for problem in error.problems], "warnings": []}
    warnings = sorted([*loaded.warnings, *also(loaded.config)], key=lambda problem: (problem.line, problem.column))
    return {"ok": True, "errors": [], "warnings": [{**_fields(problem), "kind": problem.kind} for problem in warnings]}


def _fields(problem: ConfigProblem) -> dict[str, Any]:
    return {key: getattr(problem, key) for key in ("file", "line", "column", "path", "message")}


def render_text(report: Mapping[str, Any]) -> str:
    """A report for people: each problem with the line that it is about, and a summary."""
    blocks = [_block("error", problem) for problem in report["errors"]]
    blocks += [_block(f"warning ({problem['kind']})", problem) for problem in report["warnings"]]
    return "\n".join([*blocks, _summary(report)])


def _block(what: str, problem: Mapping[str, Any]) -> str:
    head = f"{_visible(problem['file'])}:{problem['line']}:{problem['column']}: {what}: {_visible(problem['message'])}"
    where = f" [{_visible(problem['path'])}]" if problem["path"] else ""
    return head + where + _excerpt(problem["file"], problem["line"], problem["column"])


def _summary(report: Mapping[str, Any]) -> str:
    counted = [_count(len(report[key]), key.removesuffix("s")) for key in ("errors", "warnings") if report[key]]
    return f"{'fine' if report['ok'] else 'failed'}: {', '.join(counted) or 'no errors, no warnings'}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _excerpt(file: str, line: int, column: int) -> str:
    """The source line with a caret below the column; "" where it cannot be shown."""
    try:
        lines = Path(file).read_text("utf-8-sig").split("\n")
    except (OSError, ValueError):
        return ""
    if not 0 < line <= len(lines):
        return ""
    source, column = _masked(lines[line - 1].rstrip("\r"), column)
    start = max(0, column - _WIDEST // 2)
    shown = _visible(source.expandtabs(1)[start : start + _WIDEST])
    return f"\n    {shown}\n    {' ' * (column - 1 - start)}^"


def masked(source: str) -> str:
    """A line of a file with <secret> in the place of what may be one."""
    return _masked(source, 1)[0]


def _masked(source: str, column: int) -> tuple[str, int]:
    """The line with <secret> in the place of what may be one, and the column moved with the text."""
    out, last, moved = "", 0, column
    for found in _SECRET.finditer(source):
        start, end = found.span("value")
        if _FILE.search(found["key"]) or _PLAIN_SECTION.fullmatch(found["value"]):
            continue
        out += source[last:start] + "<secret>"
        if column - 1 >= end:
            moved += len("<secret>") - (end - start)
        elif column - 1 > start:
            moved = len(out) - len("<secret>") + 1
        last = end
    return out + source[last:], moved


def _visible(text: str) -> str:
    """Control characters of a hostile file must not reach the terminal."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)
