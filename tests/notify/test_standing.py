"""Whether a page still stands at the moment of sending."""

from __future__ import annotations

from typing import Any

import pytest

from amproxy.config.structs import Policy
from amproxy.machine.deliveries import skip_reason
from amproxy.model import Incident, Page


def incident(**values: Any) -> Incident:
    return Incident(
        **{"id": "i", "number": 7, "plan": Policy(name="p"), "started_at": 0.0} | values
    )


def page(**values: Any) -> Page:
    return Page(**{"id": "p", "user": "ann", "channel": "chat", "due": 0.0} | values)


def test_a_page_goes_out_while_nobody_has_answered() -> None:
    assert skip_reason(incident(), page()) == ""


@pytest.mark.parametrize("state", ["acknowledged", "snoozed", "resolved"])
def test_a_page_does_not_go_out_after_the_answer(state: str) -> None:
    assert (
        skip_reason(incident(state=state, acknowledged_by="bob"), page()) == f"#7 is {state} by now"
    )


def test_a_page_that_insists_goes_out_although_somebody_else_has_acknowledged() -> None:
    assert (
        skip_reason(incident(state="acknowledged", acknowledged_by="bob"), page(insists=True)) == ""
    )
    assert (
        skip_reason(incident(state="acknowledged", acknowledged_by="ann"), page(insists=True))
        == "#7 is acknowledged by now"
    )
    assert skip_reason(incident(state="resolved"), page(insists=True)) == "#7 is resolved by now"


def test_a_reminder_goes_out_only_to_the_one_who_holds_the_acknowledgement() -> None:
    reminder = page(kind="reminder")
    assert skip_reason(incident(state="acknowledged", acknowledged_by="ann"), reminder) == ""
    assert (
        skip_reason(incident(state="acknowledged", acknowledged_by="bob"), reminder)
        == "#7 is acknowledged by somebody else by now"
    )
    assert skip_reason(incident(), reminder) == "#7 is triggered by now"


def test_a_page_of_a_merged_incident_is_not_sent() -> None:
    assert (
        skip_reason(incident(state="resolved", merged_into="j"), page())
        == "#7 is part of another incident by now"
    )
