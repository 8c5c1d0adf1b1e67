"""What else of a file changes when a schedule or a policy gets another name. Pure.

One change to routes.yaml, in the words of the file: what the text becomes, and whether it would load.

Only the lines that say something else change; comments, order, indentation and quotes stay. Nothing is written here, see edit_file.

A changed file put in the place of the old one, whole or not at all.
"""

from __future__ import annotations

import contextlib
import difflib
import fcntl
import hashlib
import os
import tempfile
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

import msgspec

from amproxy.check.report import coverage_warnings, mask_secrets
from amproxy.config.loader import LoadedConfig, load_text
from amproxy.config.yaml import PlainScalar, YamlData, parse_layout
from amproxy.edit.rewrite import rewrite_text
from amproxy.errors import ConfigError, ConfigProblem, Conflict, NotFound, Uneditable
from amproxy.oncall.roster import Roster

_REFERENCES: Final[dict[str, tuple[tuple[str, ...], ...]]] = {  # section → the ways to where its names stand, through lists on the way
    "escalation_policies": (
        ("receivers", "oncall_configs", "escalation_policy"),
        ("escalation_policies", "steps", "forward"),
    ),
    "schedules": (("escalation_policies", "steps", "notify", "schedule"),),
}


def rename_references(data: YamlData, section: str, old: str, new: str) -> YamlData:
    """The whole of a file's data with every reference to an entry of `section` renamed. Data of sections without references stays."""
    for way in _REFERENCES.get(section, ()):
        data = _rename_along(data, way, old, new)
    return data


def _rename_along(data: YamlData, way: tuple[str, ...], old: str, new: str) -> YamlData:
    if isinstance(data, list):
        return [_rename_along(item, way, old, new) for item in data]
    if not way:
        return new if data == old else data
    if not isinstance(data, dict) or way[0] not in data:
        return data
    return {**data, way[0]: _rename_along(data[way[0]], way[1:], old, new)}


SectionName = Literal["users", "teams", "schedules", "escalation_policies"]

EDITABLE_KEYS: Final[dict[SectionName, tuple[str, ...]]] = {  # section → what may be changed of its entries
    "users": ("full_name", "timezone", "contacts", "notification_rules", "quiet_hours", "notices"),
    "teams": ("members",),
    "schedules": ("name", "team", "timezone", "layers", "overrides"),
    "escalation_policies": (
        *("name", "team", "steps", "repeat", "acknowledge_timeout", "acknowledge_reminder", "after_snooze", "auto_resolve"),
        *("reopen_within", "flapping", "storm", "if_nobody"),
    ),
}
SECTION_NOUNS: Final[dict[SectionName, str]] = {"users": "user", "teams": "team", "schedules": "schedule", "escalation_policies": "policy"}
_DIFF_CONTEXT: Final = 3  # lines around each change in a diff; of people none, because others and their addresses stand there


class ConfigEntryChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is to become of one entry of a section; schedules and policies can also be added and deleted."""

    section: SectionName
    name: str = ""  # "" = a new one
    set: dict[str, Any] = {}  # key → its whole new value, in the file's words; None takes the key away; keys that are not here stay
    delete: bool = False


class ConfigChangeProposal(NamedTuple):
    """A changed file that is not written yet."""

    text: str
    diff: str  # unified; "" = nothing changes
    problems: list[ConfigProblem]  # it would not load
    warnings: list[ConfigProblem]  # that the file as it is does not have
    writable: bool
    digest: str  # of the file that it was made from
    loaded: LoadedConfig | None  # None where there are problems


def edit_text(text: str, change: ConfigEntryChange, file: str = "routes.yaml") -> str:
    """The text with the change made. Raises NotFound, Uneditable, ConfigProblem for a text that is no YAML."""
    mark = "\ufeff" if text.startswith("\ufeff") else ""
    body = text.removeprefix(mark)
    windows = 0 < body.count("\n") == body.count("\r\n")
    body = body.replace("\r\n", "\n") if windows else body
    root = parse_layout(body, file)
    if root is None or not isinstance(root.data, dict):
        raise Uneditable("the file holds no sections")
    wanted = edit_data(root.data, change)
    result = rewrite_text(body, root, wanted)
    again = parse_layout(result, file)
    if again is None or again.data != wanted:
        raise Uneditable("this part of the file is written in a way that cannot be changed from here: change it in the file")
    return mark + (result.replace("\n", "\r\n") if windows else result)


def edit_data(data: YamlData, change: ConfigEntryChange) -> YamlData:
    """What a whole file says once the change is made. Raises NotFound, Uneditable."""
    entries = data.get(change.section) or []
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise Uneditable(f"{change.section} is no list of maps")
    _check_change(change)
    position = _entry_position(entries, change)
    before, after = entries[:position], entries[position + 1 :]
    if change.delete:
        return {**data, change.section: [*before, *after]}
    made = {**(entries[position] if change.name else {}), **{key: to_data(value) for key, value in change.set.items()}}
    made = {key: value for key, value in made.items() if key not in change.set or value is not None}
    data = {**data, change.section: [*before, made, *after]}
    return rename_references(data, change.section, change.name, str(made["name"])) if change.name and made["name"] != change.name else data


def _entry_position(entries: list[dict[str, YamlData]], change: ConfigEntryChange) -> int:
    if not change.name:
        return len(entries)
    found = [position for position, entry in enumerate(entries) if entry.get("name") == change.name]
    if not found:
        raise NotFound(f"the file has no {SECTION_NOUNS[change.section]} {change.name[:60]!r}")
    return found[0]


def _check_change(change: ConfigEntryChange) -> None:
    word, allowed = SECTION_NOUNS[change.section], EDITABLE_KEYS[change.section]
    if "name" not in allowed and (change.delete or not change.name):
        raise Uneditable(f"a {word} is added and deleted in the file itself")
    if change.delete and (change.set or not change.name):
        raise Uneditable("delete takes a name and nothing to set")
    for key in change.set:
        if key not in allowed:
            raise Uneditable(f"{key[:60]} of a {word} cannot be changed from here (what can: {', '.join(allowed)})")
    if "name" in change.set and not (isinstance(change.set["name"], str) and change.set["name"].strip()):
        raise Uneditable("the name must be a text that is not empty")
    if not change.name and "name" not in change.set:
        raise Uneditable(f"a new {word} needs a name")


def to_data(value: Any) -> YamlData:
    """JSON values as what a layout says. Raises Uneditable for a number that is none."""
    if isinstance(value, bool | int):
        return PlainScalar(str(value).lower())
    if isinstance(value, float):
        return PlainScalar(msgspec.json.encode(value).decode())
    if isinstance(value, list | tuple):
        return [to_data(item) for item in value]
    if isinstance(value, dict):
        return {str(key): to_data(item) for key, item in value.items()}
    if value is None or isinstance(value, str):
        return value
    raise Uneditable(f"a value of kind {type(value).__name__} has no place in the file")


def propose_change(path: str | Path, change: ConfigEntryChange, now: datetime, env: Mapping[str, str] = os.environ) -> ConfigChangeProposal:
    """What the file becomes and whether it would load, checked as `amproxy check` does; nothing is written.

    now: aware, for gaps in the schedules of the days to come. Raises NotFound, Uneditable, ConfigError where the file as it is cannot
    be read.
    """
    path = Path(path)
    try:
        data = path.read_bytes()
        text = data.decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([ConfigProblem(f"cannot read the file: {error}", file=str(path))]) from None
    try:
        result = edit_text(text, change, str(path))
    except ConfigProblem as problem:
        raise ConfigError([problem]) from None
    before, after = _check_text(text, path, now, env), _check_text(result, path, now, env)
    known = {(warning.kind, warning.message) for warning in before.warnings}
    return ConfigChangeProposal(
        text=result,
        diff=_diff_text(text, result, path.name, 0 if change.section == "users" else _DIFF_CONTEXT),
        problems=after.problems,
        warnings=[warning for warning in after.warnings if (warning.kind, warning.message) not in known],
        writable=is_writable(path),
        digest=file_digest(data),
        loaded=after.loaded,
    )


def file_digest(data: bytes) -> str:
    """Tells one state of a file from another; it is `Config.digest` of what the file means."""
    return hashlib.sha256(data.removeprefix(b"\xef\xbb\xbf")).hexdigest()


def is_writable(path: Path) -> bool:
    """Whether the file can be replaced: it and its folder can be written."""
    real = path.resolve()
    return os.access(real, os.W_OK) and os.access(real.parent, os.W_OK | os.X_OK)


class _CheckResult(NamedTuple):
    loaded: LoadedConfig | None
    problems: list[ConfigProblem]
    warnings: list[ConfigProblem]


def _check_text(text: str, path: Path, now: datetime, env: Mapping[str, str]) -> _CheckResult:
    try:
        loaded = load_text(text.removeprefix("\ufeff"), str(path), env, path.parent)
    except ConfigError as error:
        return _CheckResult(None, error.problems, [])
    return _CheckResult(loaded, [], [*loaded.warnings, *coverage_warnings(Roster(loaded.config), now)])


def _diff_text(before: str, after: str, name: str, context: int) -> str:
    """What may be a secret is hidden in it, as `amproxy check` does."""
    old, new = ([f"{line}\n" for line in text.replace("\r\n", "\n").removesuffix("\n").split("\n")] for text in (before, after))
    return "".join(mask_secrets(line) for line in difflib.unified_diff(old, new, f"a/{name}", f"b/{name}", n=context))


def write_file(path: str | Path, data: bytes, expected: str) -> bytes:
    """Replace the file by `data`, if it still is the one with the digest `expected`; returns what it held before.

    A link is followed; mode, and owner where that is allowed, are kept. Raises Conflict where the file is another one by now, or
    cannot be written.
    """
    real = Path(path).resolve()
    try:
        with _file_lock(real):
            before = real.read_bytes()
            if file_digest(before) != expected:
                raise Conflict("the file has changed since: look at the change again")
            _replace_file(real, data)
            return before
    except OSError as error:
        raise Conflict(f"the file cannot be written: {error.strerror or error}") from None


@contextlib.contextmanager
def _file_lock(path: Path) -> Iterator[None]:
    """Other processes that write the file wait; they find another file then, and read it anew."""
    with path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _replace_file(path: Path, data: bytes) -> None:
    old = path.stat()
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            os.fchmod(file.fileno(), old.st_mode & 0o7777)
            with contextlib.suppress(PermissionError):  # only root may give a file away; the folder's owner sees it as ours then
                os.fchown(file.fileno(), old.st_uid, old.st_gid)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:  # not swallowed: only the unfinished file goes
        Path(name).unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """The new name is on disk too."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
