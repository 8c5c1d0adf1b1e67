"""Readers of single values: texts, URLs, secrets, numbers, durations, moments.

Each takes a cursor and returns the value, or None after recording what is wrong and allowed. Like
Alertmanager's, they type a scalar by the field that it stands in: `yes` is a bool in one place and
a text in another. `${NAME}` in a value of a file of amproxy's own is replaced by an environment
variable; matchers, regular expressions and templates keep theirs.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, available_timezones

from amproxy.config.read.cursor import Cursor, Reader, describe_node
from amproxy.config.yaml import ScalarNode, SequenceNode
from amproxy.labels.matchers import CLASSIC_NAME, is_label_name
from amproxy.secret import Secret
from amproxy.text import Phrase, PhraseValue
from amproxy.text.problems import alternatives
from amproxy.times import (
    BadDuration,
    format_duration,
    parse_duration,
    parse_go_duration,
    parse_iso_time,
)

# In the place of a secret, in a configuration that a server has written back.
SECRET_PLACEHOLDER: Final = "<secret>"  # noqa: S105
ENVIRONMENT_VARIABLE: Final = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_MAX_QUOTED: Final = 80  # characters of a value in an error message

TRUE_WORDS: Final = frozenset(
    ("y", "Y", "yes", "Yes", "YES", "on", "On", "ON", "true", "True", "TRUE")
)
_FALSE: Final = frozenset(
    ("n", "N", "no", "No", "NO", "off", "Off", "OFF", "false", "False", "FALSE")
)
_INTEGER = re.compile(r"[-+]?[0-9][0-9a-fA-Fxo_]{0,30}")
_OCTAL = re.compile(r"(?<![0-9a-zA-Z])0+(?=[0-7])")  # 017 is octal, as in YAML 1.1
_SIZE = re.compile(r"([0-9]+) ?(B|kB|KB|KiB|MB|MiB|GB|GiB)?")
_SIZE_UNITS: Final = {
    **{"": 1, "B": 1, "kB": 10**3, "KB": 10**3, "MB": 10**6, "GB": 10**9},
    **{"KiB": 2**10, "MiB": 2**20, "GiB": 2**30},
}


def raw(at: Cursor) -> str | None:
    """The literal text, nothing replaced: for matchers, regular expressions and templates."""
    if not isinstance(at.node, ScalarNode):
        at.error("problem.expected_text", found=describe_node(at.node))
        return None
    return "" if at.node.null else at.node.text


def text(at: Cursor) -> str | None:
    """The text with each `${NAME}` replaced by its variable; one that is not set is an error.

    In a file of Alertmanager's own, `${NAME}` is text.
    """
    found, env = raw(at), at.document.env
    if found is None or "${" not in found or env is None:
        return found
    unset = [name for name in ENVIRONMENT_VARIABLE.findall(found) if name not in env]
    for name in dict.fromkeys(unset):
        at.error("problem.unset_variable", variable=name)
    if unset:
        return None
    return ENVIRONMENT_VARIABLE.sub(lambda variable: env[variable[1]], found)


def written_value(at: Cursor) -> str:
    """The text for an error, shortened, as written in the file; "" for a list or a map.

    An environment variable is not replaced: its value may be a secret.
    """
    written = at.node.text if isinstance(at.node, ScalarNode) else ""
    return written if len(written) <= _MAX_QUOTED else f"{written[:_MAX_QUOTED]}…"


def name(at: Cursor) -> str | None:
    """A text that is not empty."""
    found = text(at)
    if found == "":
        at.error("problem.empty")
        return None
    return found


def choice(*allowed: str) -> Reader:
    """One of a few words."""

    def read(at: Cursor) -> str | None:
        found = text(at)
        if found is None or found in allowed:
            return found
        at.error(
            "problem.not_allowed",
            value=written_value(at),
            allowed=alternatives(allowed, quoted=True),
        )
        return None

    return read


def url(at: Cursor) -> str | None:
    """An absolute http or https URL."""
    found = text(at)
    if found is None:
        return None
    wrong = url_fault(found)
    if wrong:
        at.error("problem.unusable_url", reason=wrong)
        return None
    return found


def url_fault(found: str) -> Phrase | None:
    """The reason why a text is no usable URL; None = it is one.

    The reasons never quote the URL: it may be a secret, or hold one.
    """
    try:
        parts = urlsplit(found)
        if parts.scheme not in ("http", "https"):
            return Phrase("problem.url_scheme")
        if not parts.netloc.rpartition("@")[2]:
            return Phrase("problem.url_host_missing")
        if re.search(r"[\x00-\x20\x7f]", parts.netloc) or re.search(r"[\x00-\x1f\x7f]", found):
            return Phrase("problem.url_character")
        _ = parts.port  # raises where it is no number
    except ValueError as error:
        return Phrase("problem.url_port" if "ort" in str(error) else "problem.url_host")
    return None


def secret(at: Cursor) -> Secret | None:
    """A text that never shows."""
    found = text(at)
    return None if found is None else Secret(found)


def secret_url(at: Cursor) -> Secret | None:
    """A URL that never shows, such as an incoming webhook."""
    if raw(at) == SECRET_PLACEHOLDER:
        return Secret(SECRET_PLACEHOLDER)
    found = url(at)
    return None if found is None else Secret(found)


def host_port(at: Cursor) -> str | None:
    """`host:port`; an IPv6 address stands in brackets."""
    found = text(at)
    if not found:
        return found
    host, colon, port = found.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    if not colon or not port or (not bracketed and (":" in host or "[" in host or "]" in host)):
        at.error("problem.expected_host_port", value=written_value(at))
        return None
    return found


def file(at: Cursor) -> str | None:
    """The path of a file, from the folder of the configuration.

    A file that cannot be read now is only a warning: a mounted secret may come later.
    """
    found = text(at)
    if not found:
        return found
    path = at.document.folder / found
    try:
        path.open("rb").close()
    except (OSError, ValueError) as error:
        at.warn(
            "unreadable_file",
            Phrase("problem.unreadable_file", {"path": found, "reason": read_fault(error)}),
        )
    return str(path)


def read_fault(error: Exception) -> PhraseValue:
    """The reason why a file cannot be opened, in the system's words; of a ValueError our own."""
    return (isinstance(error, OSError) and error.strerror) or Phrase("problem.unusable_path")


