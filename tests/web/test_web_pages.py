"""The pages, as a browser without scripts sees and uses them."""

from __future__ import annotations

import re
from zoneinfo import ZoneInfo

import pytest

from amproxy.clock import now as real_now
from amproxy.model import Alert
from amproxy.store import incidents
from amproxy.text import load_texts
from amproxy.text.render import time_text
from amproxy.web.http.format import age_text, duration_text
from tests.support.web.website import Site


async def test_the_first_page_says_who_is_on_call_and_that_all_is_quiet(site: Site) -> None:
    page = " ".join((await site.client.get("/")).text.split())
    assert "All quiet" in page and "Alice Ash" in page and "Tue 11:00 in Berlin" in page
    assert "until Mon 12 Jan 08:00, then bob" in page
    assert "Nobody is on call" in page  # for the empty schedule


EN = load_texts("en")


async def test_an_open_incident_stands_on_the_first_page_with_what_comes_next(site: Site) -> None:
    incident = await site.opened(title="HighCPU on eu1", common_labels={"severity": "critical"})
    page = (await site.client.get("/")).text
    assert (
        "1 incident without an answer" in page and "HighCPU on eu1" in page and "critical" in page
    )
    assert "Alice Ash&#39;s next rule: email" in page and "in 5:00" in page
    assert "<title>(1) On call now</title>" in page and "/static/waiting.svg" in page
    assert f'action="/incidents/{incident.id}/acknowledge"' in page


async def test_who_acts_is_chosen_once_and_named_in_the_timeline(site: Site) -> None:
    incident = await site.opened()
    chosen = await site.client.post(
        "/me", data={"user": "alice", "back": f"/incidents/{incident.id}"}
    )
    assert chosen.status_code == 303 and chosen.headers["location"] == f"/incidents/{incident.id}"
    assert "HttpOnly" in chosen.headers["set-cookie"]
    answer = await site.client.post(f"/incidents/{incident.id}/acknowledge", data={"epoch": "1"})
    assert answer.status_code == 303 and answer.headers["location"] == f"/incidents/{incident.id}"
    page = (await site.client.get(f"/incidents/{incident.id}")).text
    assert "Acknowledged by Alice Ash at 11:00" in page  # on her own clock
    alice = '<a href="/people#person-alice"><bdi>Alice Ash</bdi></a>'
    assert f"Acknowledged by {alice} (via <bdi>web</bdi>)." in page
    assert "Unacknowledge" in page and 'id="do-acknowledge"' not in page


async def test_the_addresses_of_forms_lead_to_pages(site: Site) -> None:
    incident = await site.opened()
    for path, page in {
        f"/incidents/{incident.id}/acknowledge": f"/incidents/{incident.id}",
        "/incidents/bulk?state=resolved": "/incidents?state=resolved",
        "/silences/windows/a/b/end": "/silences/windows/a/b",
        "/people/bob/absences/1/delete": "/people",
        "/deliveries/test": "/deliveries",
        "/admin/tokens": "/admin",
        "/test-alert": "/",
        "/sign-out": "/",
        "/change/apply": "/",
    }.items():
        shown = await site.client.get(path)
        assert (shown.status_code, shown.headers.get("location")) == (303, page), path


async def test_a_refused_form_can_be_sent_once_more_with_what_was_typed(site: Site) -> None:
    fields = {"text": '<b>"a" & b', "epoch": "1"}
    refused = await site.client.post("/incidents/none/note", data=fields)
    assert refused.status_code == 404 and "Nothing done." in refused.text
    assert 'action="/incidents/none/note"' in refused.text
    assert '<input type="hidden" name="text" value="&lt;b&gt;&#34;a&#34; &amp; b">' in refused.text
    secret = await site.client.post("/incidents/none/note", data={"password": "tell-no-one"})
    assert "tell-no-one" not in secret.text and 'id="again"' not in secret.text
    pressed = await site.client.post("/language", data={"language": "ru"}, headers={"X-Press": "1"})
    assert (pressed.status_code, pressed.headers["x-location"]) == (200, "/")
    assert "location" not in pressed.headers and "ru" in pressed.headers["set-cookie"]


async def test_nobody_can_be_sent_to_a_foreign_site(site: Site) -> None:
    for back in (
        "//evil.example",
        "https://evil.example",
        "/\\evil.example",
        "/\r\nSet-Cookie: a=b",
    ):
        assert (await site.client.post("/me", data={"user": "", "back": back})).headers[
            "location"
        ] == "/"


