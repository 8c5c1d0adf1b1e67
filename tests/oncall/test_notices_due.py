"""What people are told of a schedule at one moment, and that nothing is told twice."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

import tests.support.properties  # noqa: F401  # the settings of property tests
from amproxy.config.structs import Override
from amproxy.model import NoticeLog, Swap
from amproxy.oncall.notice import Notice
from amproxy.oncall.notices import due_notices, swap_request_notices
from amproxy.oncall.roster import Roster
from tests.support.oncall.rosters import layer, override, roster, utc

MONDAY = utc("2026-01-05T09:00")
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def wanting(found: Roster, *kinds: str) -> Roster:
    """The same with everybody wanting these notices."""
    users = {
        name: replace(user, notices=dict.fromkeys(kinds, ("chat",)))
        for name, user in found.config.users.items()
    }
    return Roster(replace(found.config, users=users), found.overrides)


def handoffs(found: Roster, since: str, until: str, on_call: tuple[str, ...]) -> list[Notice]:
    told = NoticeLog(at=utc(since).timestamp(), on_call=on_call)
    return due_notices(wanting(found, "going_on_call", "leaving"), "main", utc(until), told).notices


def test_the_first_look_tells_of_no_handoff() -> None:
    first = due_notices(
        wanting(roster(layer("weekly", "alice"), zone="UTC"), "going_on_call"), "main", MONDAY, None
    )
    assert first.notices == [] and first.log.on_call == ("alice",)


def test_a_shift_that_goes_on_for_another_reason_is_no_handoff() -> None:
    found = roster(
        layer("weekly", "alice"),
        zone="UTC",
        by_hand=[override("alice", "2026-01-06T10:00", "2026-01-06T12:00", id="x")],
    )
    assert handoffs(found, "2026-01-06T09:30", "2026-01-06T10:00", ("alice",)) == []
    assert handoffs(found, "2026-01-06T11:30", "2026-01-06T12:00", ("alice",)) == []


def test_the_end_that_is_told_is_the_persons_own_whoever_else_comes_and_goes() -> None:
    found = roster(
        layer("daily", "alice+bob", "bob+carol", "dave", every="1d"),
        zone="UTC",
        zones={"bob": "Europe/Berlin"},
    )
    told = handoffs(found, "2026-01-05T08:30", "2026-01-05T09:00", ())
    assert [(one.user, one.text) for one in told] == [
        (
            "alice",
            "You are on call for main, together with bob, until Tue 6 Jan 09:00 (UTC); after you: bob and carol.",
        ),
        (
            "bob",
            "You are on call for main, together with alice, until Wed 7 Jan 10:00 (Europe/Berlin); after you: dave.",
        ),
    ]


def test_who_stays_is_told_nothing_when_another_is_relieved() -> None:
    found = roster(layer("daily", "alice+bob", "bob+carol", every="1d"), zone="UTC")
    told = handoffs(found, "2026-01-06T08:30", "2026-01-06T09:00", ("alice", "bob"))
    assert [(one.kind, one.user) for one in told] == [
        ("going_on_call", "carol"),
        ("leaving", "alice"),
    ]
    assert told[1].text == "You are no longer on call for main; bob and carol have taken over."


def test_a_shift_without_end_and_one_without_a_successor_are_told_as_they_are() -> None:
    forever = handoffs(
        roster(layer("all", "alice", every=""), zone="UTC"),
        "2026-01-05T08:30",
        "2026-01-05T09:00",
        (),
    )
    assert forever[0].text == "You are on call for main until further notice."
    alone = roster(
        zone="UTC", overrides=[override("alice", "2026-01-05T09:00", "2026-01-05T17:00")]
    )
    assert handoffs(alone, "2026-01-05T08:30", "2026-01-05T09:00", ())[0].text.endswith(
        "until Mon 5 Jan 17:00 (UTC); after you: nobody."
    )
    assert handoffs(alone, "2026-01-05T16:30", "2026-01-05T17:00", ("alice",))[0].text.endswith(
        "; nobody has taken over."
    )


def test_gaps_that_are_found_together_are_told_together() -> None:
    shifts = [
        override("alice", f"2026-01-{day:02}T09:00", f"2026-01-{day + 1:02}T08:00")
        for day in range(5, 20)
    ]
    found = wanting(roster(zone="UTC", overrides=shifts), "gap_ahead")
    [notice] = [
        one for one in due_notices(found, "main", MONDAY, None).notices if one.user == "alice"
    ]
    assert notice.text.splitlines()[0] == (
        "Nobody is on call for main from Tue 6 Jan 08:00 (UTC) until Tue 6 Jan 09:00 (UTC): no layer is active."
    )
    assert notice.text.splitlines()[5] == "And 2 more in the next 7 days."


def test_a_swap_is_told_with_who_asked_for_whom() -> None:
    found = wanting(roster(layer("daily", "alice", "bob", "carol"), zone="UTC"), "swap_asked")
    start = MONDAY.timestamp()
    told = swap_request_notices(
        found,
        Swap(
            id="s",
            schedule="main",
            user="alice",
            start=start,
            end=start + 3600,
            asked_by="carol",
            asked_at=start,
        ),
    )
    assert [one.user for one in told] == ["alice", "bob"]
    assert told[1].text == (
        "alice looks for somebody to take over main from Mon 5 Jan 09:00 (UTC) until Mon 5 Jan 10:00 (UTC), says carol."
    )


SPAN = st.tuples(
    st.sampled_from(["alice", "bob", "carol"]), st.integers(0, 21 * 24), st.integers(1, 80)
)


@settings(max_examples=40)
@given(st.lists(SPAN, max_size=12), st.lists(st.integers(1, 1800), min_size=1, max_size=60))
def test_looking_more_often_tells_nothing_more(
    spans: list[tuple[str, int, int]], waits: list[int]
) -> None:
    """Handoffs between the ends are the net of the changes; each gap is told twice at most, and its second time is a day before."""
    made = [
        Override(
            users=(who,),
            start=MONDAY + HOUR * start,
            end=MONDAY + HOUR * (start + long),
            id=str(start),
        )
        for who, start, long in spans
    ]
    found = wanting(
        Roster(roster(zone="UTC").config, {"main": made}), "going_on_call", "leaving", "gap_ahead"
    )
    at, told = MONDAY, due_notices(found, "main", MONDAY, None).log
    on_call = set(told.on_call)
    for wait in waits:
        at += timedelta(seconds=wait)
        for _ in range(2):
            result = due_notices(found, "main", at, told)
            for notice in result.notices:
                if notice.kind == "going_on_call":
                    assert notice.user not in on_call
                    on_call.add(notice.user)
                elif notice.kind == "leaving":
                    on_call.remove(notice.user)
            told = result.log
        assert result.notices == []
        assert on_call == set(found.on_call("main", at).users)
