"""One incident becomes part of another."""

from __future__ import annotations

import pytest

from amproxy.config.structs import NotifyStep
from amproxy.errors import Conflict
from amproxy.machine import merging
from amproxy.machine.events import (
    Absorb,
    Acknowledge,
    AlertsChanged,
    Hold,
    Merge,
    Note,
    Reopen,
    Resolve,
    Snooze,
    TakeOut,
    TimerTick,
    Unmerge,
)
from amproxy.machine.transition import next_due
from amproxy.text import phrase
from tests.support.machine.incidents import START, Drive

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
    parts = merging.incident_groups(one.incident)
    one.do(Merge(user="eve", via="web", into=other.id, number=other.number))
    into.do(
        Absorb(
            user="eve",
            via="web",
            id=one.incident.id,
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
        other.do(Absorb(user="bob", via="web", id="i1", number=1, title="T1", groups={}))


def test_a_repeated_telling_of_one_part_changes_nothing_of_the_others() -> None:
    one, other = drive(1, firing=2), drive(2, firing=3)
    merge(one, other)
    other.do(AlertsChanged(reason="repeat interval elapsed", firing=2, resolved=0, group="g1"))
    assert other.incident.firing == 5


# --------------------------------------------------------------------------------------------------- out of it again


def unmerge(one: Drive, root: Drive, *groups: str, hold: Hold | None = None) -> None:
    """Take these groups of the root out of it; without any, that of the incident."""
    before, own = root.incident, groups or (one.incident.group,)
    parts = {group: part for group, part in before.parts.items() if group in own}
    one.do(Unmerge(user="eve", via="web", root=before, groups=parts, hold=hold))
    number, title = one.incident.number, one.incident.title
    root.do(TakeOut(user="eve", via="web", number=number, title=title, groups=frozenset(parts)))


def test_it_is_its_own_again_and_pages_from_the_first_step() -> None:
    one, other = drive(1, firing=2, team="db", zone="a"), drive(2, firing=3, team="db", zone="b")
    merge(one, other)
    one.now = other.now = START + 600
    unmerge(one, other)
    assert (one.incident.state, one.incident.merged_into, one.incident.firing) == (
        "triggered",
        "",
        2,
    )
    assert one.who == [(0.0, "bob"), (600.0, "bob")]
    assert (other.incident.state, other.incident.firing, other.incident.parts) == (
        "triggered",
        3,
        {},
    )
    assert other.incident.common_labels == {"team": "db", "zone": "b"} and len(other.pages) == 1
    assert one.said("Taken out of #2 again by eve (via web).")
    assert other.said("#1 (T1) was taken out of this again by eve (via web).")
    one.alerts(0, group="g1")
    assert (one.incident.state, other.incident.state) == ("resolved", "triggered")


def test_what_its_root_is_answered_with_answers_it_too() -> None:
    one, other = drive(1), drive(2)
    merge(one, other)
    other.do(Acknowledge(user="bob", via="web"))
    unmerge(one, other)
    assert (one.incident.state, one.incident.acknowledged_by) == ("acknowledged", "bob")
    assert len(one.pages) == 1 and one.said("Still acknowledged by bob, as #2 is.")
    two, other = drive(1), drive(2)
    merge(two, other)
    other.do(Snooze(user="bob", via="web", until=START + 900))
    unmerge(two, other)
    assert (two.incident.state, two.incident.snoozed_by) == ("snoozed", "bob")
    two.until(1000)
    assert two.incident.state == "triggered" and two.who == [(0.0, "bob"), (900.0, "bob")]


def test_an_acknowledgement_that_it_takes_over_runs_out_by_its_own_policy() -> None:
    one = Drive(BOB, acknowledge_timeout=1800.0, incident={"id": "i1", "number": 1, "group": "g1"})
    other = drive(2)
    merge(one, other)
    other.do(Acknowledge(user="eve", via="web"))
    unmerge(one, other)
    one.until(2000)
    assert one.incident.state == "triggered" and one.who == [(0.0, "bob"), (1800.0, "bob")]


def test_what_fires_no_more_stays_over() -> None:
    one, other = drive(1), drive(2)
    merge(one, other)
    other.alerts(0, group="g1")
    unmerge(one, other)
    assert (one.incident.state, one.incident.resolved_by, one.incident.merged_into) == (
        "resolved",
        "source",
        "",
    )
    assert len(one.pages) == 1 and other.incident.state == "triggered"
    one.do(Reopen(user="bob", via="web"))


def test_a_root_of_which_nothing_else_fires_is_over() -> None:
    one, other = drive(1), drive(2)
    merge(one, other)
    other.alerts(0, group="g2")
    unmerge(one, other)
    assert (one.incident.state, other.incident.state) == ("triggered", "resolved")
    assert other.incident.resolved_by == "source" and next_due(other.incident) is None


def test_a_root_opened_by_hand_stays_open() -> None:
    one, by_hand = drive(1), Drive(BOB, incident={"id": "h", "group": "", "firing": 0})
    merge(one, by_hand)
    unmerge(one, by_hand)
    assert by_hand.incident.state == one.incident.state == "triggered"
    assert by_hand.incident.firing == 0


def test_one_opened_by_hand_comes_back_without_alerts() -> None:
    by_hand, other = Drive(BOB, incident={"id": "h", "group": "", "firing": 0}), drive(2)
    merge(by_hand, other)
    unmerge(by_hand, other, "none")
    assert by_hand.incident.state == "triggered" and len(by_hand.pages) == 2
    assert (other.incident.state, other.incident.firing) == ("triggered", 1)


def test_a_root_that_has_only_its_own_alerts_left_keeps_them() -> None:
    by_hand, one = Drive(BOB, incident={"id": "h", "group": "", "firing": 0}), drive(1)
    other = drive(2, firing=3)
    merge(one, other)
    merge(by_hand, other)
    unmerge(one, other)
    unmerge(by_hand, other, "none")
    assert (other.incident.state, other.incident.firing) == ("triggered", 3)


def test_of_a_root_that_was_resolved_it_comes_back_only_while_it_fires() -> None:
    one, other = drive(1), drive(2)
    merge(one, other)
    other.do(Resolve(user="bob", via="web"))
    unmerge(one, other)
    assert one.incident.state == "triggered" and len(one.pages) == 2
    assert (other.incident.state, other.incident.resolved_by) == ("resolved", "bob")
    two, other = drive(1), drive(2)
    merge(two, other)
    other.alerts(0, group="g1")
    other.alerts(0, group="g2")
    with pytest.raises(Conflict, match="#1 is over with #2, and nothing of it fires"):
        unmerge(two, other)
    assert two.incident.merged_into == "i2"


def test_of_a_chain_one_takes_along_what_was_merged_into_it() -> None:
    one, two, three = drive(1), drive(2, firing=2), drive(3, firing=4)
    merge(one, two)
    merge(two, three)
    unmerge(two, three, "g1", "g2")
    assert two.incident.firing == 3 and set(two.incident.parts) == {"g1", "g2"}
    assert three.incident.firing == 4 and one.incident.merged_into == "i2"
    unmerge(one, two)
    assert (one.incident.firing, two.incident.firing) == (1, 2)


def test_it_waits_while_all_of_its_alerts_are_muted() -> None:
    one, other = drive(1), drive(2)
    merge(one, other)
    hold = Hold(reason=phrase("mute.in_windows", windows=("a",)), until=START + 300)
    unmerge(one, other, hold=hold)
    assert one.incident.state == "triggered" and len(one.pages) == 1
    one.now = START + 300
    one.do(TimerTick())
    assert one.who == [(0.0, "bob"), (300.0, "bob")]


def test_what_was_graver_leaves_with_it() -> None:
    one, other = drive(1), drive(2)
    one.incident.severity = "critical"
    merge(one, other)
    assert other.incident.severity == "critical"
    unmerge(one, other)
    assert (other.incident.severity, other.incident.gravest) == ("", "")


def test_only_what_is_part_of_another_can_be_taken_out() -> None:
    one, other = drive(1), drive(2)
    with pytest.raises(Conflict, match="#1 is not part of another incident"):
        unmerge(one, other)
