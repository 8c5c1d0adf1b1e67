"""How one person is reached."""

from __future__ import annotations

import pytest

from amproxy.config.channels import contact_address, notification_rules
from amproxy.config.structs import Notify, Urgency, User, Wait

TELEGRAM, CALL = Notify(channels=("telegram",)), Notify(channels=("telegram", "phone_call"))
BOTH: dict[Urgency, tuple[Notify | Wait, ...]] = {
    "default": (TELEGRAM, Wait(seconds=60.0)),
    "important": (CALL,),
}


def test_a_page_follows_the_rules_of_its_urgency() -> None:
    user = User(name="alice", contacts={"telegram": "1"}, notification_rules=BOTH)
    assert notification_rules(user, "default") == (TELEGRAM, Wait(seconds=60.0))
    assert notification_rules(user, "important") == (CALL,)


@pytest.mark.parametrize("important", [{}, {"important": ()}])
def test_without_important_rules_the_default_ones_serve(
    important: dict[Urgency, tuple[Notify | Wait, ...]],
) -> None:
    user = User(
        name="alice",
        contacts={"email": "a@example.org"},
        notification_rules={"default": (TELEGRAM,), **important},
    )
    assert notification_rules(user, "important") == (TELEGRAM,)


@pytest.mark.parametrize("urgency", ["default", "important"])
def test_without_rules_every_contact_is_tried_in_the_order_written_five_minutes_apart(
    urgency: Urgency,
) -> None:
    user = User(name="alice", contacts={"slack": "U1", "email": "a@example.org", "telegram": "1"})
    assert notification_rules(user, urgency) == (
        Notify(channels=("slack",)),
        Wait(seconds=300.0),
        Notify(channels=("email",)),
        Wait(seconds=300.0),
        Notify(channels=("telegram",)),
    )


def test_important_rules_alone_leave_an_ordinary_page_to_the_contacts() -> None:
    user = User(
        name="alice", contacts={"email": "a@example.org"}, notification_rules={"important": (CALL,)}
    )
    assert notification_rules(user, "default") == (Notify(channels=("email",)),)


def test_a_phone_among_the_contacts_of_someone_without_rules_is_called() -> None:
    user = User(
        name="alice",
        contacts={
            "phone": "+491700000001",
            "phone_call": "+491700000002",
            "email": "a@example.org",
        },
    )
    assert notification_rules(user, "default") == (
        Notify(channels=("phone_call",)),
        Wait(seconds=300.0),
        Notify(channels=("email",)),
    )


def test_someone_without_contacts_has_no_rules() -> None:
    assert notification_rules(User(name="alice"), "default") == ()
    assert notification_rules(User(name="alice", contacts={"email": ""}), "important") == ()


@pytest.mark.parametrize(
    ("channel", "expected"),
    [
        ("sms", "+49170"),
        ("phone_call", "+49171"),
        ("phone", "+49170"),
        ("email", "a@example.org"),
        ("telegram", None),
        ("slack", None),
    ],
)
def test_a_phone_serves_sms_and_calls_unless_they_have_a_number_of_their_own(
    channel: str, expected: str | None
) -> None:
    user = User(
        name="alice",
        contacts={
            "phone": "+49170",
            "phone_call": "+49171",
            "email": "a@example.org",
            "telegram": "",
        },
    )
    assert contact_address(user, channel) == expected
