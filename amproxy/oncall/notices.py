"""Who is to be told what of a schedule at one moment. Pure: what was told already comes in, and goes out again."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from amproxy.clock import utc
from amproxy.model import Swap, Told
from amproxy.oncall.gaps import holes
from amproxy.oncall.handoffs import handoffs
from amproxy.oncall.notice import Notice, called, clock, concerned
from amproxy.oncall.roster import Roster


class Due(NamedTuple):
    notices: list[Notice]
    told: Told  # what has been told once these are


def due(roster: Roster, schedule: str, now: datetime, told: Told | None) -> Due:
    """told: what the look before has left; None = the first look, which tells of no handoff. Raises KeyError for an unknown schedule."""
    if told is None:
        told = Told(at=now.timestamp(), on_call=roster.on_call(schedule, now).users)
    changes, on_call = handoffs(roster, schedule, now, told)
    warnings, warned = holes(roster, schedule, now, told)
    return Due(changes + warnings, Told(at=now.timestamp(), on_call=on_call, warned=warned))


def swap_asked(roster: Roster, swap: Swap) -> list[Notice]:
    """Those of the schedule, but the one who asks, learn that somebody is wanted. Raises KeyError for an unknown schedule."""
    asking = swap.asked_by or swap.user
    by = f", says {called(roster, [asking])}" if asking != swap.user else ""
    reason = f": {swap.reason}" if swap.reason else ""
    whose = called(roster, [swap.user])
    return [
        Notice(
            kind="swap_asked",
            user=user,
            subject=f"Somebody is wanted for {swap.schedule}",
            text=(
                f"{whose} looks for somebody to take over {swap.schedule} from {clock(roster, utc(swap.start), user)} "
                f"until {clock(roster, utc(swap.end), user)}{by}{reason}."
            ),
        )
        for user in concerned(roster, swap.schedule, "swap_asked", utc(swap.start))
        if user != asking
    ]
