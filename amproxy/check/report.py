"""`amproxy check`: what is wrong with a file and what is doubtful, for programs and for people.

Times at which nobody would be on call, found before they come: warnings of `amproxy check`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

from amproxy.config.loader import load
from amproxy.config.structs import Config, Schedule
from amproxy.errors import ConfigError, ConfigProblem
from amproxy.oncall.roster import Roster, Shift
from amproxy.times import format_duration

_MAX_EXCERPT_WIDTH: Final = 160  # characters of a source line that are shown
# Values that may be secrets: of keys that sound like it, misspelt ones included, and the password of a URL.
_SECRET_VALUE = re.compile(
    r"(?P<key>[\w-]*(?:tok|pass|secr|cred|key|auth|url|redis|values)[\w-]*[\"']?\s*:\s*)(?P<value>\$\{\w+\}|\"[^\"]*\"|'[^']*'|[^\s#,}\]][^,}\]]*)",
    re.IGNORECASE,
)
_FILE_KEY = re.compile(r"_file[\"']?\s*:\s*$")
_PLAIN_SECTION = re.compile(r"[\[{&*|>].*|\$\{\w+\}.*", re.DOTALL)  # no value yet, or only the name of a variable


def check_file(
    path: str | Path, env: Mapping[str, str] = os.environ, also: Callable[[Config], Iterable[ConfigProblem]] = lambda config: ()
) -> dict[str, Any]:
    """Load a file → {ok, errors: [{file, line, column, path, message}], warnings: [the same and kind]}.

    `also` gives warnings that need more than the file, such as the gaps of the days to come.
    """
    try:
        loaded = load(path, env)
    except ConfigError as error:
        return {"ok": False, "errors": [_problem_fields(problem) for problem in error.problems], "warnings": []}
    warnings = sorted([*loaded.warnings, *also(loaded.config)], key=lambda problem: (problem.line, problem.column))
    return {"ok": True, "errors": [], "warnings": [{**_problem_fields(problem), "kind": problem.kind} for problem in warnings]}


def _problem_fields(problem: ConfigProblem) -> dict[str, Any]:
    return {key: getattr(problem, key) for key in ("file", "line", "column", "path", "message")}


def render_check_report(report: Mapping[str, Any]) -> str:
    """A report for people: each problem with the line that it is about, and a summary."""
    blocks = [_problem_text("error", problem) for problem in report["errors"]]
    blocks += [_problem_text(f"warning ({problem['kind']})", problem) for problem in report["warnings"]]
    return "\n".join([*blocks, _summary_text(report)])


def _problem_text(what: str, problem: Mapping[str, Any]) -> str:
    head = f"{_replace_control_characters(problem['file'])}:{problem['line']}:{problem['column']}: {what}: {_replace_control_characters(problem['message'])}"
    where = f" [{_replace_control_characters(problem['path'])}]" if problem["path"] else ""
    return head + where + _excerpt_text(problem["file"], problem["line"], problem["column"])


def _summary_text(report: Mapping[str, Any]) -> str:
    counted = [_count_text(len(report[key]), key.removesuffix("s")) for key in ("errors", "warnings") if report[key]]
    return f"{'fine' if report['ok'] else 'failed'}: {', '.join(counted) or 'no errors, no warnings'}"


def _count_text(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _excerpt_text(file: str, line: int, column: int) -> str:
    """The source line with a caret below the column; "" where it cannot be shown."""
    try:
        lines = Path(file).read_text("utf-8-sig").split("\n")
    except (OSError, ValueError):
        return ""
    if not 0 < line <= len(lines):
        return ""
    source, column = _mask_secrets_at(lines[line - 1].rstrip("\r"), column)
    start = max(0, column - _MAX_EXCERPT_WIDTH // 2)
    shown = _replace_control_characters(source.expandtabs(1)[start : start + _MAX_EXCERPT_WIDTH])
    return f"\n    {shown}\n    {' ' * (column - 1 - start)}^"


def mask_secrets(source: str) -> str:
    """A line of a file with <secret> in the place of what may be one."""
    return _mask_secrets_at(source, 1)[0]


def _mask_secrets_at(source: str, column: int) -> tuple[str, int]:
    """The line with <secret> in the place of what may be one, and the column moved with the text."""
    out, last, moved = "", 0, column
    for found in _SECRET_VALUE.finditer(source):
        start, end = found.span("value")
        if _FILE_KEY.search(found["key"]) or _PLAIN_SECTION.fullmatch(found["value"]):
            continue
        out += source[last:start] + "<secret>"
        if column - 1 >= end:
            moved += len("<secret>") - (end - start)
        elif column - 1 > start:
            moved = len(out) - len("<secret>") + 1
        last = end
    return out + source[last:], moved


def _replace_control_characters(text: str) -> str:
    """Control characters of a hostile file must not reach the terminal."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)


COVERAGE_CHECK_AHEAD = timedelta(days=30)


def coverage_warnings(roster: Roster, now: datetime) -> list[ConfigProblem]:
    """A warning of kind `gap` for each schedule that leaves time uncovered in the 30 days from `now`, at the schedule's place."""
    warnings = []
    for position, (name, schedule) in enumerate(roster.config.schedules.items()):
        gaps = [shift for shift in roster.shifts(name, now, now + COVERAGE_CHECK_AHEAD) if not shift.users]
        if gaps:
            place, path = schedule.place, f"schedules[{position}]"
            text = _gaps_text(schedule, gaps)
            warnings.append(ConfigProblem(text, file=place.file, line=place.line, column=place.column, path=path, kind="gap"))
    return warnings


def _gaps_text(schedule: Schedule, gaps: list[Shift]) -> str:
    zone = ZoneInfo(schedule.timezone)
    end = gaps[0].end
    for gap in gaps:  # nobody for one reason and then for another is still one gap
        end = gap.end if gap.start <= end else end
    first, last = (at.astimezone(zone).strftime("%Y-%m-%d %H:%M") for at in (gaps[0].start, end))
    total = format_duration(sum(round((gap.end - gap.start).total_seconds()) for gap in gaps))
    why = gaps[0].reason.removeprefix("nobody: ")
    return (
        f"nobody is on call for schedule {schedule.name!r} from {first} to {last} ({schedule.timezone}; {why}): "
        f"uncovered for {total} of the next {format_duration(COVERAGE_CHECK_AHEAD.total_seconds())}"
    )
