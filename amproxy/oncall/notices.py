"""The notices about a schedule that are due at a time: handoffs, gaps, swap requests. Pure.

The log of notices already sent comes in, and goes out again.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import NamedTuple

from amproxy.clock import utc
from amproxy.model import NoticeLog, Swap
from amproxy.oncall.gaps import gap_notices
from amproxy.oncall.moves import moved_shift_notices
from amproxy.oncall.notice import (
    Notice,
    filter_subscribed,
    format_local_time,
    join_full_names,
    notice_recipients,
)
from amproxy.oncall.roster import HORIZON, OnCall, Roster
from amproxy.text import ScheduleName, phrase

HANDOFF_STALE_AFTER = timedelta(hours=1)  # an older handoff is news to nobody
_MICROSECOND = timedelta(microseconds=1)


class DueNotices(NamedTuple):
    notices: list[Notice]
    log: NoticeLog  # once these are sent


def due_notices(
    roster: Roster,
    schedule: str,
    now: datetime,
    log: NoticeLog | None,
    loaded_at: float = 0.0,
) -> DueNotices:
    """The notices about handoffs, gaps and moved shifts that are due.

    log: of the check before; None = this is the first, which finds no handoff. loaded_at: when the
    roster's file was loaded, Unix seconds. Raises KeyError for an unknown schedule.
    """
    if log is None:
        log = NoticeLog(at=now.timestamp(), on_call=roster.on_call(schedule, now).users)
    handoffs, on_call = _handoff_notices(roster, schedule, now, log)
    warnings, warned = gap_notices(roster, schedule, now, log)
    moves, plan = moved_shift_notices(roster, schedule, now, log.plan, loaded_at)
    return DueNotices(
        handoffs + warnings + moves,
        NoticeLog(at=now.timestamp(), on_call=on_call, warned=warned, plan=plan),
    )


def _handoff_notices(
    roster: Roster, schedule: str, now: datetime, log: NoticeLog
) -> tuple[list[Notice], tuple[str, ...]]:
    """The notices about the change of people since the log, and who is on call now.

    A shift that goes on for another reason is no handoff, and people who came and went in between
    get no notice.
    """
    since = datetime.fromtimestamp(log.at, now.tzinfo)
    is_fresh = now - HANDOFF_STALE_AFTER < since
    start = min(now, since) if is_fresh else now - HANDOFF_STALE_AFTER
    shifts = roster.shifts(schedule, start, now + _MICROSECOND)
    before = log.on_call if is_fresh else shifts[0].users
    after = shifts[-1].users
    coming = (name for name in after if name not in before)
    going = (name for name in before if name not in after)
    notices = [
        _going_on_call_notice(roster, schedule, name, after, now)
        for name in filter_subscribed(roster, coming, "going_on_call")
    ]
    notices += [
        _going_off_call_notice(roster, schedule, name, after)
        for name in filter_subscribed(roster, going, "leaving")
    ]
    return notices, after


def _going_on_call_notice(
    roster: Roster, schedule: str, user: str, on_call: tuple[str, ...], now: datetime
) -> Notice:
    last = list(_on_call_periods(roster, schedule, user, now))[-1]
    others = [name for name in on_call if name != user]
    together = f", together with {join_full_names(roster, others)}," if others else ""
    until = format_local_time(roster, last.until, user)
    after = f"; after you: {join_full_names(roster, last.next)}" if last.until else ""
    return Notice(
        kind="going_on_call",
        user=user,
        subject=phrase("notice.going_on_call", schedule=ScheduleName(schedule)),
        text=f"You are on call for {schedule}{together} until {until}{after}.",
    )


def _going_off_call_notice(
    roster: Roster, schedule: str, user: str, on_call: tuple[str, ...]
) -> Notice:
    names = join_full_names(roster, on_call)  # "nobody" where there are none
    verb = "have" if len(on_call) > 1 else "has"
    return Notice(
        kind="leaving",
        user=user,
        subject=phrase("notice.leaving", schedule=ScheduleName(schedule)),
        text=f"You are no longer on call for {schedule}; {names} {verb} taken over.",
    )


def _on_call_periods(roster: Roster, schedule: str, user: str, now: datetime) -> Iterator[OnCall]:
    """The parts of the person's shift: it may go on while others come and go."""
    found = roster.on_call(schedule, now)
    yield found
    while found.until and user in found.next and found.until < now + HORIZON:
        found = roster.on_call(schedule, found.until)
        yield found


def swap_request_notices(roster: Roster, swap: Swap) -> list[Notice]:
    """The notices about a swap request, to all of the schedule but the one who made it.

    Raises KeyError for an unknown schedule.
    """
    requester = swap.asked_by or swap.user
    whose = join_full_names(roster, [swap.user])
    by = f", says {join_full_names(roster, [requester])}" if requester != swap.user else ""
    reason = f": {swap.reason}" if swap.reason else ""
    notices = []
    for user in notice_recipients(roster, swap.schedule, "swap_asked", utc(swap.start)):
        if user == requester:
            continue
        start = format_local_time(roster, utc(swap.start), user)
        end = format_local_time(roster, utc(swap.end), user)
        text = (
            f"{whose} looks for somebody to take over {swap.schedule} from {start} until {end}"
            f"{by}{reason}."
        )
        subject = phrase("notice.swap_asked", schedule=ScheduleName(swap.schedule))
        notices.append(Notice(kind="swap_asked", user=user, subject=subject, text=text))
    return notices
