"""Swaps: one takes over another's shifts for a time. The rules of asking and taking, with the clock (Unix seconds) as an argument.

Swaps laid over what else puts people on call: wherever somebody gave their shifts away, the one who took them is on call.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Literal, NamedTuple

from msgspec.structs import replace

from amproxy.clock import utc
from amproxy.config.structs import User
from amproxy.errors import Conflict
from amproxy.model import Swap
from amproxy.oncall.layers import Assignment, Cover, LayerCover
from amproxy.times import LATEST

SwapState = Literal["open", "taken", "past_due"]

MAX_SWAP_SECONDS = 366 * 86400.0  # seconds between the start and the end of a swap


def swap_state(swap: Swap, now: float) -> SwapState:
    """A swap that nobody has taken by its start is past due: it cannot be taken any more. One that is taken stays taken."""
    if swap.taken_by:
        return "taken"
    return "open" if now < swap.start else "past_due"


def request_swap(swap: Swap, now: float) -> Swap:
    """A new swap, as it is stored. Raises ValueError where its times make no sense; the text is for people."""
    if swap.end <= swap.start:
        raise ValueError("the end of a swap must lie after its start")
    if swap.end <= now:
        raise ValueError("a swap cannot end in the past")
    if swap.end - swap.start > MAX_SWAP_SECONDS:
        raise ValueError(f"a swap lasts {MAX_SWAP_SECONDS // 86400:.0f} days at most")
    return replace(swap, asked_by=_if_not_self(swap.asked_by, swap.user), asked_at=now)


def take_swap(swap: Swap, user: str, by: str, now: float) -> Swap:
    """The swap once `user` has taken it. by: who did so in their name, "" = they themselves. Raises Conflict."""
    if swap.taken_by:
        raise Conflict(f"the swap is already taken by {swap.taken_by}")
    if user == swap.user:
        raise Conflict(f"{user} cannot take over their own shifts")
    if swap_state(swap, now) == "past_due":
        raise Conflict("the swap is past due: nobody took it before it began")
    return replace(swap, taken_by=user, taken_through=_if_not_self(by, user), taken_at=now)


def give_back_swap(swap: Swap) -> Swap:
    """The swap once it is given back. Raises Conflict where nobody has taken it."""
    if not swap.taken_by:
        raise Conflict("nobody has taken the swap")
    return replace(swap, taken_by="", taken_through="", taken_at=None)


def _if_not_self(by: str, user: str) -> str:
    return "" if by == user else by


class ActiveSwaps(NamedTuple):
    """The swaps that hold for a time, in the order in which they were taken."""

    swaps: tuple[Swap, ...]

    def on(self, users: Sequence[str]) -> tuple[tuple[str, ...], list[str]]:
        """Who is on call in the place of these people, and the swaps at work in words. Who is among them already is not named twice.

        A later swap finds the people whom the earlier ones left: what one has taken over, one can ask another to take.
        """
        people, words = tuple(users), list[str]()
        for swap in self.swaps:
            if swap.user in people:
                people = tuple(dict.fromkeys(swap.taken_by if name == swap.user else name for name in people))
                words.append(f"{swap.taken_by} for {swap.user} (swap)")
        return people, words


class AcceptedSwaps:
    """The swaps of one schedule that are taken. One that names people whom the configuration does not know is as if it were not there."""

    def __init__(self, swaps: Sequence[Swap], users: Mapping[str, User]) -> None:
        known = [swap for swap in swaps if swap.taken_by in users and swap.user in users and swap.start < swap.end]
        ranked = sorted(known, key=lambda swap: (swap.taken_at or 0.0, swap.id))
        changing: dict[datetime, set[int]] = {}  # moment → which begin or end then
        for rank, swap in enumerate(ranked):
            for at in (swap.start, swap.end):
                changing.setdefault(utc(at), set()).add(rank)
        self._edges = sorted(changing)
        self._held: list[ActiveSwaps] = []
        holding: set[int] = set()
        for edge in self._edges:
            holding ^= changing[edge]
            self._held.append(ActiveSwaps(tuple(ranked[rank] for rank in sorted(holding))))

    def __bool__(self) -> bool:
        return bool(self._held)

    def at(self, at: datetime) -> tuple[ActiveSwaps, datetime]:
        """The swaps that hold at a moment (UTC), and the moment (UTC) up to which that is so."""
        after = bisect_right(self._edges, at)
        return self._held[after - 1] if after else ActiveSwaps(()), self._edges[after] if after < len(self._edges) else LATEST


class SwappedCover:
    """A cover, such as the overrides of the file, with the swaps of its schedule in it."""

    def __init__(self, cover: Cover, swaps: AcceptedSwaps) -> None:
        self._cover, self._swaps = cover, swaps

    def stretch(self, at: datetime) -> Assignment:
        found = self._cover.stretch(at)
        if not found.users:
            return found
        held, until = self._swaps.at(at)
        users, words = held.on(found.users)
        return found._replace(end=min(found.end, until), users=users, reason=", ".join((found.reason, *words)))


class SwappedLayer(SwappedCover):
    """A layer with the swaps of its schedule in it."""

    def __init__(self, layer: LayerCover, swaps: AcceptedSwaps) -> None:
        super().__init__(layer, swaps)
        self._layer = layer

    def following(self, at: datetime, besides: Collection[str] = ()) -> tuple[str, ...]:
        """As of the layer. Where a swap would make it the people who are on call anyway, it is the turn after them."""
        held, _ = self._swaps.at(at)
        on_call = self._layer.stretch(at).users
        now = {*held.on(on_call)[0], *besides}
        following = self._layer.following(at, besides)
        users = held.on(following)[0]
        if now.issuperset(users) and not {*on_call, *besides}.issuperset(following):
            concerned = {*now, *(swap.user for swap in held.swaps)}
            users = held.on(self._layer.following(at, {name for name in concerned if now.issuperset(held.on((name,))[0])}))[0]
        return users
