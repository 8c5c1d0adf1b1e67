"""Who can be reached, by the file and by the last deliveries."""

from __future__ import annotations

from typing import Any

from amproxy.config.channels import address_digest
from amproxy.config.structs import Config, Notify, Route, User
from amproxy.model import Outcome
from amproxy.oncall.reachable import PersonReachability, assess_reachability
from amproxy.text.render import in_english
from tests.support.config.configs import REACHES


def reached(user: User, **outcomes: Outcome) -> PersonReachability:
    config = Config(global_=REACHES, route=Route(receiver="r", key="{}"), users={user.name: user})
    return assess_reachability(
        config, {(user.name, channel): outcome for channel, outcome in outcomes.items()}
    )[user.name]


def why_not(found: PersonReachability) -> str:
    return in_english(found.why_not) if found.why_not else ""


def alice(contacts: dict[str, str], **more: Any) -> User:
    return User(name="alice", contacts=contacts, **more)


def outcome(address: str, error: str = "") -> Outcome:
    return Outcome(ok=not error, at=1.0, error=error, address=address_digest(address))


def test_somebody_with_a_contact_that_was_never_tried_counts_as_reachable() -> None:
    found = reached(alice({"telegram": "1"}))
    assert found.reachable and [contact.state for contact in found.contacts] == ["untried"]


def test_somebody_is_unreachable_once_every_contact_has_failed_for_good() -> None:
    user = alice({"telegram": "1", "email": "a@example.org"})
    blocked = outcome("1", "bot was blocked")
    assert reached(user, telegram=blocked, email=outcome("a@example.org")).reachable
    found = reached(user, telegram=blocked, email=outcome("a@example.org", "no such mailbox"))
    assert not found.reachable
    assert why_not(found) == "telegram: bot was blocked; email: no such mailbox"


def test_a_contact_that_the_rules_do_not_use_does_not_count() -> None:
    user = alice(
        {"telegram": "1", "email": "a@example.org"},
        notification_rules={"default": (Notify(channels=("telegram",)),)},
    )
    found = reached(user, telegram=outcome("1", "bot was blocked"), email=outcome("a@example.org"))
    assert not found.reachable
    assert [(contact.channel, contact.state, contact.used) for contact in found.contacts] == [
        ("telegram", "failed", True),
        ("email", "works", False),
    ]


def test_a_failure_of_an_earlier_address_says_nothing_about_the_new_one() -> None:
    assert reached(alice({"telegram": "2"}), telegram=outcome("1", "bot was blocked")).reachable


def test_somebody_whom_only_foreign_channels_would_reach_is_unreachable() -> None:
    found = reached(alice({"phone": "+1"}))
    assert why_not(found) == "phone_call: amproxy cannot deliver over it yet"
    assert why_not(reached(alice({}))) == "no contact"
    rules = {"default": (Notify(channels=("slack",)),)}
    found = reached(alice({"email": "a@example.org"}, notification_rules=rules))
    assert why_not(found) == "slack: no such contact"
