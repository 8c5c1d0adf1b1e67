"""Results of a benchmark: a table for the terminal, aims with a verdict, and data for --json."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

WIDTH = 92  # characters


@dataclass
class Aim:
    """A figure that the project set itself; `reached` is None where it could not be measured."""

    what: str
    aim: str
    found: str
    reached: bool | None

    def line(self) -> str:
        verdict = {True: "reached", False: "MISSED", None: "not measured"}[self.reached]
        return f"  {verdict:<13} {self.what}: {self.found or '-'} (aim {self.aim})"


@dataclass
class Report:
    """The table of one benchmark and the numbers behind it.

    An empty one of `rows` is an empty line; `figures` go to --json and are not shown.
    """

    name: str
    title: str
    columns: Sequence[str]
    rows: list[Sequence[str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    aims: list[Aim] = field(default_factory=list)
    figures: list[dict[str, Any]] = field(default_factory=list)

    def add_row(self, *cells: str) -> None:
        """Add a line of the table: one cell for each column, or none for an empty line."""
        self.rows.append(cells)

    def add_aim(self, what: str, aim: str, found: str, reached: bool | None) -> None:
        """Add a verdict; the arguments are the fields of Aim."""
        self.aims.append(Aim(what, aim, found, reached))

    def text(self) -> str:
        """The whole report, as wide as a terminal."""
        lines = ["", self.title, "─" * WIDTH, *_table(self.columns, self.rows)]
        lines += ["", *(f"  {note}" for note in self.notes)] if self.notes else []
        lines += ["", *(aim.line() for aim in self.aims)] if self.aims else []
        return "\n".join(lines)

    def data(self) -> dict[str, Any]:
        """The entry of this benchmark in the file of --json."""
        return {
            "name": self.name,
            "figures": self.figures,
            "aims": [asdict(aim) for aim in self.aims],
            "notes": self.notes,
        }


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Align text to the left, and a column whose cells all are numbers to the right."""
    cells = [row for row in rows if row]
    widths = [
        max(len(columns[index]), *(len(row[index]) for row in cells))
        for index in range(len(columns))
    ]
    right = [
        all(row[index][:1].isdigit() or not row[index].strip("- ") for row in cells)
        for index in range(len(columns))
    ]

    def line(row: Sequence[str]) -> str:
        padded = [
            text.rjust(width) if to_right else text.ljust(width)
            for text, width, to_right in zip(row, widths, right, strict=True)
        ]
        return "  ".join(padded).rstrip()

    return [line(columns), *(line(row) if row else "" for row in rows)]
