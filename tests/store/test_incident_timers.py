"""The timer of an incident, as it is stored."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

import tests.support.properties  # noqa: F401  # the settings of property tests
from amproxy.config.structs import Policy
from amproxy.model import Change, Incident
from amproxy.store import incidents, keys


@given(st.floats(1.7e9, 2.0e9))
def test_a_timer_never_comes_before_what_it_is_for_and_at_most_a_millisecond_after(
    due: float,
) -> None:
    incident = Incident(id="i", version=2, plan=Policy(name="main"), started_at=0)
    change = Change(
        incident=incident,
        before="triggered",
        policy_before="",
        timeline=[],
        timer=due,
        outbox=[],
        turns={},
        nobody=[],
    )
    [score] = [
        float(str(words[2]))
        for words in incidents.change_operations(change).ops
        if words[:2] == ["ZADD", keys.TIMERS]
    ]
    assert due <= score / 1000 <= due + 0.002
