"""One incident becomes part of another."""

from __future__ import annotations

import pytest

from amproxy.config.structs import NotifyStep
from amproxy.errors import Conflict
from amproxy.machine import responders
from amproxy.machine.events import Absorb, Acknowledge, AlertsChanged, Merge, Note, Reopen, Resolve
from amproxy.machine.transition import next_due
from tests.support.machine.incidents import Drive

BOB, EVE = NotifyStep(users=("bob",)), NotifyStep(users=("eve",))


def drive(number: int, firing: int = 1, **labels: str) -> Drive:
    fields = {
        "id": f"i{number}",
        "number": number,
        "title": f"T{number}",
        "group": f"g{number}",
        "firing": firing,
        "common_labels": labels,
    }
    return Drive(BOB, incident=fields)


def merge(one: Drive, into: Drive) -> None:
    other = into.incident
    parts = responders.incident_groups(one.incident)
    one.do(Merge(user="eve", via="web", into=other.id, number=other.number))
    into.do(
        Absorb(
            user="eve",
            via="web",
            number=one.incident.number,
            title=one.incident.title,
            groups=parts,
        )
    )


def test_one_ends_and_the_other_shows_the_alerts_of_both() -> None:
    one, other = drive(1, firing=2, team="db", zone="a"), drive(2, firing=3, team="db", zone="b")
    merge(one, other)
    assert (one.incident.state, one.incident.resolved_by, one.incident.merged_into) == (
        "resolved",
        "merged",
        "i2",
    )
    assert next_due(one.incident) is None
    assert (other.incident.firing, other.incident.common_labels) == (5, {"team": "db"})
    assert one.said("Merged into #2 by eve (via web)") and other.said(
        "#1 (T1) was merged into this by eve"
    )


def test_it_is_over_when_the_alerts_of_both_are() -> None:
    one, other = drive(1, firing=2), drive(2)
    merge(one, other)
    other.alerts(0, group="g2")
    assert (other.incident.state, other.incident.firing) == ("triggered", 2)
    other.alerts(1, group="g1")
    assert other.incident.firing == 1
    other.alerts(0, group="g1")
    assert (other.incident.state, other.incident.resolved_by) == ("resolved", "source")


def test_what_was_merged_comes_along_into_a_third() -> None:
    one, two, three = drive(1), drive(2, firing=2), drive(3, firing=4)
    merge(one, two)
    merge(two, three)
    assert three.incident.firing == 7 and set(three.incident.parts) == {"g1", "g2", "g3"}
    for group in ("g1", "g3"):
        three.alerts(0, group=group)
    assert three.incident.state == "triggered"
    three.alerts(0, group="g2")
    assert three.incident.state == "resolved"


def test_one_opened_by_hand_is_not_over_with_the_alerts_merged_into_it() -> None:
    one, by_hand = drive(1), Drive(BOB, incident={"id": "h", "group": "", "firing": 0})
    merge(one, by_hand)
    assert by_hand.incident.firing == 1
    by_hand.alerts(0, group="g1")
    assert by_hand.incident.state == "triggered"


def test_one_opened_by_hand_brings_no_alerts_along() -> None:
    by_hand, other = Drive(BOB, incident={"id": "h", "group": "", "firing": 0}), drive(2)
    merge(by_hand, other)
    other.alerts(0, group="g2")
    assert other.incident.state == "resolved"


def test_an_acknowledged_one_takes_others_in_without_paging_anybody() -> None:
    one, other = drive(1), drive(2)
    other.do(Acknowledge(user="bob", via="web"))
    merge(one, other)
    other.alerts(4, fresh=3, group="g1")
    assert other.incident.state == "acknowledged" and len(other.pages) == 1


def test_what_is_part_of_another_takes_no_action_but_notes() -> None:
    one, other = drive(1), drive(2)
    merge(one, other)
    for event in (
        Acknowledge(user="bob", via="web"),
        Reopen(user="bob", via="web"),
        Merge(user="bob", via="web", into="x", number=9),
    ):
        with pytest.raises(Conflict, match="#1 is part of another incident now"):
            one.do(event)
    one.do(Note(user="bob", via="web", text="same cause"))


def test_not_into_itself_and_not_into_what_is_over() -> None:
    one, other = drive(1), drive(2)
    with pytest.raises(Conflict, match="into itself"):
        one.do(Merge(user="bob", via="web", into="i1", number=1))
    other.do(Resolve(user="bob", via="web"))
    with pytest.raises(Conflict, match="#2 is already resolved by bob"):
        other.do(Absorb(user="bob", via="web", number=1, title="T1", groups={}))


def test_a_repeated_telling_of_one_part_changes_nothing_of_the_others() -> None:
    one, other = drive(1, firing=2), drive(2, firing=3)
    merge(one, other)
    other.do(AlertsChanged(reason="repeat interval elapsed", firing=2, resolved=0, group="g1"))
    assert other.incident.firing == 5
