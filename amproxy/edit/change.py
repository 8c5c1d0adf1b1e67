"""One change to routes.yaml, in the file's words: what the text becomes, and its write to the disk.

Only lines with other data change; comments, order, indentation and quotes stay.
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

from amproxy.check.lint import all_warnings
from amproxy.check.report import coverage_warnings, mask_secrets
from amproxy.config.files import decode, read_bytes
from amproxy.config.loader import LoadedConfig, load_text
from amproxy.config.yaml import PlainScalar, YamlData, parse_layout
from amproxy.edit.rewrite import rewrite_text
from amproxy.edit.turns import keep_present_turns
from amproxy.errors import ConfigError, ConfigProblem, Conflict, NotFound, Uneditable
from amproxy.oncall.roster import Roster
from amproxy.text import Phrase

SectionName = Literal["users", "teams", "schedules", "escalation_policies"]

# Section → the keys of its entries that may be changed. Roles, password hashes and calendars are
# not among them: they decide who may do what, and where amproxy connects to.
EDITABLE_KEYS: Final[dict[SectionName, tuple[str, ...]]] = {
    "users": (
        *("full_name", "timezone", "contacts", "notification_rules", "quiet_hours", "notices"),
        "holidays",
    ),
    "teams": ("members",),
    "schedules": ("name", "team", "timezone", "layers", "overrides"),
    "escalation_policies": (
        *("name", "team", "steps", "repeat", "acknowledge_timeout", "acknowledge_reminder"),
        *("after_snooze", "auto_resolve", "reopen_within", "reopen_on", "flapping", "storm"),
        "if_nobody",
    ),
}
# Section → the paths of keys (through lists) at which names of its entries are used.
_REFERENCES: Final[dict[str, tuple[tuple[str, ...], ...]]] = {
    "escalation_policies": (
        ("receivers", "oncall_configs", "escalation_policy"),
        ("escalation_policies", "steps", "forward"),
    ),
    "schedules": (("escalation_policies", "steps", "notify", "schedule"),),
}
_DIFF_CONTEXT: Final = 3  # lines around each change in a diff
_MAX_DEPTH: Final = 50  # of a new value; no key of the file takes one nested deeper than ten


class ConfigEntryChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A change to one entry of a section, or a new one; schedules and policies can be deleted too.

    `set` maps keys to their whole new values, in the file's words; None removes a key, and keys
    that are not in it stay.
    """

    section: SectionName
    name: str = ""  # "" = a new entry
    set: dict[str, Any] = {}
    delete: bool = False
    # Of new layers of a schedule: move starts of rotations so that whoever has the turn keeps it.
    keep_turns: bool = False


class ConfigChangeProposal(NamedTuple):
    """A changed file that is not written yet."""

    text: str
    diff: str  # unified; "" = nothing changes
    problems: list[ConfigProblem]  # it would not load
    warnings: list[ConfigProblem]  # that the file as it is does not have
    writable: bool
    digest: str  # of the file that it was made from
    loaded: LoadedConfig | None  # None where there are problems
    before: LoadedConfig | None  # the file as it is; None where it would not load


def propose_change(
    path: str | Path, change: ConfigEntryChange, now: datetime, env: Mapping[str, str] = os.environ
) -> ConfigChangeProposal:
    """Return the changed file, checked as `amproxy check` does; nothing is written.

    now: aware, for gaps in the schedules of the days to come. Raises NotFound, Uneditable, and
    ConfigError where the file as it is cannot be read.
    """
    path = Path(path)
    try:
        data = read_bytes(path)
        # the mark stays in the text, so that it is written back
        text = decode(data, str(path), mark=True)
        result = edit_text(text, change, str(path))
    except ConfigProblem as problem:
        raise ConfigError([problem]) from None
    before, after = _check_text(text, path, now, env), _check_text(result, path, now, env)
    if before.loaded and after.loaded and _may_keep_turns(change, before.loaded):
        layers = keep_present_turns(
            before.loaded.config, after.loaded.config, change.name, change.set["layers"], now
        )
        kept = msgspec.structs.replace(change, set={**change.set, "layers": layers})
        result = edit_text(text, kept, str(path))
        after = _check_text(result, path, now, env)
    known = {(warning.kind, warning.message) for warning in before.warnings}
    # No context around a change to a person: the lines beside it hold the addresses of others.
    context = 0 if change.section == "users" else _DIFF_CONTEXT
    return ConfigChangeProposal(
        text=result,
        diff=_diff_text(text, result, path.name, context),
        problems=after.problems,
        warnings=[
            warning for warning in after.warnings if (warning.kind, warning.message) not in known
        ],
        writable=is_writable(path),
        digest=file_digest(data),
        loaded=after.loaded,
        before=before.loaded,
    )


