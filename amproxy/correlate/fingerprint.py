"""Alertmanager's fingerprint of a label set: FNV-1a, 64 bit, over the sorted labels."""

from __future__ import annotations

from collections.abc import Mapping

_START = 0xCBF29CE484222325
_PRIME = 0x100000001B3
_MASK = 0xFFFFFFFFFFFFFFFF


def fingerprint(labels: Mapping[str, str]) -> str:
    """16 lower-case hex digits that are the same for the same labels, in any order.

    Labels with empty values count as given: drop them before. Takes about 20 µs, so callers remember it by label set.
    """
    value = _START
    # Code points sort as their UTF-8 bytes do, and 0xff occurs in no UTF-8 text: it parts names and values.
    for name, text in sorted(labels.items()):
        for byte in b"%b\xff%b\xff" % (name.encode(), text.encode()):
            value = (value ^ byte) * _PRIME & _MASK
    return f"{value:016x}"
