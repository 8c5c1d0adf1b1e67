"""The exported history of one incident."""

from __future__ import annotations

from typing import Any

import msgspec

from amproxy.config.structs import FilePlace, NotifyStep, Policy, Wait
from amproxy.machine.events import Acknowledge
from amproxy.model import Incident, TimelineEntry
from amproxy.reports.export import history_line
from amproxy.text.render import english
from tests.support.reports.looked_back import START, Story


def recorded(story: Story) -> dict[str, Any]:
    found = msgspec.json.decode(
        msgspec.json.encode(
            history_line(story.incident, story.told, {"id": story.incident.id}, english())
        )
    )
    assert isinstance(found, dict)
    return found


def test_it_holds_the_plan_the_events_and_the_pages_of_an_incident() -> None:
    story = Story(
        NotifyStep(users=("ann",), place=FilePlace(file="/etc/routes.yaml", line=3)),
        Wait(seconds=300),
        acknowledge_timeout=600,
    )
    story.arrive()
    story.now += 60
    story.do(Acknowledge(user="bob", via="telegram"))
    line = recorded(story)
    assert line["format"] == "amproxy.history/1" and line["incident"] == {"id": "i"}
    assert line["plan"]["name"] == "main" and line["plan"]["acknowledge_timeout"] == 600
    assert [step["type"] for step in line["plan"]["steps"]] == ["notify", "wait"]
    assert [(event["at"], event["kind"], event["user"]) for event in line["events"]] == [
        ("2026-01-06T10:00:00.000Z", "opened", None),
        ("2026-01-06T10:01:00.000Z", "acknowledge", "bob"),
    ]
    [page] = line["pages"]
    assert (page["user"], page["channel"], page["step"], page["state"], page["due"]) == (
        "ann",
        "telegram",
        1,
        "sent",
        "2026-01-06T10:00:00.000Z",
    )


def test_no_address_and_no_place_in_a_file_is_in_it() -> None:
    story = Story(
        NotifyStep(users=("ann", "eve"), place=FilePlace(file="/etc/routes.yaml", line=3))
    )
    story.arrive()
    story.until(600)
    text = str(recorded(story))
    assert "example.org" not in text and "routes.yaml" not in text and "place" not in text


def test_what_the_timeline_stored_for_programs_is_told() -> None:
    timeline = [
        TimelineEntry(at=START, kind="opened", text="Opened.", data={"firing": 2, "resolved": 0}),
        TimelineEntry(
            at=START + 5,
            kind="alerts",
            text="Alerts changed.",
            data={"firing": 1, "resolved": 1, "fresh": 1},
        ),
        TimelineEntry(
            at=START + 9, kind="snoozed", text="Snoozed.", user="ann", data={"until": START + 3600}
        ),
        TimelineEntry(at=START + 9, kind="step", text="Step 1.", step=1),
    ]
    incident = Incident(id="i", plan=Policy(name="main"), started_at=START)
    opened, alerts, snooze = history_line(incident, timeline, {}, english()).events
    assert (opened.firing, opened.resolved, opened.until) == (2, 0, None)
    assert (alerts.firing, alerts.resolved, alerts.fresh) == (1, 1, 1)
    assert (snooze.kind, snooze.user, snooze.until) == (
        "snooze",
        "ann",
        "2026-01-06T11:00:00.000Z",
    )


def test_an_old_entry_without_them_is_told_without() -> None:
    incident = Incident(id="i", plan=Policy(name="main"), started_at=START)
    [event] = history_line(
        incident, [TimelineEntry(at=START, kind="alerts", text="Alerts changed.")], {}, english()
    ).events
    assert event.firing is None and event.resolved is None and event.until is None
