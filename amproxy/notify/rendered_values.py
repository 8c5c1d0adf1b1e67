"""Values in rendered texts: trees of the file whose texts may stand for numbers, lists and maps.

`details: {firing: '{{ .Alerts.Firing | toJson }}'}` is to send a list, not the text of one. So
Alertmanager reads each rendered text of such a tree as YAML, and so does this.
"""

from __future__ import annotations

import math
import re
from typing import Any, Final

import msgspec

from amproxy.config.yaml import MappingNode, ScalarNode, SequenceNode, YamlNode, compose
from amproxy.errors import ConfigProblem

_TRUE: Final = frozenset(("y", "Y", "yes", "Yes", "YES", "on", "On", "ON", "true", "True", "TRUE"))
_FALSE: Final = frozenset(
    ("n", "N", "no", "No", "NO", "off", "Off", "OFF", "false", "False", "FALSE")
)
_INTEGER: Final = re.compile(r"([-+]?)(?:0[xX]([0-9a-fA-F]+)|0[bB]([01]+)|0[oO]?([0-7]*)|(\d+))")
_BASES: Final = (16, 2, 8, 10)
_FLOAT: Final = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", re.ASCII)
_WHOLE_FLOATS: Final = 1e15  # below it, a float without a fraction is written as a whole number


def typed_tree(value: Any) -> Any:
    """A tree of rendered texts with each text as the value that it is in YAML.

    A text that is no YAML, or a plain text in it, stays as it is; an empty one is None.
    """
    if isinstance(value, str):
        return typed_text(value)
    if isinstance(value, list):
        return [typed_tree(item) for item in value]
    if isinstance(value, dict):
        return {key: typed_tree(item) for key, item in value.items()}
    return value


def typed_text(text: str) -> Any:
    """The value of one text. A text within quotes loses them only where it is JSON."""
    try:
        return _plain_floats(msgspec.json.decode(text))
    except (msgspec.DecodeError, UnicodeError):
        pass
    except RecursionError:
        return text
    try:
        node = compose(text, "")
    except ConfigProblem:
        return text
    found = None if node is None else _value(node)
    return text if isinstance(found, str) else found


def _value(node: YamlNode) -> Any:
    if isinstance(node, ScalarNode):
        return _plain_value(node.text) if node.plain else node.text
    if isinstance(node, SequenceNode):
        return [_value(item) for item in node.items]
    assert isinstance(node, MappingNode)
    # Of a key given twice the last value counts: an older file's list of instances for PagerDuty
    # has all of its keys once an alert. JSON has no other keys than texts: one that is a number or
    # a bool is left out.
    return {
        name.text: _value(item)
        for name, item in (*node.pairs.values(), *node.repeated)
        if isinstance(name, ScalarNode) and isinstance(_value(name), str)
    }


def _plain_value(text: str) -> Any:
    """A scalar without quotes by YAML 1.1 as Go reads it; a date stays a text."""
    if text in ("", "~", "null", "Null", "NULL"):
        return None
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    digits = text.replace("_", "") if text[0] in "+-0123456789" else text
    if matched := _INTEGER.fullmatch(digits):
        sign, *groups = matched.groups()
        number = next(
            int(found or "0", base)
            for found, base in zip(groups, _BASES, strict=True)
            if found is not None
        )
        if number < 2**63 or (number < 2**64 and not sign):
            return -number if sign == "-" else number
    if _FLOAT.fullmatch(digits):
        return _plain_floats(float(digits)) if math.isfinite(float(digits)) else text
    return text


def _plain_floats(value: Any) -> Any:
    """Whole floats as Go writes them, without a fraction."""
    if isinstance(value, float) and value.is_integer() and abs(value) < _WHOLE_FLOATS:
        return int(value)
    if isinstance(value, list):
        return [_plain_floats(item) for item in value]
    if isinstance(value, dict):
        return {key: _plain_floats(item) for key, item in value.items()}
    return value
