"""`amproxy check`: the errors and warnings of a file, as JSON and for people.

Among the warnings are the times of the next 30 days at which nobody would be on call.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

from amproxy.check.lint import all_warnings
from amproxy.config.loader import LoadedConfig
from amproxy.config.structs import Config, Schedule
from amproxy.errors import ConfigError, ConfigProblem
from amproxy.oncall.roster import Roster, Shift, gap_reason
from amproxy.text import Phrase
from amproxy.text.render import arguments_of, code_of
from amproxy.times import format_duration

COVERAGE_CHECK_AHEAD = timedelta(days=30)

_MAX_EXCERPT_WIDTH: Final = 160  # characters of a source line that are shown
# Values that may be secrets: of keys that sound like it, misspelt ones included, and URLs, which
# may contain a password.
_SECRET_VALUE = re.compile(
    r"(?P<key>[\w-]*(?:tok|pass|secr|cred|key|auth|url|redis|values)[\w-]*[\"']?\s*:\s*)"
    r"(?P<value>\$\{\w+\}|\"[^\"]*\"|'[^']*'|[^\s#,}\]][^,}\]]*)",
    re.IGNORECASE,
)
_FILE_KEY = re.compile(r"_file[\"']?\s*:\s*$")
# What follows such a key and is no secret: the start of a section, or the name of a variable.
_PLAIN_SECTION = re.compile(r"[\[{&*|>].*|\$\{\w+\}.*", re.DOTALL)


class FoundProblems(NamedTuple):
    """The problems of a file; with errors it does not load, and warnings are not looked for."""

    errors: list[ConfigProblem]
    warnings: list[ConfigProblem]
    receivers: int = 0  # those that name a destination
    silent: Sequence[str] = ()  # those of them that deliver nothing, by name


def find_problems(
    load: Callable[[], LoadedConfig],
    also: Callable[[Config], Iterable[ConfigProblem]] = lambda config: (),
) -> FoundProblems:
    """Check a file.

    load: reads the file, or raises ConfigError. also: returns warnings that need more than the
    file, such as the gaps of the coming days.
    """
    try:
        loaded = load()
    except ConfigError as error:
        return FoundProblems(error.problems, [])
    warnings = [*all_warnings(loaded), *also(loaded.config)]
    warnings.sort(key=lambda one: (one.line, one.column))
    named = [one for one in loaded.config.receivers.values() if one.integrations]
    silent = [one.name for one in named if all(each.undeliverable for each in one.integrations)]
    return FoundProblems([], warnings, len(named), silent)


def check_config(
    load: Callable[[], LoadedConfig],
    also: Callable[[Config], Iterable[ConfigProblem]] = lambda config: (),
) -> dict[str, Any]:
    """Check a file as `find_problems` does, for programs: {ok, errors, warnings}.

    Where receivers deliver nothing, also silent_receivers: {names, of}, of so many that name a
    destination. Each problem is {file, line, column, path, message, code, arguments}, a warning
    also has a kind.
    """
    found = find_problems(load, also)
    report = {
        "ok": not found.errors,
        "errors": [_problem_fields(problem) for problem in found.errors],
        "warnings": [
            {**_problem_fields(problem), "kind": problem.kind} for problem in found.warnings
        ],
    }
    if found.silent:
        report["silent_receivers"] = {"names": list(found.silent), "of": found.receivers}
    return report


def _problem_fields(problem: ConfigProblem) -> dict[str, Any]:
    return {
        **{key: getattr(problem, key) for key in ("file", "line", "column", "path", "message")},
        "code": code_of(problem.words, alone=True),
        "arguments": arguments_of(problem.words),
    }


def render_check_report(report: Mapping[str, Any], lines_of: Callable[[str], Sequence[str]]) -> str:
    """Return a report for people: each problem with its line, and a summary.

    lines_of: the lines of a file by its name; a problem may lie in a template file.
    """
    blocks = [_problem_text("error", problem, lines_of) for problem in report["errors"]]
    blocks += [
        _problem_text(f"warning ({problem['kind']})", problem, lines_of)
        for problem in report["warnings"]
    ]
    if silent := report.get("silent_receivers"):
        names = _replace_control_characters(", ".join(silent["names"]))
        number = f"{len(silent['names'])} of {_count_text(silent['of'], 'receiver')}"
        verb = "deliver" if silent["of"] > 1 else "delivers"
        blocks.append(f"\n{number} {verb} nothing: {names}\n")
    return "\n".join([*blocks, _summary_text(report)])


def _problem_text(
    what: str, problem: Mapping[str, Any], lines_of: Callable[[str], Sequence[str]]
) -> str:
    file, message, path = (
        _replace_control_characters(problem[key]) for key in ("file", "message", "path")
    )
    head = f"{file}:{problem['line']}:{problem['column']}: {what}: {message}"
    where = f" [{path}]" if path else ""
    lines = lines_of(problem["file"]) if problem["line"] else ()
    return head + where + _excerpt_text(lines, problem["line"], problem["column"])


def _summary_text(report: Mapping[str, Any]) -> str:
    counted = [
        _count_text(len(report[key]), key.removesuffix("s"))
        for key in ("errors", "warnings")
        if report[key]
    ]
    return (
        f"{'fine' if report['ok'] else 'failed'}: {', '.join(counted) or 'no errors, no warnings'}"
    )


def _count_text(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _excerpt_text(lines: Sequence[str], line: int, column: int) -> str:
    """The source line with a caret below the column; "" where there is no such line."""
    if not 0 < line <= len(lines):
        return ""
    source, column = _mask_secrets_at(lines[line - 1].rstrip("\r"), column)
    start = max(0, column - _MAX_EXCERPT_WIDTH // 2)
    shown = _replace_control_characters(source.expandtabs(1)[start : start + _MAX_EXCERPT_WIDTH])
    return f"\n    {shown}\n    {' ' * (column - 1 - start)}^"


def mask_secrets(source: str) -> str:
    """Return a line of a file with <secret> for everything that may be one."""
    return _mask_secrets_at(source, 1)[0]


def _mask_secrets_at(source: str, column: int) -> tuple[str, int]:
    """Mask secrets of a line; also return the column (from 1) at which its text is then."""
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


def coverage_warnings(roster: Roster, now: datetime) -> list[ConfigProblem]:
    """A warning of kind `gap` for each schedule with gaps within COVERAGE_CHECK_AHEAD."""
    warnings = []
    for position, (name, schedule) in enumerate(roster.config.schedules.items()):
        shifts = roster.shifts(name, now, now + COVERAGE_CHECK_AHEAD)
        gaps = [shift for shift in shifts if not shift.users]
        if gaps:
            place = schedule.place
            warning = ConfigProblem(
                _gaps_phrase(schedule, gaps),
                file=place.file,
                line=place.line,
                column=place.column,
                path=f"schedules[{position}]",
                kind="gap",
            )
            warnings.append(warning)
    return warnings


def _gaps_phrase(schedule: Schedule, gaps: list[Shift]) -> Phrase:
    zone = ZoneInfo(schedule.timezone)
    end = gaps[0].end
    # Shifts with different reasons that follow each other are one gap.
    for gap in gaps:
        end = gap.end if gap.start <= end else end
    first, last = (at.astimezone(zone).strftime("%Y-%m-%d %H:%M") for at in (gaps[0].start, end))
    total = format_duration(sum(round((gap.end - gap.start).total_seconds()) for gap in gaps))
    return Phrase(
        "problem.gap",
        {
            "schedule": schedule.name,
            "start": first,
            "end": last,
            "zone": schedule.timezone,
            "reason": gap_reason(gaps[0].reason),
            "uncovered": total,
            "ahead": format_duration(COVERAGE_CHECK_AHEAD.total_seconds()),
        },
    )
