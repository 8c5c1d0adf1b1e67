"""Swaps: one person takes over another's shifts of a schedule for a period."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Final, Literal, NamedTuple

from msgspec.structs import replace

from amproxy.clock import utc
from amproxy.config.structs import User
from amproxy.errors import Conflict
from amproxy.model import Swap
from amproxy.oncall.layers import Assignment, Cover
from amproxy.text import PeopleNames, Phrase, phrase
from amproxy.times import LATEST

SwapState = Literal["open", "taken", "past_due"]

# Between the start and the end of a swap or override by hand: what is for good belongs in the file.
MAX_CHANGE_SECONDS = 366 * 86400.0


def swap_state(swap: Swap, now: float) -> SwapState:
    """The state at a time (Unix seconds).

    An open swap is past due from its end on: what is left of it can be taken until then. A taken
    one stays so.
    """
    if swap.taken_by:
        return "taken"
    return "open" if now < swap.end else "past_due"


_REFUSALS: Final = {
    "swap": (
        *("refusal.swap_end_after_start", "refusal.swap_end_past"),
        "refusal.swap_length",
    ),
    "override": (
        *("refusal.override_end_after_start", "refusal.override_end_past"),
        "refusal.override_length",
    ),
}


def check_period(what: Literal["swap", "override"], start: float, end: float, now: float) -> None:
    """Check the times of a change by hand, Unix seconds. Raises ValueError with a phrase."""
    end_after_start, end_past, length = _REFUSALS[what]
    if end <= start:
        raise ValueError(Phrase(end_after_start))
    if end <= now:
        raise ValueError(Phrase(end_past))
    if end - start > MAX_CHANGE_SECONDS:
        raise ValueError(Phrase(length, {"days": round(MAX_CHANGE_SECONDS // 86400)}))


def request_swap(swap: Swap, now: float) -> Swap:
    """Return a new swap as it is stored. Raises ValueError with a phrase for bad times."""
    check_period("swap", swap.start, swap.end, now)
    return replace(swap, asked_by=_if_not_self(swap.asked_by, swap.user), asked_at=now)


def take_swap(swap: Swap, user: str, by: str, now: float) -> Swap:
    """Return the swap as taken by `user`. by: who accepts in their name, "" = they themselves.

    Raises Conflict where it is taken or past due, or where the shifts are the user's own.
    """
    if swap.taken_by:
        raise Conflict(Phrase("refusal.swap_taken", {"user": PeopleNames((swap.taken_by,))}))
    if user == swap.user:
        raise Conflict(Phrase("refusal.swap_own", {"user": PeopleNames((user,))}))
    if swap_state(swap, now) == "past_due":
        raise Conflict(Phrase("refusal.swap_past_due"))
    return replace(swap, taken_by=user, taken_through=_if_not_self(by, user), taken_at=now)


def give_back_swap(swap: Swap) -> Swap:
    """Return the swap as open again. Raises Conflict where nobody has taken it."""
    if not swap.taken_by:
        raise Conflict(Phrase("refusal.swap_not_taken"))
    return replace(swap, taken_by="", taken_through="", taken_at=None)


def _if_not_self(by: str, user: str) -> str:
    return "" if by == user else by


class ActiveSwaps(NamedTuple):
    """The swaps of one time, in the order in which they were taken."""

    swaps: tuple[Swap, ...]

    def apply_to(self, users: Sequence[str]) -> tuple[tuple[str, ...], list[Phrase]]:
        """Return who is on call instead of these people, and the swaps that apply, as reasons.

        A later swap applies to the result of the earlier ones: shifts that somebody has taken over
        may be swapped again.
        """
        people, reasons = tuple(users), list[Phrase]()
        for swap in self.swaps:
            if swap.user in people:
                # dict.fromkeys: whoever takes over is on call already, perhaps.
                people = tuple(
                    dict.fromkeys(swap.taken_by if name == swap.user else name for name in people)
                )
                taker, user = PeopleNames((swap.taken_by,)), PeopleNames((swap.user,))
                reasons.append(phrase("on_call.swap", taker=taker, user=user))
        return people, reasons


class AcceptedSwaps:
    """The taken swaps of one schedule. Those with people who are not in the file have no effect."""

    def __init__(self, swaps: Sequence[Swap], users: Mapping[str, User]) -> None:
        known = [
            swap
            for swap in swaps
            if swap.taken_by in users
            and swap.user in users
            and max(swap.start, swap.taken_at or 0.0) < swap.end
        ]
        ranked = sorted(known, key=lambda swap: (swap.taken_at or 0.0, swap.id))
        changing: dict[datetime, set[int]] = {}  # time → which begin or end then
        for rank, swap in enumerate(ranked):
            # One that was taken when it had begun changes nothing about what is over.
            for at in (max(swap.start, swap.taken_at or 0.0), swap.end):
                changing.setdefault(utc(at), set()).add(rank)
        self._edges = sorted(changing)
        self.takers = {swap.taken_by for swap in ranked}
        self._active: list[ActiveSwaps] = []  # from each edge on
        ranks: set[int] = set()
        for edge in self._edges:
            ranks ^= changing[edge]
            self._active.append(ActiveSwaps(tuple(ranked[rank] for rank in sorted(ranks))))

    def __bool__(self) -> bool:
        return bool(self._active)

    def at(self, at: datetime) -> tuple[ActiveSwaps, datetime]:
        """The swaps of a time (UTC), and the time (UTC) until which the answer is valid."""
        after = bisect_right(self._edges, at)
        active = self._active[after - 1] if after else ActiveSwaps(())
        return active, self._edges[after] if after < len(self._edges) else LATEST


class SwappedCover:
    """A layer, or the overrides of the file, with the swaps of its schedule applied."""

    def __init__(self, cover: Cover, swaps: AcceptedSwaps) -> None:
        self._cover, self._swaps = cover, swaps

    def assignment_at(self, at: datetime) -> Assignment:
        found = self._cover.assignment_at(at)
        if not found.users:
            return found
        swaps, until = self._swaps.at(at)
        users, applied = swaps.apply_to(found.users)
        reason = found.reason
        if applied and reason:
            reason = phrase("on_call.swapped", reason=reason, swaps=tuple(applied))
        return found._replace(end=min(found.end, until), users=users, reason=reason)

    def people(self) -> Collection[str]:
        return {*self._cover.people(), *self._swaps.takers}