def _may_keep_turns(change: ConfigEntryChange, before: LoadedConfig) -> bool:
    is_change = change.section == "schedules" and change.name in before.config.schedules
    return change.keep_turns and is_change and isinstance(change.set.get("layers"), list)


class _CheckResult(NamedTuple):
    loaded: LoadedConfig | None
    problems: list[ConfigProblem]
    warnings: list[ConfigProblem]


def _check_text(text: str, path: Path, now: datetime, env: Mapping[str, str]) -> _CheckResult:
    try:
        loaded = load_text(text.removeprefix("\ufeff"), str(path), env, path.parent)
    except ConfigError as error:
        return _CheckResult(None, error.problems, [])
    warnings = [*all_warnings(loaded), *coverage_warnings(Roster(loaded.config), now)]
    return _CheckResult(loaded, [], warnings)


def _diff_text(before: str, after: str, name: str, context: int) -> str:
    """A unified diff in which possible secrets are masked, as `amproxy check` masks them."""
    old, new = (
        [f"{line}\n" for line in text.replace("\r\n", "\n").removesuffix("\n").split("\n")]
        for text in (before, after)
    )
    return "".join(
        mask_secrets(line)
        for line in difflib.unified_diff(old, new, f"a/{name}", f"b/{name}", n=context)
    )


def edit_text(text: str, change: ConfigEntryChange, file: str = "routes.yaml") -> str:
    """The text with the change made.

    Raises NotFound, Uneditable, and ConfigProblem for a text that is no YAML.
    """
    mark = "\ufeff" if text.startswith("\ufeff") else ""
    body = text.removeprefix(mark)
    windows = 0 < body.count("\n") == body.count("\r\n")
    body = body.replace("\r\n", "\n") if windows else body
    root = parse_layout(body, file)
    if root is None or not isinstance(root.data, dict):
        raise Uneditable(Phrase("refusal.no_sections"))
    wanted = edit_data(root.data, change)
    result = rewrite_text(body, root, wanted)
    # Read back what was written: whatever the rewriter did not foresee in somebody's YAML must
    # end as a refusal here, never as a file that means something else.
    again = parse_layout(result, file)
    if again is None or again.data != wanted:
        raise Uneditable(Phrase("refusal.unusual_yaml"))
    return mark + (result.replace("\n", "\r\n") if windows else result)


def edit_data(data: YamlData, change: ConfigEntryChange) -> YamlData:
    """The data of a whole file once the change is made. Raises NotFound, Uneditable."""
    entries = data.get(change.section) or []
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise Uneditable(Phrase("refusal.list_of_maps", {"section": change.section}))
    _check_change(change)
    position = _entry_position(entries, change)
    before, after = entries[:position], entries[position + 1 :]
    if change.delete:
        return {**data, change.section: [*before, *after]}
    made = {
        **(entries[position] if change.name else {}),
        **{key: to_data(value) for key, value in change.set.items()},
    }
    made = {key: value for key, value in made.items() if key not in change.set or value is not None}
    data = {**data, change.section: [*before, made, *after]}
    return (
        rename_references(data, change.section, change.name, str(made["name"]))
        if change.name and made["name"] != change.name
        else data
    )


def _entry_position(entries: list[dict[str, YamlData]], change: ConfigEntryChange) -> int:
    if not change.name:
        return len(entries)
    found = [position for position, entry in enumerate(entries) if entry.get("name") == change.name]
    if not found:
        raise NotFound(
            Phrase(
                "refusal.no_entry",
                {
                    "noun": Phrase(f"refusal.entry_{change.section}"),
                    "name": change.name[:60],
                },
            )
        )
    return found[0]


