"""New alerts of an incident that somebody has answered: which page anew, and how."""

from __future__ import annotations

from typing import Any

import pytest

from amproxy.config.structs import NotifyStep, Policy, Wait
from amproxy.machine.alerts import find_joined
from amproxy.machine.events import Acknowledge, AlertsChanged, Snooze
from amproxy.model import Incident
from amproxy.text import phrase
from tests.support.machine.incidents import START, Drive
from tests.support.words import said

EVE, BOB = NotifyStep(users=("eve",)), NotifyStep(users=("bob",))
GRAVER = phrase("joined.graver", severity="critical")


def joined(gravest: str, *fresh: dict[str, str], **policy: Any) -> tuple[str, dict[str, str]]:
    incident = Incident(id="i", plan=Policy(name="p", **policy), started_at=1.0, gravest=gravest)
    why, labels = find_joined(incident, fresh)
    return said(why) if why else "", labels


@pytest.mark.parametrize(
    ("known", "new", "graver"),
    [
        ("warning", {"severity": "critical"}, "critical"),
        ("warning", {"severity": "CRITICAL "}, "CRITICAL"),
        ("warning", {"priority": "P1"}, "P1"),
        ("info", {"job": "a"}, "of unknown severity"),
        ("none", {"severity": "warning"}, "warning"),
        ("", {"severity": "page"}, "page"),
        ("critical", {"severity": "disaster"}, "disaster"),
    ],
)
def test_a_graver_alert_pages_anew(known: str, new: dict[str, str], graver: str) -> None:
    why, labels = joined(known, {"severity": "info"}, new)
    assert why == f"a graver alert joined ({graver})"
    assert labels == new


@pytest.mark.parametrize(
    ("known", "new"),
    [
        ("critical", {"severity": "critical"}),
        ("critical", {"severity": "page"}),
        ("critical", {"severity": "warning"}),
        ("warning", {"severity": "blue"}),
        ("warning", {}),
        ("", {"severity": "warning"}),
    ],
)
def test_an_alert_that_is_no_graver_pages_nobody(known: str, new: dict[str, str]) -> None:
    assert joined(known, new) == ("", {})


def test_the_policy_says_which_new_alerts_page_anew() -> None:
    info, critical = {"severity": "info", "job": "a"}, {"severity": "critical", "job": "b"}
    assert joined("warning", critical, reopen_on="never") == ("", critical)
    assert joined("warning", info, reopen_on="new_alerts")[0] == "a new alert joined"
    chosen = {"reopen_on": "matchers", "reopen_matchers": ('job="a"', 'severity=~"info|debug"')}
    why, labels = joined("warning", critical, info, **chosen)
    assert 'joined that job="a", severity=~"info|debug" selects' in why
    assert labels == info
    assert joined("warning", critical, **chosen) == ("", critical)


def graver_alert(severity: str = "critical") -> AlertsChanged:
    return AlertsChanged(
        reason="new alerts added",
        firing=2,
        resolved=0,
        fresh=1,
        group="g",
        severity=severity,
        reopens=GRAVER,
        joined={"severity": severity},
    )


@pytest.mark.parametrize("answer", ["acknowledge", "snooze"])
def test_an_answered_incident_begins_its_policy_anew(answer: str) -> None:
    drive = Drive(EVE, Wait(seconds=300), BOB, incident={"severity": "warning"})
    drive.arrive()
    drive.until(60)
    drive.do(
        Acknowledge(user="eve", via="web")
        if answer == "acknowledge"
        else Snooze(user="eve", via="web", until=START + 90000)
    )
    drive.until(1000)
    epoch = drive.incident.epoch
    drive.do(graver_alert())
    assert drive.who == [(0, "eve"), (1000, "eve")]
    assert (drive.incident.state, drive.incident.epoch) == ("triggered", epoch + 1)
    assert drive.incident.joined == GRAVER
    assert drive.said("People are paged anew: a graver alert joined (critical).")
    drive.until(1300)
    assert drive.who[-1] == (1300, "bob")


def test_who_has_answered_the_graver_alert_is_left_in_peace_by_the_next() -> None:
    drive = Drive(EVE, incident={"severity": "warning"})
    assert drive.incident.gravest == "warning"
    drive.do(Acknowledge(user="eve", via="web"))
    drive.do(graver_alert())
    drive.do(Acknowledge(user="eve", via="web"))
    assert drive.incident.gravest == "critical"
    drive.do(
        AlertsChanged(
            reason="some alerts resolved", firing=1, resolved=1, group="g", severity="warning"
        )
    )
    # the graver one is over and may flap: it was seen
    assert (drive.incident.severity, drive.incident.gravest) == ("warning", "critical")
    drive.do(Snooze(user="eve", via="web", until=START + 5000))
    assert drive.incident.gravest == "warning"


def test_a_policy_that_is_over_begins_anew_and_one_that_runs_goes_on() -> None:
    drive = Drive(EVE, Wait(seconds=300), BOB)
    drive.until(60)
    drive.do(graver_alert())
    drive.until(300)
    assert drive.who == [(0, "eve"), (300, "bob")]
    drive.until(900)
    drive.do(graver_alert("disaster"))
    assert drive.who[2:] == [(900, "eve")]
