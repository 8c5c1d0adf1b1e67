"""How one person is reached."""

from __future__ import annotations

import pytest

from amproxy.config.channels import contact_address, contact_channels, notification_rules
from amproxy.config.structs import Config, Global, Notify, Route, Urgency, User, Wait
from tests.support.config.configs import REACHES


def rules_of(user: User, urgency: Urgency, global_: Global = REACHES) -> tuple[Notify | Wait, ...]:
    config = Config(global_=global_, route=Route(receiver="r", key="{}"))
    return notification_rules(config, user, urgency)


TELEGRAM, CALL = Notify(channels=("telegram",)), Notify(channels=("telegram", "phone_call"))
BOTH: dict[Urgency, tuple[Notify | Wait, ...]] = {
    "default": (TELEGRAM, Wait(seconds=60.0)),
    "important": (CALL,),
}


def test_a_page_follows_the_rules_of_its_urgency() -> None:
    user = User(name="alice", contacts={"telegram": "1"}, notification_rules=BOTH)
    assert rules_of(user, "default") == (TELEGRAM, Wait(seconds=60.0))
    assert rules_of(user, "important") == (CALL,)


@pytest.mark.parametrize("important", [{}, {"important": ()}])
def test_without_important_rules_the_default_ones_serve(
    important: dict[Urgency, tuple[Notify | Wait, ...]],
) -> None:
    user = User(
        name="alice",
        contacts={"email": "a@example.org"},
        notification_rules={"default": (TELEGRAM,), **important},
    )
    assert rules_of(user, "important") == (TELEGRAM,)


@pytest.mark.parametrize("urgency", ["default", "important"])
def test_without_rules_every_contact_is_tried_in_the_order_written_five_minutes_apart(
    urgency: Urgency,
) -> None:
    user = User(name="alice", contacts={"slack": "U1", "email": "a@example.org", "telegram": "1"})
    assert rules_of(user, urgency) == (
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
    assert rules_of(user, "default") == (Notify(channels=("email",)),)


def test_contacts_that_cannot_be_delivered_to_are_left_out_for_someone_without_rules() -> None:
    contacts = {"phone": "+49170", "telegram": "@alice", "slack": "U1", "email": "a@example.org"}
    user = User(name="alice", contacts=contacts)
    assert rules_of(user, "default") == (
        Notify(channels=("slack",)),
        Wait(seconds=300.0),
        Notify(channels=("email",)),
    )
    assert rules_of(user, "default", Global()) == ()
    assert contact_channels(user) == ("phone_call", "telegram", "slack", "email")


def test_someone_without_contacts_has_no_rules() -> None:
    assert rules_of(User(name="alice"), "default") == ()
    assert rules_of(User(name="alice", contacts={"email": ""}), "important") == ()


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