async def test_every_action_works_as_a_plain_form(site: Site) -> None:
    incident = await site.opened()
    url = f"/incidents/{incident.id}"

    async def state() -> str:
        return (await incidents.load(site.context.wire, incident.id)).state

    for action, fields, expected in [
        ("snooze", {"for": "30m"}, "snoozed"),
        ("acknowledge", {}, "acknowledged"),
        ("unacknowledge", {}, "triggered"),
        ("escalate", {}, "triggered"),
        ("note", {"text": "looked at it"}, "triggered"),
        ("resolve", {}, "resolved"),
    ]:
        assert (await site.client.post(f"{url}/{action}", data=fields)).status_code == 303
        assert await state() == expected
    page = (await site.client.get(url)).text
    assert "<bdi>somebody</bdi>: <bdi>looked at it</bdi>" in page and "Resolved at 10:00" in page


async def test_a_stale_button_says_so_and_changes_nothing(site: Site) -> None:
    incident = await site.opened()
    await site.client.post(f"/incidents/{incident.id}/acknowledge")
    await site.client.post(f"/incidents/{incident.id}/unacknowledge")
    answer = await site.client.post(f"/incidents/{incident.id}/resolve", data={"epoch": "1"})
    assert answer.status_code == 409 and "from an earlier alarm" in answer.text
    assert (await incidents.load(site.context.wire, incident.id)).state == "triggered"


async def test_the_incident_shows_alerts_pages_timeline_and_the_steps_ahead(site: Site) -> None:
    incident = await site.opened()
    await site.with_alerts(
        incident,
        Alert(
            fingerprint="a",
            labels={"instance": "web-1"},
            annotations={"runbook_url": "https://runbooks.example.org/cpu"},
            starts_ns=int(site.clock[0] * 1e9),
            generator_url="javascript:alert(1)",
        ),
    )
    page = (await site.client.get(f"/incidents/{incident.id}")).text
    assert (
        "web-1" in page
        and 'href="https://runbooks.example.org/cpu"' in page
        and "javascript:" not in page
    )
    platform = '<a href="/schedules/platform"><bdi>platform</bdi></a>'
    assert "On its way" in page
    assert f"on call for {platform}: layer <bdi>weekly</bdi>" in page
    assert 'Step 1: paging <a href="/people#person-alice"><bdi>Alice Ash</bdi></a>' in page
    assert "step 3: notify bob (users)" in page and "the steps run again (round 2 of 2)" in page


async def test_a_label_on_a_page_leads_to_the_incidents_that_share_it(site: Site) -> None:
    incident = await site.opened(title="One", common_labels={"team": 'a "quoted" one'})
    await site.opened(title="Other", common_labels={"team": "b"})
    page = (await site.client.get("/")).text
    link = next(
        found
        for found in re.findall(r'href="(/incidents\?label=[^"]+)"', page)
        if "quoted" in found
    )
    listed = (await site.client.get(link)).text
    assert f"/incidents/{incident.id}" in listed and ">Other<" not in listed


async def test_the_list_is_filtered_in_its_address(site: Site) -> None:
    incident = await site.opened(title="Gone by now")
    await site.client.post(f"/incidents/{incident.id}/resolve")
    assert "Gone by now" not in (await site.client.get("/incidents")).text
    assert (
        "Gone by now"
        in (await site.client.get("/incidents?state=resolved&label=", follow_redirects=True)).text
    )
    assert "No incident is like this" in (await site.client.get("/incidents?label=team%3Dx")).text
    assert (await site.client.get("/incidents?label=%7B")).status_code == 422


async def test_a_test_alert_is_one_button_away(site: Site) -> None:
    answer = await site.client.post("/test-alert")
    assert answer.status_code == 303 and site.tests_sent == ["TestAlert"]
    assert "A test alert is on its way" in (await site.client.get(answer.headers["location"])).text


async def test_what_the_console_printed_is_on_the_first_page_without_its_colours(
    site: Site,
) -> None:
    site.deps.console.write("\x1b[1;31m#1 triggered\x1b[0m <b>\n")
    page = (await site.client.get("/")).text
    assert "#1 triggered &lt;b&gt;" in page and "[1;31m" not in page


async def test_opening_a_signed_link_only_shows_what_it_would_do(site: Site) -> None:
    incident, links = await site.opened(), site.deps.links()
    assert links
    url = f"/act/{links.sign(incident.id, 'snooze', 1, 'alice', '3600')}"
    page = await site.client.get(url)
    assert page.status_code == 200 and "Snooze for 1h" in page.text and "Alice Ash" in page.text
    assert (await incidents.load(site.context.wire, incident.id)).state == "triggered"
    assert (await site.client.post(url)).status_code == 303
    after = await incidents.load(site.context.wire, incident.id)
    assert (after.state, after.snoozed_by, after.snoozed_until) == (
        "snoozed",
        "alice",
        site.clock[0] + 3600,
    )


async def test_a_signed_link_from_an_earlier_moment_offers_nothing(site: Site) -> None:
    incident, links = await site.opened(), site.deps.links()
    assert links
    url = f"/act/{links.sign(incident.id, 'acknowledge', 1, 'alice')}"
    await site.client.post(f"/incidents/{incident.id}/resolve")
    assert 'id="act"' not in (await site.client.get(url)).text
    assert (await site.client.post(url)).status_code == 409