def list_of(reader: Reader) -> Reader:
    """A list whose entries are all read alike; broken ones are left out."""

    def read(at: Cursor) -> list[Any] | None:
        return [found for item in at.items() if (found := reader(item)) is not None]

    return read


def map_of(reader: Reader, key: Reader | None = None) -> Reader:
    """A map with any keys, whose values are all read alike; null is "". `key` checks each key."""

    def read(at: Cursor) -> dict[str, Any] | None:
        found = {}
        for entry, entry_cursor, value in at.pairs():
            if key is not None and key(entry_cursor) is None:
                continue
            item = "" if value.null else reader(value)
            if item is not None:
                found[entry] = item
        return found

    return read


def section_of(table: dict[str, Reader]) -> Reader:
    """A map with the keys of a table."""
    return lambda at: at.section(table)


def label_name(at: Cursor) -> str | None:
    """A label's name: in Alertmanager's UTF-8 mode anything but empty."""
    found = text(at)
    if not found:
        at.error("problem.empty_label_name")
        return None
    if not is_label_name(found):  # in classic mode
        at.error("problem.classic_label_name", value=written_value(at))
        return None
    return found


def classic_label_name(at: Cursor) -> str | None:
    """A label's name for the old keys (match, match_re …)."""
    found = raw(at)
    if found is None or not CLASSIC_NAME.fullmatch(found):
        at.error("problem.classic_label_name", value=written_value(at))
        return None
    return found


def reference(section: str, unknown: str) -> Reader:
    """The name of something that a section of the file defines.

    unknown: the key of the error for another name.
    """

    def read(at: Cursor) -> str | None:
        found = name(at)
        known = at.document.names.get(section, {})
        if found is None or found in known:
            return found
        at.error(unknown, name=written_value(at), hint=at.hint(found, lambda: known))
        return None

    return read


interval_names: Final = list_of(reference("time_intervals", "problem.no_time_interval"))


def literal(at: Cursor, scalar: Reader = raw) -> Any:
    """Lists, maps and texts as written, untyped; null is None."""
    if isinstance(at.node, ScalarNode):
        return None if at.null else scalar(at)
    if isinstance(at.node, SequenceNode):
        return [
            literal(at.child(node, position), scalar) for position, node in enumerate(at.node.items)
        ]
    return {key: literal(value, scalar) for key, _, value in at.pairs()}


