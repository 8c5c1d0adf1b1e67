"""Alertmanager's fingerprint of a label set: FNV-1a, 64 bit, over the sorted labels."""

from __future__ import annotations

from collections.abc import Mapping

from fnv_c import fnv1a_64


def fingerprint(labels: Mapping[str, str]) -> str:
    """16 lower-case hex digits, the same for the same labels in any order.

    Labels with empty values count as given: drop them before.
    """
    # 0xff occurs in no UTF-8 text: it ends names and values. Alertmanager sorts by UTF-8 bytes;
    # code points sort alike.
    pairs = [
        b"%b\xff%b\xff" % (name.encode(), text.encode()) for name, text in sorted(labels.items())
    ]
    return f"{fnv1a_64(b''.join(pairs)):016x}"
