"""Swaps: one takes over another's shifts for a time. The rules of asking and taking, with the clock (Unix seconds) as an argument."""

from __future__ import annotations

from typing import Literal

from msgspec.structs import replace

from amproxy.errors import Conflict
from amproxy.model import Swap

SwapState = Literal["open", "taken", "past_due"]

LONGEST = 366 * 86400.0  # seconds between the start and the end of a swap


def state(swap: Swap, now: float) -> SwapState:
    """A swap that nobody has taken by its start is past due: it cannot be taken any more. One that is taken stays taken."""
    if swap.taken_by:
        return "taken"
    return "open" if now < swap.start else "past_due"


def asked(swap: Swap, now: float) -> Swap:
    """A new swap, as it is stored. Raises ValueError where its times make no sense; the text is for people."""
    if swap.end <= swap.start:
        raise ValueError("the end of a swap must lie after its start")
    if swap.end <= now:
        raise ValueError("a swap cannot end in the past")
    if swap.end - swap.start > LONGEST:
        raise ValueError(f"a swap lasts {LONGEST // 86400:.0f} days at most")
    return replace(swap, asked_by=_other(swap.asked_by, swap.user), asked_at=now)


def taken(swap: Swap, user: str, by: str, now: float) -> Swap:
    """The swap once `user` has taken it. by: who did so in their name, "" = they themselves. Raises Conflict."""
    if swap.taken_by:
        raise Conflict(f"the swap is already taken by {swap.taken_by}")
    if user == swap.user:
        raise Conflict(f"{user} cannot take over their own shifts")
    if state(swap, now) == "past_due":
        raise Conflict("the swap is past due: nobody took it before it began")
    return replace(swap, taken_by=user, taken_through=_other(by, user), taken_at=now)


def untaken(swap: Swap) -> Swap:
    """The swap once it is given back. Raises Conflict where nobody has taken it."""
    if not swap.taken_by:
        raise Conflict("nobody has taken the swap")
    return replace(swap, taken_by="", taken_through="", taken_at=None)


def _other(by: str, user: str) -> str:
    return "" if by == user else by