class Duration(float):
    """Seconds that print as a Prometheus duration."""

    def __str__(self) -> str:
        return format_duration(self)


def unquoted_text(at: Cursor) -> str | None:
    """The text of a number or a bool: written without quotes, or from the environment."""
    found = text(at)
    if (
        found is not None
        and isinstance(at.node, ScalarNode)
        and not at.node.plain
        and "${" not in at.node.text
    ):
        at.error("problem.quoted_value", value=written_value(at))
        return None
    return found


def boolean(at: Cursor) -> bool | None:
    found = unquoted_text(at)
    if found is None or found in TRUE_WORDS or found in _FALSE:
        return None if found is None else found in TRUE_WORDS
    at.error("problem.expected_boolean", value=written_value(at))
    return None


def integer(minimum: int | None = None) -> Reader:
    """A whole number, not below `minimum`."""

    def read(at: Cursor) -> int | None:
        found = unquoted_text(at)
        if found is None:
            return None
        try:
            if not _INTEGER.fullmatch(found):
                raise ValueError
            number = int(_OCTAL.sub("0o", found.replace("_", "")), 0)
        except ValueError:
            at.error("problem.expected_integer", value=written_value(at))
            return None
        if minimum is not None and number < minimum:
            at.error("problem.too_small", value=written_value(at), least=minimum)
            return None
        return number

    return read


def fraction(at: Cursor) -> float | None:
    found = unquoted_text(at)
    try:
        return None if found is None else float(found)
    except ValueError:
        at.error("problem.expected_number", value=written_value(at))
        return None


def duration(at: Cursor) -> Duration | None:
    """A Prometheus duration in seconds."""
    found = text(at)
    try:
        return None if found is None else Duration(parse_duration(found))
    except BadDuration as error:
        # The value may come from the environment: then it is shown as it is written.
        written = written_value(at)
        key = f"problem.duration_{error.fault}" if written == found else "problem.no_duration"
        at.error(key, value=written)
        return None


def positive_duration(at: Cursor) -> Duration | None:
    """A Prometheus duration that is longer than nothing."""
    found = duration(at)
    if found is not None and not found:
        at.error("problem.duration_zero")
        return None
    return found


def size(at: Cursor) -> int | None:
    """A size in bytes: `1048576` or `16MiB`."""
    found = text(at)
    if found is None:
        return None
    matched = _SIZE.fullmatch(found)
    if matched is None or not int(matched[1]):
        at.error("problem.expected_size", value=written_value(at))
        return None
    return int(matched[1]) * _SIZE_UNITS[matched[2] or ""]


class GoDuration(Duration):
    """Seconds that print as a Go duration."""

    def __str__(self) -> str:
        return f"{float(self):g}s"


def date_time(at: Cursor) -> datetime | None:
    """`2026-01-05T09:00`, with or without seconds or an offset, or a date alone.

    Naive where no offset is written.
    """
    found = text(at)
    if found is None:
        return None
    try:
        return parse_iso_time(found, fraction=False)
    except ValueError:
        at.error("problem.expected_date_time", value=written_value(at))
        return None


def to_wall_clock(found: datetime, zone: str) -> datetime:
    """Turn a moment into the naive time on the clock of a zone; a naive one is that already."""
    return found if found.tzinfo is None else found.astimezone(ZoneInfo(zone)).replace(tzinfo=None)


def timezone(at: Cursor) -> str | None:
    """A name of the tz database."""
    found = name(at)
    if found is None:
        return None
    try:
        ZoneInfo(found)
    except (KeyError, ValueError, OSError):
        # In this order: unknown; not a name at all; a folder of the database, such as "Europe".
        at.error(
            "problem.no_time_zone",
            name=written_value(at),
            hint=at.hint(found, available_timezones),
        )
        return None
    return found


def go_duration(at: Cursor) -> GoDuration | None:
    """A duration as Go writes it (`1m30s`, `1.5h`); a number alone is nanoseconds.

    Alertmanager takes these in a few places.
    """
    found = text(at)
    if found is None:
        return None
    if found.isdecimal() and found.isascii():
        return GoDuration(int(found) / 1e9)
    try:
        return GoDuration(parse_go_duration(found))
    except ValueError:
        at.error("problem.expected_go_duration", value=written_value(at))
        return None
