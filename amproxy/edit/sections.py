"""Sections of the file as JSON values; a change that sends back what was read changes nothing."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final, NamedTuple

from amproxy.config.files import decode, read_bytes
from amproxy.config.read.values import SECRET_PLACEHOLDER
from amproxy.config.yaml import PlainScalar, YamlData, parse_layout
from amproxy.edit.change import EDITABLE_KEYS, file_digest, is_writable
from amproxy.errors import ConfigProblem, Uneditable
from amproxy.text import Phrase
from amproxy.text.problems import located_phrase

READABLE_SECTIONS: Final = ("route", "users", "teams", "schedules", "escalation_policies")
# Shown beside the editable keys. A list of what may show, not of what may not: a key that is not
# known here may hold a secret.
_READ_ONLY_KEYS: Final = ("name", "role", "absences", "ical")
_SECRET_CALENDAR_KEYS: Final = ("url", "overrides_url")
_WHOLE_NUMBER: Final = re.compile(r"0|-?[1-9]\d{0,14}", re.ASCII)


class ConfigFileSections(NamedTuple):
    """A file as it stands on the disk, which need not be the one that is in force."""

    digest: str
    writable: bool
    sections: dict[str, Any]  # those of READABLE_SECTIONS that it has

    def entry(self, section: str, name: str) -> dict[str, Any] | None:
        """An entry of a section by its name."""
        return next(
            (found for found in self.sections.get(section) or [] if found.get("name") == name), None
        )


def read_file_sections(path: str | Path) -> ConfigFileSections:
    """Read the file. Raises Uneditable where that fails, or where a section is no list of maps."""
    path = Path(path)
    try:
        data = read_bytes(path)
        root = parse_layout(decode(data, str(path)), str(path))
    except ConfigProblem as error:
        raise Uneditable(Phrase("refusal.file_unread", {"error": located_phrase(error)})) from None
    found = root.data if root is not None and isinstance(root.data, dict) else {}
    sections = {key: to_json(found[key]) for key in READABLE_SECTIONS if found.get(key)}
    for section in READABLE_SECTIONS[1:]:
        entries = sections.get(section, [])
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            raise Uneditable(Phrase("refusal.list_of_maps", {"section": section}))
    return ConfigFileSections(
        file_digest(data),
        is_writable(path),
        {key: _mask_section(key, value) for key, value in sections.items()},
    )


def _mask_section(section: str, value: Any) -> Any:
    """A section without its secrets."""
    keys = next((keys for known, keys in EDITABLE_KEYS.items() if known == section), None)
    if keys is None:
        return value
    entries = [
        {key: entry[key] for key in entry if key in keys or key in _READ_ONLY_KEYS}
        for entry in value
    ]
    for entry in entries:
        if isinstance(entry.get("ical"), dict):
            entry["ical"] = {
                key: SECRET_PLACEHOLDER if key in _SECRET_CALENDAR_KEYS else item
                for key, item in entry["ical"].items()
            }
    return entries


def to_json(data: YamlData) -> Any:
    """Layout data as JSON values: numbers and bools where they are written as such."""
    if isinstance(data, list):
        return [to_json(item) for item in data]
    if isinstance(data, dict):
        return {key: to_json(value) for key, value in data.items()}
    if isinstance(data, PlainScalar):
        if data in ("true", "false"):
            return data == "true"
        return int(data) if _WHOLE_NUMBER.fullmatch(data) else str(data)
    return data
