"""The conventions that ruff has no rule for: one class one name, docstrings, no packed lines.

`python -m tools.conventions` prints each breach as file:line: text and exits 1 where there is one;
with `--figures` it prints the figures of docs/design.md instead.
"""

from __future__ import annotations

import ast
import statistics
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).parent.parent / "amproxy"
# A docstring names the thing or says what to do; a question makes the reader answer it first.
QUESTIONS = {
    *("what", "whatever", "whether", "how", "who", "whom", "whose"),
    *("which", "where", "when", "why"),
}
Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def breaches(package: Path) -> Iterator[str]:
    """One line for each breach in the Python files of a folder."""
    classes: dict[str, list[str]] = defaultdict(list)
    for path in sorted(package.rglob("*.py")):
        text, name = path.read_text("utf-8"), path.relative_to(package.parent).as_posix()
        for number, line in enumerate(text.splitlines(), 1):
            if "# fmt: " in line:
                yield f"{name}:{number}: restructure instead of switching the formatter off"
        tree = ast.parse(text)
        for node in tree.body:
            if isinstance(node, ast.ClassDef):
                classes[node.name].append(f"{name}:{node.lineno}")
        for node in ast.walk(tree):
            if isinstance(node, Documented) and _asks(ast.get_docstring(node)):
                line_number = getattr(node, "lineno", 1)
                yield f"{name}:{line_number}: the docstring begins with a question word"
    for class_name, places in classes.items():
        if len(places) > 1:
            yield f"{places[1]}: the class {class_name} is defined in {places[0]} too"


def _asks(docstring: str | None) -> bool:
    words = (docstring or "").split(maxsplit=1)
    return bool(words) and words[0].strip(",.:;'\"").lower() in QUESTIONS


def figures(package: Path) -> dict[str, float]:
    """The size and shape of a package. `__init__.py` counts as a file, not as a small one."""
    texts = {path: path.read_text("utf-8") for path in package.rglob("*.py")}
    lines = {path: text.count("\n") for path, text in texts.items()}
    own_line = [
        line for text in texts.values() for line in text.splitlines() if line.lstrip()[:1] == "#"
    ]
    return {
        "files": len(lines),
        "median lines": statistics.median(lines.values()),
        "under 40 lines": sum(
            count < 40 and path.name != "__init__.py" for path, count in lines.items()
        ),
        "lines": sum(lines.values()),
        "comment lines per 1,000": round(1000 * len(own_line) / sum(lines.values()), 1),
        "breaches": len(list(breaches(package))),
    }


def main() -> int:
    """Print all breaches, or the figures; return the exit status."""
    if sys.argv[1:] == ["--figures"]:
        print("\n".join(f"{name}: {value}" for name, value in figures(PACKAGE).items()))
        return 0
    found = list(breaches(PACKAGE))
    print("\n".join(found) or "conventions: kept")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