def _check_change(change: ConfigEntryChange) -> None:
    allowed = EDITABLE_KEYS[change.section]
    noun = Phrase(f"refusal.entry_{change.section}")
    if "name" not in allowed:
        # Whoever is there keeps the name, and stays: incidents, rights and contacts hang on it.
        if change.delete:
            raise Uneditable(Phrase("refusal.only_in_file", {"noun": noun}))
        allowed = allowed if change.name else ("name", *allowed)
    if change.delete and (change.set or not change.name):
        raise Uneditable(Phrase("refusal.delete_takes"))
    for key in change.set:
        if key not in allowed:
            raise Uneditable(
                Phrase(
                    "refusal.key_fixed",
                    {"key": key[:60], "noun": noun, "allowed": ", ".join(allowed)},
                )
            )
    if "name" in change.set and not (
        isinstance(change.set["name"], str) and change.set["name"].strip()
    ):
        raise Uneditable(Phrase("refusal.name_empty"))
    if not change.name and "name" not in change.set:
        raise Uneditable(Phrase("refusal.new_needs_name", {"noun": noun}))


def to_data(value: Any, depth: int = 0) -> YamlData:
    """Turn JSON values into layout data. Raises Uneditable for a value of any other type."""
    if depth > _MAX_DEPTH:
        raise Uneditable(Phrase("refusal.depth", {"most": _MAX_DEPTH}))
    if isinstance(value, bool | int):
        return PlainScalar(str(value).lower())
    if isinstance(value, float):
        return PlainScalar(msgspec.json.encode(value).decode())
    if isinstance(value, list | tuple):
        return [to_data(item, depth + 1) for item in value]
    if isinstance(value, dict):
        return {str(key): to_data(item, depth + 1) for key, item in value.items()}
    if value is None or isinstance(value, str):
        return value
    raise Uneditable(Phrase("refusal.value_kind", {"kind": type(value).__name__}))


def rename_references(data: YamlData, section: str, old: str, new: str) -> YamlData:
    """A whole file's data with every reference to an entry of `section` renamed."""
    for keys in _REFERENCES.get(section, ()):
        data = _rename_along(data, keys, old, new)
    return data


def _rename_along(data: YamlData, keys: tuple[str, ...], old: str, new: str) -> YamlData:
    if isinstance(data, list):
        return [_rename_along(item, keys, old, new) for item in data]
    if not keys:
        return new if data == old else data
    if not isinstance(data, dict) or keys[0] not in data:
        return data
    return {**data, keys[0]: _rename_along(data[keys[0]], keys[1:], old, new)}


def file_digest(data: bytes) -> str:
    """The SHA-256 of a file's bytes without a byte order mark: the `Config.digest` of its text."""
    return hashlib.sha256(data.removeprefix(b"\xef\xbb\xbf")).hexdigest()


def is_writable(path: Path) -> bool:
    """Return True where the file can be replaced: it and its folder can be written."""
    real = path.resolve()
    return os.access(real, os.W_OK) and os.access(real.parent, os.W_OK | os.X_OK)


def write_file(path: str | Path, data: bytes, expected: str) -> bytes:
    """Replace the file by `data` if its digest still is `expected`; return its bytes from before.

    A link is followed; the mode stays, and the owner where that is allowed. Raises Conflict where
    the file is another one by now, or cannot be written.
    """
    real = Path(path).resolve()
    try:
        with _file_lock(real):
            before = real.read_bytes()
            if file_digest(before) != expected:
                raise Conflict(Phrase("refusal.file_changed"))
            _replace_file(real, data)
            return before
    except OSError as error:
        raise Conflict(
            Phrase("refusal.file_unwritten", {"error": error.strerror or str(error)})
        ) from None


@contextlib.contextmanager
def _file_lock(path: Path) -> Iterator[None]:
    # Closes the window between reading the digest and replacing the file: a second worker that
    # waited here reads the new file by its name, finds another digest, and gives up.
    with path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _replace_file(path: Path, data: bytes) -> None:
    """Put a new file in the place of the old one, whole or not at all, also if power fails."""
    old = path.stat()
    # In the same folder: a rename is atomic only within a file system.
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            os.fchmod(file.fileno(), old.st_mode & 0o7777)
            # Only root may give a file away; for others the new file belongs to amproxy's user.
            with contextlib.suppress(PermissionError):
                os.fchown(file.fileno(), old.st_uid, old.st_gid)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:  # re-raised: only the unfinished file goes
        Path(name).unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Bring the new name to the disk too."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
