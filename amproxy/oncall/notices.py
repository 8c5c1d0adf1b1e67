"""Handoffs as people are told of them: you are on call now, you are no longer. Pure.

Who is to be told what of a schedule at one moment. Pure: what was told already comes in, and goes out again.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import NamedTuple

from amproxy.clock import utc
from amproxy.model import NoticeLog, Swap
from amproxy.oncall.gaps import gap_notices
from amproxy.oncall.notice import Notice, filter_subscribed, format_local_time, join_full_names, notice_recipients
from amproxy.oncall.roster import HORIZON, OnCall, Roster

HANDOFF_STALE_AFTER = timedelta(hours=1)  # an older handoff is news to nobody
_MICROSECOND = timedelta(microseconds=1)


def handoff_notices(roster: Roster, schedule: str, now: datetime, told: NoticeLog) -> tuple[list[Notice], tuple[str, ...]]:
    """What is to be told of the change between `told` and now, and who is on call now.

    Only people count: a shift that goes on for another reason is no handoff, and who came and went in between is not told.
    """
    since = datetime.fromtimestamp(told.at, now.tzinfo)
    fresh = now - HANDOFF_STALE_AFTER < since
    pieces = roster.shifts(schedule, min(now, since) if fresh else now - HANDOFF_STALE_AFTER, now + _MICROSECOND)
    before = told.on_call if fresh else pieces[0].users
    after = pieces[-1].users
    coming = filter_subscribed(roster, (name for name in after if name not in before), "going_on_call")
    going = filter_subscribed(roster, (name for name in before if name not in after), "leaving")
    notices = [_going_on_call_notice(roster, schedule, name, after, now) for name in coming]
    return notices + [_going_off_call_notice(roster, schedule, name, after) for name in going], after


def _going_on_call_notice(roster: Roster, schedule: str, user: str, on_call: tuple[str, ...], now: datetime) -> Notice:
    end = _last_on_call_period(roster, schedule, user, now)
    others = [name for name in on_call if name != user]
    together = f", together with {join_full_names(roster, others)}," if others else ""
    after = f"; after you: {join_full_names(roster, end.next)}" if end.until else ""
    return Notice(
        kind="going_on_call",
        user=user,
        subject=f"You are on call for {schedule}",
        text=f"You are on call for {schedule}{together} until {format_local_time(roster, end.until, user)}{after}.",
    )


def _going_off_call_notice(roster: Roster, schedule: str, user: str, on_call: tuple[str, ...]) -> Notice:
    taken = f"{join_full_names(roster, on_call)} {'have' if len(on_call) > 1 else 'has'} taken over" if on_call else "nobody has taken over"
    return Notice(
        kind="leaving", user=user, subject=f"You are off call for {schedule}", text=f"You are no longer on call for {schedule}; {taken}."
    )


def _last_on_call_period(roster: Roster, schedule: str, user: str, now: datetime) -> OnCall:
    """The last stretch of the person's shift: it may go on while others come and go."""
    return list(_on_call_periods(roster, schedule, user, now))[-1]


def _on_call_periods(roster: Roster, schedule: str, user: str, now: datetime) -> Iterator[OnCall]:
    found = roster.on_call(schedule, now)
    yield found
    while found.until and user in found.next and found.until < now + HORIZON:
        found = roster.on_call(schedule, found.until)
        yield found


class DueNotices(NamedTuple):
    notices: list[Notice]
    told: NoticeLog  # what has been told once these are


def due_notices(roster: Roster, schedule: str, now: datetime, told: NoticeLog | None) -> DueNotices:
    """told: what the look before has left; None = the first look, which tells of no handoff. Raises KeyError for an unknown schedule."""
    if told is None:
        told = NoticeLog(at=now.timestamp(), on_call=roster.on_call(schedule, now).users)
    changes, on_call = handoff_notices(roster, schedule, now, told)
    warnings, warned = gap_notices(roster, schedule, now, told)
    return DueNotices(changes + warnings, NoticeLog(at=now.timestamp(), on_call=on_call, warned=warned))


def swap_request_notices(roster: Roster, swap: Swap) -> list[Notice]:
    """Those of the schedule, but the one who asks, learn that somebody is wanted. Raises KeyError for an unknown schedule."""
    asking = swap.asked_by or swap.user
    by = f", says {join_full_names(roster, [asking])}" if asking != swap.user else ""
    reason = f": {swap.reason}" if swap.reason else ""
    whose = join_full_names(roster, [swap.user])
    return [
        Notice(
            kind="swap_asked",
            user=user,
            subject=f"Somebody is wanted for {swap.schedule}",
            text=(
                f"{whose} looks for somebody to take over {swap.schedule} from {format_local_time(roster, utc(swap.start), user)} "
                f"until {format_local_time(roster, utc(swap.end), user)}{by}{reason}."
            ),
        )
        for user in notice_recipients(roster, swap.schedule, "swap_asked", utc(swap.start))
        if user != asking
    ]
