"""An acknowledgement that runs out: the reminder before, renewing it, and what happens when nobody does."""

from __future__ import annotations

from typing import Any

import pytest

from amproxy.config.structs import Notify, NotifyStep, User, Wait
from amproxy.errors import Conflict
from amproxy.machine.events import Acknowledge, Failed, Resolve, Snooze
from tests.support.machine.incidents import START, Drive, people

BOB = NotifyStep(users=("bob",))


def acknowledged(by: str = "ann", **policy: Any) -> Drive:
    """Acknowledged at once, for an hour, with a reminder after 50 minutes."""
    drive = Drive(BOB, **{"acknowledge_timeout": 3600.0, "acknowledge_reminder": 600.0, **policy})
    drive.do(Acknowledge(user=by, via="web"))
    return drive


def reminders(drive: Drive) -> list[tuple[float, str, str]]:
    return [
        (page.due - START, page.user, page.channel)
        for page in drive.incident.pages
        if page.kind == "reminder"
    ]


def fail_reminder(drive: Drive) -> None:
    page = next(
        page for page in drive.incident.pages if page.kind == "reminder" and page.state == "due"
    )
    drive.do(Failed(page=page.id, error="blocked", attempt=1))


def test_the_one_who_acknowledged_is_reminded_over_the_first_channels_of_their_rules() -> None:
    drive = acknowledged()
    drive.until(3599)
    assert reminders(drive) == [(3000, "ann", "telegram")]
    assert drive.said("Reminding Ann Ash that the acknowledgement runs out at 2026-01-05 10:00 UTC")


def test_acknowledging_again_before_the_reminder_is_a_conflict_and_after_it_begins_the_time_anew() -> (
    None
):
    drive = acknowledged()
    drive.until(2900)
    with pytest.raises(Conflict, match="already acknowledged by ann"):
        drive.do(Acknowledge(user="ann", via="web"))
    drive.until(3100)
    with pytest.raises(Conflict, match="already acknowledged by ann"):
        drive.do(Acknowledge(user="bob", via="web"))
    drive.do(Acknowledge(user="ann", via="web"))
    assert drive.said("Ann Ash is still on it")
    drive.until(3100 + 3599)
    assert drive.incident.state == "acknowledged" and [at for at, _, _ in reminders(drive)] == [
        3000,
        6100,
    ]
    drive.until(3100 + 3600)
    assert drive.incident.state == "triggered" and drive.said(
        "The acknowledgement by Ann Ash has run out"
    )
    assert drive.who[-1] == (6700, "bob")


def test_without_a_reminder_nobody_is_reminded_and_nothing_is_renewed() -> None:
    drive = acknowledged(acknowledge_reminder=0.0)
    drive.until(3500)
    with pytest.raises(Conflict):
        drive.do(Acknowledge(user="ann", via="web"))
    assert reminders(drive) == []


def test_a_reminder_that_fails_goes_to_contacts_that_were_not_tried_and_then_stops() -> None:
    drive = acknowledged()
    drive.until(3010)
    fail_reminder(drive)
    assert reminders(drive) == [(3000, "ann", "telegram"), (3010, "ann", "email")]
    drive.until(3020)
    fail_reminder(drive)
    assert len(reminders(drive)) == 2


def test_a_second_reminder_may_use_every_contact_again() -> None:
    drive = acknowledged()
    drive.until(3010)
    fail_reminder(drive)
    drive.do(Acknowledge(user="ann", via="web"))
    drive.until(3010 + 3000)
    fail_reminder(drive)  # the email of before
    fail_reminder(drive)
    assert [channel for _, _, channel in reminders(drive)] == [
        "telegram",
        "email",
        "telegram",
        "email",
    ]


def test_one_of_several_reminders_that_arrives_is_enough() -> None:
    rules = {"default": (Notify(channels=("telegram", "email")),)}
    three = User(
        name="three",
        contacts={"telegram": "1", "email": "t@example.org", "slack": "3"},
        notification_rules=rules,
    )
    drive = acknowledged("three", config={"users": people()["users"] | {"three": three}})
    drive.until(3000)
    assert len(reminders(drive)) == 2
    fail_reminder(drive)
    assert len(reminders(drive)) == 2
    fail_reminder(drive)
    assert [channel for _, _, channel in reminders(drive)] == ["telegram", "email", "slack"]


@pytest.mark.parametrize("by", ["mute", "", "gone"])
def test_who_has_no_contact_cannot_be_reminded_and_the_timeline_says_so(by: str) -> None:
    drive = acknowledged(by)
    drive.until(3000)
    assert reminders(drive) == [] and drive.said(
        "cannot be reminded that the acknowledgement runs out"
    )
    drive.until(3600)
    assert drive.incident.state == "triggered"


@pytest.mark.parametrize(
    "answer", [Resolve(user="ann", via="web"), Snooze(user="ann", via="web", until=START + 9000)]
)
def test_nobody_is_reminded_of_what_is_not_acknowledged_any_more(answer: Any) -> None:
    drive = acknowledged()
    drive.do(answer)
    drive.until(4000)
    assert reminders(drive) == []


def test_what_runs_out_begins_with_the_first_step_and_old_buttons_are_old() -> None:
    drive = Drive(NotifyStep(users=("eve",)), Wait(seconds=60), BOB, acknowledge_timeout=600.0)
    drive.until(100)
    drive.do(Acknowledge(user="ann", via="web", epoch=1))
    drive.until(800)
    assert drive.who == [(0, "eve"), (60, "bob"), (700, "eve"), (760, "bob")]
    with pytest.raises(Conflict, match="earlier alarm"):
        drive.do(Acknowledge(user="ann", via="web", epoch=1))


def test_the_first_answer_stays_on_record() -> None:
    drive = acknowledged(acknowledge_reminder=0.0)
    drive.until(4000)
    drive.do(Acknowledge(user="bob", via="web"))
    assert (drive.incident.first_acknowledged_by, drive.incident.first_acknowledged_at) == (
        "ann",
        START,
    )
    assert drive.incident.acknowledged_by == "bob"
