"""Whether a page still stands at the moment of sending."""

from __future__ import annotations

from typing import Any

import pytest

from amproxy.config.structs import Policy
from amproxy.machine.deliveries import skip_reason
from amproxy.model import Incident, Page
from tests.support.words import said


def incident(**values: Any) -> Incident:
    return Incident(
        **{"id": "i", "number": 7, "plan": Policy(name="p"), "started_at": 0.0} | values
    )


def page(**values: Any) -> Page:
    return Page(**{"id": "p", "user": "ann", "channel": "chat", "due": 0.0} | values)


def why_skipped(of: Incident, shown: Page) -> str:
    return said(skip_reason(of, shown) or "")


def test_a_page_goes_out_while_nobody_has_answered() -> None:
    assert why_skipped(incident(), page()) == ""


@pytest.mark.parametrize("state", ["acknowledged", "snoozed", "resolved"])
def test_a_page_does_not_go_out_after_the_answer(state: str) -> None:
    assert (
        why_skipped(incident(state=state, acknowledged_by="bob"), page()) == f"#7 is {state} by now"
    )


def test_a_page_that_insists_goes_out_although_somebody_else_has_acknowledged() -> None:
    assert (
        why_skipped(incident(state="acknowledged", acknowledged_by="bob"), page(insists=True)) == ""
    )
    assert (
        why_skipped(incident(state="acknowledged", acknowledged_by="ann"), page(insists=True))
        == "#7 is acknowledged by now"
    )
    assert why_skipped(incident(state="resolved"), page(insists=True)) == "#7 is resolved by now"


def test_a_reminder_goes_out_only_to_the_one_who_holds_the_acknowledgement() -> None:
    reminder = page(kind="reminder")
    assert why_skipped(incident(state="acknowledged", acknowledged_by="ann"), reminder) == ""
    assert (
        why_skipped(incident(state="acknowledged", acknowledged_by="bob"), reminder)
        == "#7 is acknowledged by somebody else by now"
    )
    assert why_skipped(incident(), reminder) == "#7 is triggered by now"


def test_a_page_of_a_merged_incident_is_not_sent() -> None:
    assert (
        why_skipped(incident(state="resolved", merged_into="j"), page())
        == "#7 is part of another incident by now"
    )