async def test_after_a_link_it_is_told_who_did_what_and_a_snooze_may_follow(site: Site) -> None:
    incident, links = await site.opened(), site.deps.links()
    assert links
    url = f"/act/{links.sign(incident.id, 'acknowledge', 1, 'alice')}"
    assert "Nothing has happened yet" in (await site.client.get(url)).text
    done = await site.client.post(url)
    assert "amproxy_user=alice" in done.headers["set-cookie"]
    told = (await site.client.get(done.headers["location"])).text
    assert "Done." in told and "Acknowledged by Alice Ash (via link)." in told
    assert "Nothing has happened yet" not in told and 'id="act"' not in told
    assert all(f'id="then-{length}"' in told for length in ("30m", "1h", "morning"))
    again = await site.client.post(url, data={"then": "snooze", "for": "morning"})
    assert "Snoozed by Alice Ash until" in (await site.client.get(again.headers["location"])).text
    after = await incidents.load(site.context.wire, incident.id)
    # eight in Berlin, on the day after a Tuesday's eleven
    assert (after.snoozed_by, after.snoozed_until) == ("alice", site.clock[0] + 21 * 3600)


@pytest.mark.parametrize(
    ("before", "says", "offers"),
    [
        ([], "Nothing has happened yet", True),
        (["acknowledge"], "It is answered already", False),
        (["snooze"], "Snoozed by bob", True),
        (["resolve"], "It is over", False),
        (["acknowledge", "unacknowledge"], "from an earlier moment", False),
    ],
    ids=["waits", "acknowledged by another", "snoozed", "resolved", "stale"],
)
async def test_a_link_shows_what_it_is_about_and_offers_only_what_is_left(
    site: Site, before: list[str], says: str, offers: bool
) -> None:
    annotations = {"summary": "Disk fills", "runbook_url": "https://runbooks.example.org/disk"}
    labels = {"alertname": "Disk", "severity": "critical"}
    alert = Alert(fingerprint="a", labels=labels, annotations=annotations, starts_ns=1)
    incident, links = await site.with_alerts(await site.opened(), alert), site.deps.links()
    assert links
    site.client.cookies.set("amproxy_user", "bob")
    for action in before:
        await site.client.post(f"/incidents/{incident.id}/{action}")
    site.client.cookies.clear()
    url = f"/act/{links.sign(incident.id, 'acknowledge', 1, 'alice')}"
    shown = (await site.client.get(url)).text
    assert says in shown and ('id="act"' in shown) == offers
    assert "Severity critical" in shown and shown.count("Disk fills") == 1
    assert 'href="https://runbooks.example.org/disk"' in shown
    refused = await site.client.post(url)
    assert refused.status_code == (303 if offers else 409)
    if not offers:
        assert (
            "Nothing done." in refused.text and f'href="/incidents/{incident.id}"' in refused.text
        )


async def test_a_link_that_is_forged_or_too_old_is_refused(site: Site, monkeypatch) -> None:
    links = site.deps.links()
    assert links
    token = links.sign("x", "acknowledge", 1, "alice")
    assert (await site.client.get("/act/forged")).status_code == 404
    monkeypatch.setattr("amproxy.clock.now", lambda: real_now() + 8 * 86400)
    assert (await site.client.get(f"/act/{token}")).status_code == 410


async def test_an_error_on_a_page_is_a_page(site: Site) -> None:
    answer = await site.client.get("/incidents/none")
    assert answer.status_code == 404 and answer.headers["content-type"].startswith("text/html")
    assert "There is no incident none." in answer.text


async def test_without_scripts_the_page_reloads_itself_unless_told_to_stand_still(
    site: Site,
) -> None:
    assert '<meta http-equiv="refresh" content="10">' in (await site.client.get("/")).text
    assert "http-equiv" not in (await site.client.get("/?pause=1")).text


def test_times_read_at_a_glance() -> None:
    assert [duration_text(seconds, EN) for seconds in (-5, 0, 59, 299, 3600, 7980, 100_000)] == [
        "0:00",
        "0:00",
        "0:59",
        "4:59",
        "1 h 0 min",
        "2 h 13 min",
        "1 d 3 h",
    ]
    assert [age_text(seconds, EN) for seconds in (0, 61, 7200, 200_000)] == [
        "just now",
        "1 min ago",
        "2 h ago",
        "2 d ago",
    ]


def test_a_moment_says_its_day_only_where_that_is_not_today() -> None:
    berlin, noon = ZoneInfo("Europe/Berlin"), 1_767_693_600.0
    assert time_text(noon, berlin, noon, EN) == "11:00"
    assert time_text(noon + 86400, berlin, noon, EN) == "Wed 7 Jan 11:00"
    assert time_text(noon - 10 * 86400, berlin, noon, EN) == "27 Dec 2025 11:00"
