"""Quiet hours: a page of urgency default waits for their end; what is important, or asked for by hand, does not."""

from __future__ import annotations

from typing import Any

import pytest

from amproxy.config.structs import Notify, NotifyStep, User, Wait
from amproxy.labels.intervals import parse_time_interval
from amproxy.machine.events import Acknowledge, AddResponders, Reassign
from amproxy.web.incidents.forecast import list_upcoming
from tests.support.machine.incidents import Drive, people

# Drive begins on Monday 2026-01-05 at 09:00 UTC: 18:00 in Tokyo, 13:00 in Tbilisi.
NIGHT = parse_time_interval("night", [{"times": [{"start_time": "17:00", "end_time": "20:00"}]}])
TOKYO = NotifyStep(users=("tok",))
TWO_HOURS = 7200


def config(**user: Any) -> dict[str, Any]:
    known = people()["users"]
    tok = User(
        **{
            "name": "tok",
            "timezone": "Asia/Tokyo",
            "contacts": {"telegram": "9"},
            "quiet_hours": ("night",),
            **user,
        }
    )
    return {"users": {**known, "tok": tok}, "time_intervals": {"night": NIGHT}}


def test_a_page_waits_for_the_end_of_quiet_hours_on_the_persons_own_clock() -> None:
    drive = Drive(TOKYO, config=config())
    drive.until(TWO_HOURS - 1)
    assert drive.pages == []
    drive.until(TWO_HOURS)
    assert drive.pages == [(TWO_HOURS, "tok", "telegram")]
    assert drive.said("quiet hours until 2026-01-05 11:00 UTC")


def test_the_policy_goes_on_while_somebody_has_quiet_hours() -> None:
    drive = Drive(TOKYO, Wait(seconds=60), NotifyStep(users=("bob",)), config=config())
    drive.until(60)
    assert drive.pages == [(60, "bob", "telegram")]


def test_an_important_page_heeds_no_quiet_hours() -> None:
    drive = Drive(NotifyStep(users=("tok",), urgency="important"), config=config())
    assert drive.pages == [(0, "tok", "telegram")]


def test_an_important_step_wakes_the_one_whose_page_waits_for_the_morning() -> None:
    drive = Drive(
        TOKYO, Wait(seconds=60), NotifyStep(users=("tok",), urgency="important"), config=config()
    )
    drive.until(TWO_HOURS)
    assert drive.pages == [(60, "tok", "telegram")]


def test_who_is_asked_to_join_by_hand_is_paged_at_once() -> None:
    drive = Drive(NotifyStep(users=("bob",)), config=config())
    drive.do(Acknowledge(user="bob", via="web"))
    drive.do(AddResponders(user="bob", via="web", to=TOKYO))
    assert drive.pages[-1] == (0, "tok", "telegram")


def test_who_it_is_reassigned_to_by_hand_is_paged_at_once() -> None:
    drive = Drive(NotifyStep(users=("bob",)), config=config())
    drive.do(Reassign(user="bob", via="web", to=TOKYO))
    assert drive.pages[-1] == (0, "tok", "telegram")


def test_what_is_shown_as_coming_waits_too() -> None:
    rules = {
        "default": (
            Wait(seconds=300),
            Notify(channels=("telegram",)),
            Wait(seconds=TWO_HOURS),
            Notify(channels=("email",)),
        )
    }
    drive = Drive(
        TOKYO,
        config=config(
            notification_rules=rules, contacts={"telegram": "9", "email": "t@example.org"}
        ),
    )
    shown = [one.at - drive.now for one in list_upcoming(drive.incident, drive.roster)]
    assert shown == [TWO_HOURS, 2 * TWO_HOURS]
    drive.until(5 * TWO_HOURS)
    assert [at for at, _ in drive.who] == shown


def test_a_page_by_hand_heeds_no_quiet_hours() -> None:
    drive = Drive(TOKYO, config=config(), incident={"group": ""})
    assert drive.pages == [(0, "tok", "telegram")]


def test_nothing_waits_any_more_once_somebody_has_acknowledged() -> None:
    drive = Drive(TOKYO, config=config())
    drive.do(Acknowledge(user="bob", via="web"))
    drive.until(TWO_HOURS)
    assert drive.pages == []


@pytest.mark.parametrize("timezone", ["UTC", "Asia/Tbilisi"])
def test_elsewhere_it_is_day(timezone: str) -> None:
    settings = config()
    settings["users"]["tok"] = User(
        name="tok", timezone=timezone, contacts={"telegram": "9"}, quiet_hours=("night",)
    )
    assert Drive(TOKYO, config=settings).pages == [(0, "tok", "telegram")]
