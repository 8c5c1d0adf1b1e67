"""The pages of silences and maintenance windows, as a browser without scripts sees and uses them."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import pytest

from amproxy.clock import rfc3339
from amproxy.grouping.placement import Placer
from amproxy.labels.matchers import Matcher
from amproxy.model import Alert, Silence, SuppressedAlertRecord, SuppressionUpdate
from amproxy.respond import muting as respond_muting
from amproxy.store import muting
from amproxy.store.commit import Operations, commit
from amproxy.web.silences.form import next_monday
from tests.support.web.muted import DAILY, IN_FILE, push
from tests.support.web.pages import BIDI, LONG, SCRIPT, Tags, plain
from tests.support.web.website import NOW, Site


def use(site: Site, **values: Any) -> None:
    site.context.use_config(
        msgspec.structs.replace(site.context.config, time_intervals={"daily": DAILY}, **values)
    )


async def silenced(
    site: Site, seconds: float = 3600, comment: str = "known", **labels: str
) -> Silence:
    now_ns = int(site.context.now() * 10**9)
    wanted = Silence(
        id="",
        matcher_sets=[[Matcher(name, "=", value) for name, value in labels.items()]],
        starts_ns=now_ns,
        ends_ns=now_ns + int(seconds * 10**9),
        created_by="alice",
        comment=comment,
    )
    return await respond_muting.put_silence(site.context, wanted)


def seen_in(page: str) -> str:
    """What a form carries of the preview that stands above its button."""
    found = re.search(r'name="seen" value="(\w+)"', page)
    assert found, page
    return found[1]


async def test_the_list_says_what_is_in_force_how_long_and_how_many_alerts_it_hides(
    site: Site,
) -> None:
    use(site, maintenance={IN_FILE.name: IN_FILE})
    await push(
        site,
        {"alertname": "Disk", "host": "db1"},
        {"alertname": "Disk", "host": "db2"},
        {"alertname": "Late", "job": "backup"},
    )
    await silenced(site, alertname="Disk")
    page = plain((await site.client.get("/silences")).text)
    assert "2 in force. 3 alerts that fire are hidden." in page
    assert (
        'until 11:00, in 1 h 0 min hides 2 alerts now known alertname="Disk" by Alice Ash' in page
    )
    assert "Maintenance until 11:00, in 1 h 0 min hides 1 alert now nightly/backup" in page
    assert "stands in the file recurs: daily (Berlin)" in page


async def test_an_alert_leads_to_a_silence_in_two_steps_without_scripts(site: Site) -> None:
    await push(site, {"alertname": "Disk", "host": "db1"}, {"alertname": "Net", "host": "db1"})
    await site.client.post("/me", data={"user": "alice"})
    page = (
        await site.client.get("/silences/new", params={"label": ['alertname="Disk"', 'host="db1"']})
    ).text
    assert "alertname=&#34;Disk&#34;\nhost=&#34;db1&#34;</textarea>" in page
    assert "would hide 1 alert now" in plain(page)
    fields = {
        "kind": "silence",
        "matchers": 'alertname="Disk"\nhost="db1"',
        "for": "4h",
        "comment": " new disk ",
        "seen": seen_in(page),
    }
    saved = await site.client.post("/silences/new", data=fields)
    assert saved.status_code == 303
    [silence] = (await site.client.get("/api/v2/silences")).json()
    assert saved.headers["location"] == f"/silences/{silence['id']}"
    assert (silence["createdBy"], silence["comment"], silence["status"]["state"]) == (
        "alice",
        "new disk",
        "active",
    )
    assert silence["endsAt"] == rfc3339(NOW + 4 * 3600)
    assert "hides 1 alert now" in plain((await site.client.get(saved.headers["location"])).text)


async def test_what_was_not_shown_is_shown_before_it_is_saved(site: Site) -> None:
    await push(site, {"alertname": "Disk"}, {"alertname": "Net"})
    page = (await site.client.get("/silences/new", params={"label": 'alertname="Disk"'})).text
    fields = {"kind": "silence", "matchers": 'alertname=~".+"', "for": "1h", "seen": seen_in(page)}
    shown = await site.client.post("/silences/new", data=fields)
    assert shown.status_code == 200 and "These are all 2 alerts that fire." in plain(shown.text)
    assert (await site.client.get("/api/v2/silences")).json() == []
    assert (
        await site.client.post("/silences/new", data={**fields, "seen": seen_in(shown.text)})
    ).status_code == 303


async def test_a_preview_names_the_incidents_that_would_stop_paging(site: Site) -> None:
    await push(site, {"alertname": "Disk", "host": "a"}, {"alertname": "Disk", "host": "b"})
    group = Placer(site.context.config).place({"alertname": "Disk", "host": "a"}).groups[0].id
    incident = await site.opened(title="Disks are full", group=group)
    for label, says in (
        ('host="a"', "1 of 2 alerts"),
        ('alertname="Disk"', "all 2 alerts: it stops paging"),
    ):
        page = plain((await site.client.get("/silences/new", params={"label": label})).text)
        assert f"#{incident.number} Disks are full {says}" in page
    answer = (
        await site.client.post("/api/v1/silences/preview", json={"matchers": ['host="a"']})
    ).json()
    assert answer["incidents"] == [
        {
            "id": incident.id,
            "number": incident.number,
            "title": "Disks are full",
            "state": "triggered",
            "hidden": 1,
            "firing": 2,
        }
    ]


async def test_a_silence_is_prolonged_changed_and_ended(site: Site) -> None:
    silence = await silenced(site, alertname="Disk")
    where = f"/silences/{silence.id}"
    assert (await site.client.post(f"{where}/extend", data={"for": "1h", "back": "list"})).headers[
        "location"
    ] == "/silences"
    longer = await site.client.post(
        f"/api/v1/silences/{silence.id}/extend", json={"until": "2026-01-06T14:00:00+01:00"}
    )
    assert longer.json()["endsAt"] == rfc3339(NOW + 3 * 3600)
    assert (
        await site.client.post(
            f"/api/v1/silences/{silence.id}/extend", json={"until": "2026-01-06T12:00:00Z"}
        )
    ).status_code == 422
    form = (await site.client.get(f"{where}/edit")).text
    fields = {
        "matchers": 'alertname="Disk"',
        "for": "",
        "comment": "another word",
        "seen": seen_in(form),
    }
    assert (await site.client.post(f"{where}/edit", data=fields)).headers["location"] == where, (
        "the same matchers change in place"
    )
    assert (await respond_muting.find_silence(site.context, silence.id)).comment == "another word"
    other = await site.client.get(f"{where}/edit", params={"matchers": 'alertname="Net"'})
    moved = await site.client.post(
        f"{where}/edit", data={**fields, "matchers": 'alertname="Net"', "seen": seen_in(other.text)}
    )
    made = moved.headers["location"]
    assert made != where, (
        "other matchers end the old silence and make a new one, as Alertmanager has it"
    )
    assert "ended at 10:00" in plain((await site.client.get(where)).text)
    site.clock[0] += 60
    assert (await site.client.post(f"{made}/end")).headers["location"] == made
    assert "ended at 10:01" in plain((await site.client.get(made)).text)
    refused = await site.client.post(f"{made}/extend", data={"for": "1h"})
    assert refused.status_code == 409 and "Nothing done." in refused.text
    assert (await site.client.get(f"{made}/edit")).status_code == 409
    assert "another word" not in (await site.client.get("/silences")).text
    assert "another word" in (await site.client.get("/silences?ended=1")).text


async def test_windows_are_made_changed_and_ended_and_those_of_the_file_are_not(site: Site) -> None:
    use(site, maintenance={IN_FILE.name: IN_FILE})
    shown = await site.client.get(
        "/silences/new", params={"kind": "maintenance", "label": 'team="db"'}
    )
    fields = {
        "kind": "maintenance",
        "name": "rack",
        "matchers": 'team="db"',
        "for": "endless",
        "interval": ["daily"],
        "timezone": "Asia/Tbilisi",
        "user": "bob",
        "seen": seen_in(shown.text),
    }
    where = (await site.client.post("/silences/new", data=fields)).headers["location"]
    [_, window] = await respond_muting.load_windows(site.context)
    assert (window.name, window.active_time_intervals, window.end, window.timezone) == (
        "rack",
        ("daily",),
        None,
        "Asia/Tbilisi",
    )
    assert window.created_by == "bob" and where == f"/silences/windows/{window.id}"
    form = await site.client.get(f"{where}/edit")
    assert 'value="daily" checked' in form.text
    change = {**fields, "for": "1d", "name": "other rack", "seen": seen_in(form.text)}
    assert (await site.client.post(f"{where}/edit", data=change)).status_code == 303
    assert "other rack" in (await site.client.get(where)).text
    assert (await site.client.post(f"{where}/end")).status_code == 303
    assert "ended at 10:00" in plain((await site.client.get(where)).text)
    of_file = "/silences/windows/nightly%2Fbackup"
    assert "It stands in the file" in plain((await site.client.get(of_file)).text)
    assert [
        (await site.client.post(f"{of_file}/{do}", data={"for": "1h"})).status_code
        for do in ("end", "extend")
    ] == [409, 409]
    assert (await site.client.get(f"{of_file}/edit")).status_code == 409


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"matchers": "=="}, "not a matcher"),
        ({"matchers": ""}, "name no alerts"),
        ({"matchers": 'a=~".*"'}, "at least one matcher must not match the empty string"),
        ({"until": "2026-01-05T10:00"}, "start time must be before end time"),
        ({"until": "soon"}, "end is not an rfc 3339 time"),
        ({"kind": "maintenance", "for": "endless"}, "say until when"),
        ({"kind": "maintenance", "interval": "never"}, "there is no time interval"),
        ({"user": "mallory"}, "there is no user"),
    ],
)
async def test_what_makes_no_sense_is_said_on_the_form_and_what_was_written_stays(
    site: Site, fields: dict[str, str], says: str
) -> None:
    given = {
        "kind": "silence",
        "matchers": 'team="db"',
        "for": "1h",
        "comment": "my words",
        **fields,
    }
    looked = await site.client.get("/silences/new", params={"label": given["matchers"]})
    seen = seen_in(looked.text) if 'name="seen"' in looked.text else ""
    answer = await site.client.post("/silences/new", data={**given, "seen": seen})
    assert answer.status_code == 422 and "my words" in answer.text
    assert says in plain(answer.text).lower()
    assert (await site.client.get("/api/v2/silences")).json() == []


async def test_text_of_another_time_zone_that_there_is_not_is_refused(site: Site) -> None:
    assert (await site.client.get("/silences/new?timezone=Europe")).status_code == 422


@pytest.mark.parametrize(
    ("now", "until"),
    [
        (NOW, "2026-01-12T09:00"),  # a Tuesday
        (NOW - 86400 - 3600 * 3, "2026-01-05T09:00"),  # Monday, 8:00 in Berlin
        (NOW - 86400, "2026-01-12T09:00"),  # Monday, 11:00
    ],
)
def test_until_monday_is_the_next_monday_morning_on_the_readers_clock(
    now: float, until: str
) -> None:
    assert next_monday(now, "Europe/Berlin") == until


@pytest.mark.parametrize("evil", [SCRIPT, BIDI, LONG], ids=["script", "bidi", "long"])
async def test_hostile_labels_are_harmless_in_previews_and_in_what_was_hidden(
    site: Site, evil: str
) -> None:
    use(site)
    labels = {"alertname": evil, evil[:200]: evil, "team": "db"}
    await push(site, labels)
    placement = site.context.placer.place(labels)
    incident = await site.opened(title=evil, group=placement.groups[0].id, common_labels=labels)
    await site.with_alerts(incident, Alert(fingerprint="a", labels=labels, starts_ns=1))
    silence = await silenced(
        site, comment=evil, team="db", **({"alertname": evil} if evil is not LONG else {})
    )
    one = SuppressedAlertRecord(
        fingerprint="f", labels=labels, group="g", receiver=evil, first=NOW, last=NOW
    )
    operations = Operations()
    await muting.record_suppressed(
        site.context.wire, operations, [SuppressionUpdate(f"silence:{silence.id}", one)]
    )
    assert await commit(site.context.wire, operations)
    for path in (
        "/silences",
        f"/silences/{silence.id}",
        f"/silences/{silence.id}/edit",
        "/silences/new?label=team%3D%22db%22&comment=%3Cscript%3E",
    ):
        answer = await site.client.get(path)
        assert answer.status_code == 200, path
        tags = Tags()
        tags.feed(answer.text)
        assert len([tag for tag, _ in tags.seen if tag == "script"]) == 3 + (
            "new" in path or "edit" in path
        ), path
        assert not [
            tag
            for tag, attributes in tags.seen
            if any(name.startswith("on") or name == "style" for name in attributes)
        ]
        assert not [tag for tag, _ in tags.seen if tag == "img"]
        assert len(answer.text) < (300_000 if "edit" in path else 60_000), (
            f"{path} is {len(answer.text)} characters long"
        )
        if "edit" not in path:  # what somebody edits must be what stands there
            assert not set("\u202e\u2066\x00\x1b") & set(answer.text), path
