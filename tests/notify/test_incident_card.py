"""What a message about one incident says and offers."""

from __future__ import annotations

from typing import Any

from amproxy.config.structs import Config, Policy, Route, User
from amproxy.model import Incident, Page
from amproxy.notify.compose import incident_card
from amproxy.notify.message import Card

NOW = 1_767_693_600.0  # 2026-01-06 10:00 UTC
CONFIG = Config(
    route=Route(receiver="r", key="{}"),
    users={"ann": User(name="ann", full_name="Ann Ash"), "bob": User(name="bob")},
)


def card(state: dict[str, Any], page: dict[str, Any]) -> Card:
    incident = Incident(
        **{"id": "i", "number": 7, "plan": Policy(name="p"), "started_at": NOW} | state
    )
    paged = Page(
        **{"id": "p", "user": "ann", "channel": "chat", "due": NOW, "reason": "asked by hand"}
        | page
    )
    return incident_card(
        CONFIG,
        incident,
        [],
        paged,
        now=NOW,
        external_url="http://h",
        sign=lambda *words: "http://h/act/x",
    )


def first_buttons(shown: Card) -> list[str]:
    return [button.text for button in shown.buttons[:3]]


def test_a_reminder_says_when_the_acknowledgement_runs_out_and_offers_to_renew_it() -> None:
    held = {
        "state": "acknowledged",
        "acknowledged_by": "ann",
        "acknowledged_at": NOW,
        "acknowledge_due": NOW + 1800,
    }
    shown = card(held, {"kind": "reminder"})
    assert shown.state_text == "Your acknowledgement runs out at 10:30 UTC"
    assert first_buttons(shown) == ["Acknowledge", "Resolve", "Snooze 1h"]


def test_a_reminder_says_what_became_of_the_incident() -> None:
    assert card({}, {"kind": "reminder"}).state_text == "Triggered at 10:00 UTC"
    taken = {
        "state": "acknowledged",
        "acknowledged_by": "bob",
        "acknowledged_at": NOW,
        "acknowledge_due": NOW + 1800,
    }
    assert card(taken, {"kind": "reminder"}).state_text == "Acknowledged by bob at 10:00 UTC"


def test_a_page_that_insists_asks_for_an_answer_although_another_has_given_one() -> None:
    shown = card(
        {"state": "acknowledged", "acknowledged_by": "bob", "acknowledged_at": NOW},
        {"insists": True},
    )
    assert first_buttons(shown) == ["Acknowledge", "Resolve", "Snooze 1h"]
    assert shown.why == "You are paged: asked by hand."


def test_merged_and_held_incidents_say_so() -> None:
    assert (
        card({"state": "resolved", "merged_into": "j", "resolved_at": NOW}, {}).state_text
        == "Merged into another incident"
    )
    assert (
        card({"held_by": "maintenance db"}, {}).state_text
        == "Triggered at 10:00 UTC, held back by maintenance db"
    )
