"""Alerts of a push on their way to storage, and what a webhook's payload says of its group."""

from __future__ import annotations

from typing import Final, NamedTuple

import msgspec

from amproxy.grouping.placement import Placement, SenderGroup
from amproxy.model import Alert

UNKNOWN_CONTENT: Final = bytes(8)  # digest of an alert that a reload moves: its next push tells


class _Partial(msgspec.Struct, gc=False, kw_only=True):
    # The rest of the alert is as stored; where nothing is, an end is nothing to store.
    times_only: bool = False
    unheard: bool = False  # this process had not placed its labels before: it is hardly stored


class IncomingAlert(_Partial, gc=False):
    """One alert of a push; `make` is the whole alert with these times, made when it is written."""

    placement: Placement
    starts_ns: int
    ends_ns: int  # 0 = no end
    timeout: bool
    lapses_ns: int
    content: bytes  # 8 bytes: digest of everything but labels and times

    def make(self) -> Alert:
        raise NotImplementedError


class WholeAlert(IncomingAlert, gc=False):
    """One that was made already."""

    alert: Alert

    def make(self) -> Alert:
        return msgspec.structs.replace(self.alert)


class StatedAlert(IncomingAlert, gc=False):
    """An alert of a webhook."""

    labels: dict[str, str]
    id: str  # the alert's among all of its source; "" = it is not held against others
    said_ns: int  # its end as it was sent; 0 = none
    sender: SenderGroup


class StatedGroup(NamedTuple):
    """A payload without its alerts."""

    source: str
    id: str
    complete: bool  # it names all that fires in it
    latest_ns: int  # the last start or end in it: it was not made before
    expire_after: float  # seconds
