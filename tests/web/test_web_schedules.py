"""The pages of schedules, as a browser without scripts sees and uses them. It is Tuesday 2026-01-06 10:00 UTC."""

from __future__ import annotations

import html
import re
from datetime import datetime
from urllib.parse import quote

import msgspec
import pytest

from amproxy.config.structs import Absence, Override, User
from amproxy.grouping.rights import Principal
from amproxy.model import RecordedPerson, RecordedShift
from amproxy.store import shifts
from amproxy.store.commit import commit
from amproxy.web.http.permissions import set_principal
from tests.support.web.website import CONFIG, Site

PAGE = "/schedules/platform"
NIGHT = {
    "user": "bob",
    "start": "2026-01-06T22:00",
    "end": "2026-01-07T06:00",
    "zone": "Europe/Berlin",
}


async def text(site: Site, path: str = PAGE) -> str:
    answer = await site.client.get(path)
    assert answer.status_code == 200, answer.text
    return " ".join(html.unescape(re.sub(r"<title>.*?</title>|<[^>]+>", " ", answer.text)).split())


async def on_call(site: Site, at: str) -> list[str]:
    return list((await site.client.get("/api/v1/oncall", params={"at": at})).json()[0]["users"])


async def test_all_schedules_stand_on_one_page_with_who_is_on_call_and_who_is_next(
    site: Site,
) -> None:
    page = await text(site, "/schedules")
    assert "platform Alice Ash until Mon 12 Jan 09:00, then bob" in page
    assert "empty Nobody is on call no change within a year" in page
    assert "On call now" not in page
    source = (await site.client.get("/schedules")).text
    assert (
        'href="/schedules/platform"' in source and 'href="/schedules" aria-current="page"' in source
    )
    assert "Nobody" in source and 'fill="url(#hatch)"' in source
    assert "style=" not in source


async def test_times_of_all_schedules_are_those_of_whoever_looks(site: Site) -> None:
    site.client.cookies.set("amproxy_user", "bob")
    assert "until Mon 12 Jan 12:00, then bob" in await text(site, "/schedules")
    assert "until Mon 12 Jan 03:00, then bob" in await text(
        site, "/schedules?zone=America/New_York"
    )
    assert (await site.client.get("/schedules?zone=Mars")).status_code == 422


async def test_a_schedule_shows_its_rows_and_why_somebody_is_on_call(site: Site) -> None:
    source = (await site.client.get(PAGE)).text
    assert "<title>Alice Ash · Mon 5 Jan 09:00 – Mon 12 Jan 09:00 · layer weekly</title>" in source
    assert 'aria-label="weekly: Alice Ash · Mon 5 Jan 09:00' in source
    assert 'class="now"' in source and "style=" not in source
    page = await text(site)
    assert "On call now: AA Alice Ash until Mon 12 Jan 09:00, then bob" in page
    assert "5 Jan – 18 Jan 2026" in page


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("view=day", "Tue 6 Jan 2026"),
        ("view=month&from=2026-12-24", "December 2026"),
        ("view=weeks&from=2026-12-24", "21 Dec – 3 Jan 2027"),
    ],
)
async def test_what_is_shown_stands_in_the_address(site: Site, query: str, said: str) -> None:
    assert said in await text(site, f"{PAGE}?{query}")


async def test_another_clock_can_be_chosen(site: Site) -> None:
    source = (await site.client.get(f"{PAGE}?zone=Asia/Tbilisi")).text
    assert (
        "Mon 5 Jan 12:00 – Mon 12 Jan 12:00" in source
        and "Times are those of Asia/Tbilisi." in source
    )


@pytest.mark.parametrize(
    "query", ["view=year", "from=never", "zone=Mars", "zone=%00", "from=9999-12-31"]
)
async def test_an_address_that_makes_no_sense_is_answered_in_words(site: Site, query: str) -> None:
    answer = await site.client.get(f"{PAGE}?{query}")
    assert answer.status_code == 422 and 'class="card problem"' in answer.text


async def test_a_schedule_that_is_not_there_is_not_found(site: Site) -> None:
    assert (await site.client.get("/schedules/nothing")).status_code == 404
    assert (await site.client.post("/schedules/nothing/overrides", data=NIGHT)).status_code == 404


async def test_a_gap_is_said_in_words_and_can_be_filled_from_where_it_stands(site: Site) -> None:
    page = await text(site, "/schedules/empty")
    assert "1 gap" in page and "no layer is active" in page
    source = (await site.client.get("/schedules/empty?view=day")).text
    assert "start=2026-01-06T00%3A00&amp;end=2026-01-07T00%3A00" in source


async def test_somebody_else_is_put_on_call_for_a_night_and_it_is_taken_back(site: Site) -> None:
    answer = await site.client.post(
        f"{PAGE}/overrides",
        data={**NIGHT, "reason": "concert", "view": "month", "from": "2026-01-01"},
    )
    assert answer.status_code == 303
    assert (
        answer.headers["location"]
        == "/schedules/platform?view=month&from=2026-01-01&zone=Europe%2FBerlin#overrides"
    )
    assert await on_call(site, "2026-01-06T22:00:00Z") == ["bob"]
    source = (await site.client.get(PAGE)).text
    assert "bob · Tue 6 Jan 22:00 – Wed 7 Jan 06:00 · override by hand: concert" in source
    [delete] = re.findall(r'action="(/schedules/platform/overrides/\w+/delete)"', source)
    assert (await site.client.post(delete, data={})).status_code == 303
    assert await on_call(site, "2026-01-06T22:00:00Z") == ["alice"]
    assert (await site.client.post(delete, data={})).status_code == 404


async def test_the_times_of_a_form_are_those_of_the_clock_that_the_page_shows(site: Site) -> None:
    await site.client.post(f"{PAGE}/overrides", data={**NIGHT, "zone": "Asia/Tbilisi"})
    assert await on_call(site, "2026-01-06T18:30:00Z") == ["bob"] and await on_call(
        site, "2026-01-07T02:30:00Z"
    ) == ["alice"]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"user": ""}, "An override needs a user."),
        ({"user": "mallory"}, "There is no user 'mallory'."),
        ({"end": "2026-01-06T21:00"}, "The end of an override must lie after its start."),
        ({"start": "soon"}, "From is not an RFC 3339 time"),
        ({"start": ""}, "From is not an RFC 3339 time"),
    ],
)
async def test_an_override_that_makes_no_sense_changes_nothing_and_keeps_what_was_filled_in(
    site: Site, wrong: dict[str, str], said: str
) -> None:
    answer = await site.client.post(
        f"{PAGE}/overrides", data={**NIGHT, "reason": "to be <kept>", **wrong}
    )
    assert (
        answer.status_code == 422
        and said in html.unescape(answer.text)
        and 'value="to be &lt;kept&gt;"' in answer.text
    )
    assert 'role="alert"' in answer.text
    assert (await site.client.get("/api/v1/schedules/platform/overrides")).json() == []
    assert (await site.client.get(f"{PAGE}/overrides")).headers[
        "location"
    ] == PAGE  # the answer, loaded again


@pytest.mark.parametrize(
    "odd",
    [
        {"zone": "Mars"},
        {"zone": "\x00"},
        {"view": "year"},
        {"from": "x"},
        {"start": "9999-12-31T23:59"},
    ],
)
async def test_hidden_fields_that_make_no_sense_are_refused(
    site: Site, odd: dict[str, str]
) -> None:
    for form in ("overrides", "swaps"):
        assert (await site.client.post(f"{PAGE}/{form}", data={**NIGHT, **odd})).status_code == 422
    assert (await site.client.get("/api/v1/schedules/platform/overrides")).json() == []


async def test_a_shift_of_the_timeline_leads_to_forms_that_are_filled_in(site: Site) -> None:
    source = (await site.client.get(PAGE)).text
    links = [html.unescape(link) for link in re.findall(r'<a href="([^"]+)" class="bar', source)]
    filled = (
        await site.client.get(
            next(link for link in links if "user=alice" in link).partition("#")[0]
        )
    ).text
    assert (
        'id="override-start" name="start" type="datetime-local" step="60" required value="2026-01-05T09:00"'
        in filled
    )
    assert (
        'id="swap-end" name="end" type="datetime-local" step="60" required value="2026-01-12T09:00"'
        in filled
    )
    assert '<option value="alice" selected>' in filled


async def test_a_swap_is_asked_for_taken_given_back_and_forgotten(site: Site) -> None:
    site.client.cookies.set("amproxy_user", "bob")
    wish = {
        "user": "alice",
        "start": "2026-01-07T09:00",
        "end": "2026-01-08T09:00",
        "reason": "dentist",
        "zone": "Europe/Berlin",
    }
    answer = await site.client.post(f"{PAGE}/swaps", data=wish)
    assert answer.status_code == 303 and answer.headers["location"].endswith("#swaps")
    assert (
        "Open AA Alice Ash Wed 7 Jan 09:00 – Thu 8 Jan 09:00 · dentist · asked by bob"
        in await text(site)
    )
    [swap] = re.findall(
        r'action="/schedules/platform/swaps/(\w+)/take"', (await site.client.get(PAGE)).text
    )
    assert (
        await site.client.post(f"{PAGE}/swaps/{swap}/take", data={"user": "alice"})
    ).status_code == 409  # her own
    assert (
        await site.client.post(f"{PAGE}/swaps/{swap}/take", data={"user": "bob"})
    ).status_code == 303
    assert await on_call(site, "2026-01-07T12:00:00Z") == ["bob"]
    page = await text(site)
    assert "Taken AA Alice Ash → taken by B bob" in page and "bob for Alice Ash (swap)" in page
    assert (await site.client.post(f"{PAGE}/swaps/{swap}/untake", data={})).status_code == 303
    assert await on_call(site, "2026-01-07T12:00:00Z") == ["alice"]
    assert (await site.client.post(f"{PAGE}/swaps/{swap}/delete", data={})).status_code == 303
    assert "Nobody asks for a swap." in await text(site)
    assert (
        await site.client.post(f"{PAGE}/swaps/{swap}/take", data={"user": "bob"})
    ).status_code == 404


async def test_a_swap_of_no_shift_is_refused_and_one_whose_shift_is_gone_says_so(
    site: Site,
) -> None:
    wish = {"start": "2026-01-07T09:00", "end": "2026-01-08T09:00"}
    form = {**wish, "user": "bob", "reason": "fair"}
    refused = await site.client.post(f"{PAGE}/swaps", data=form)
    assert refused.status_code == 422 and "no shift then" in refused.text
    assert 'value="fair"' in refused.text
    made = await site.client.post(f"{PAGE}/swaps", data={**wish, "user": "alice"})
    assert made.status_code == 303
    again = await site.client.post(f"{PAGE}/swaps", data={**wish, "user": "alice"})
    assert again.status_code == 409 and "asks for a swap then already" in again.text
    await site.client.post(f"{PAGE}/overrides", data={**wish, "user": "bob"})
    assert "Alice Ash has no shift then." in await text(site)


async def test_a_swap_that_nobody_took_in_time_is_past_due(site: Site) -> None:
    await site.client.post(
        f"{PAGE}/swaps",
        data={"user": "alice", "start": "2026-01-06T12:00", "end": "2026-01-06T12:30"},
    )
    site.clock[0] += 7200
    assert "Nobody took it AA Alice Ash" in await text(site)


async def test_an_override_puts_nobody_on_call_on_purpose(site: Site) -> None:
    form = {"nobody": "1", "start": "2026-01-06T09:00", "end": "2026-01-06T18:00", "user": "bob"}
    answer = await site.client.post(f"{PAGE}/overrides", data=form)
    assert answer.status_code == 303
    assert await on_call(site, "2026-01-06T11:00:00Z") == []
    assert "Nobody is on call" in await text(site)


async def test_an_override_of_the_file_is_shown_as_such_and_cannot_be_deleted(site: Site) -> None:
    planned = Override(
        users=("bob",),
        start=datetime(2026, 1, 9, 9),
        end=datetime(2026, 1, 9, 18),
        reason="planned",
    )
    platform = msgspec.structs.replace(CONFIG.schedules["platform"], overrides=(planned,))
    site.context.use_config(
        msgspec.structs.replace(CONFIG, schedules={**CONFIG.schedules, "platform": platform})
    )
    page = await text(site)
    assert "bob Fri 9 Jan 09:00 – 18:00 · planned in the file" in page
    assert "/delete" not in (await site.client.get(PAGE)).text


async def test_the_past_is_shown_as_it_was_written_down_with_the_names_of_then(site: Site) -> None:
    zoe = RecordedPerson(user="zoe", full_name="Zoe <b>Zed</b>", timezone="UTC")
    start, end = 1767600000.0, 1767690000.0  # Monday 08:00 UTC, Tuesday 09:00 UTC
    kept = await shifts.load_progress(site.context.wire, "platform")
    fact = RecordedShift(
        start=start, end=end, people=(zoe,), reason="layer <i>old</i>", layer="old"
    )
    written = shifts.write_facts(
        kept, "platform", [fact], until=end, zone="Europe/Berlin", over=False, notices=None
    )
    assert await commit(site.context.wire, written)
    source = (await site.client.get(PAGE)).text
    assert (
        "Zoe &lt;b&gt;Zed&lt;/b&gt; · Mon 5 Jan 09:00 – Tue 6 Jan 10:00 · layer &lt;i&gt;old&lt;/i&gt;"
        in source
    )
    assert "as it was" in source and "<b>Zed" not in source
    assert "25 h" in await text(site)


async def test_hours_and_quality_are_those_of_the_span_that_is_shown(site: Site) -> None:
    page = await text(site, f"{PAGE}?view=weeks&from=2026-01-12")
    assert "bob 168 h 40 h at night, 48 h at weekends" in page
    assert "Shifts as CSV, for pay" in page and "of 100" in page
    source = (await site.client.get(f"{PAGE}?view=month&from=2026-12-01")).text
    [link] = re.findall(r'href="(/api/v1/schedules/platform/shifts[^"]+)"', source)
    table = (await site.client.get(html.unescape(link))).text
    assert table.count("\r\n") == 6 and "2026-12-01T00:00:00.000+01:00" in table


async def test_names_of_people_and_of_schedules_are_text_and_nothing_else(site: Site) -> None:
    hostile = "<img src=x onerror=alert(1)>"
    users = {**CONFIG.users, "alice": User(name="alice", full_name=f"{hostile}\u202e{'x' * 500}")}
    platform = msgspec.structs.replace(CONFIG.schedules["platform"], name=hostile)
    site.context.use_config(
        msgspec.structs.replace(CONFIG, users=users, schedules={hostile: platform})
    )
    for path in ("/schedules", f"/schedules/{quote(hostile, safe='')}"):
        answer = await site.client.get(path)
        assert (
            answer.status_code == 200
            and "<img" not in answer.text
            and "&lt;img src=x" in answer.text
        )
        main = answer.text.partition("<main")[2]
        assert "\u202e" not in main and "x" * 70 not in main


async def test_the_address_of_a_calendar_is_made_shown_and_taken_back(site: Site) -> None:
    assert (await site.client.post(f"{PAGE}/calendar", data={})).status_code == 303
    [url] = re.findall(
        r'readonly value="https://oncall.example.org(/calendar/[^"]+)"',
        (await site.client.get(PAGE)).text,
    )
    assert "BEGIN:VCALENDAR" in (await site.client.get(url)).text
    assert (await site.client.post(f"{PAGE}/calendar/delete", data={})).status_code == 303
    assert (await site.client.get(url)).status_code == 404
    assert "readonly" not in (await site.client.get(PAGE)).text


async def test_whoever_may_only_look_sees_no_forms_and_changes_nothing(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = site.client._transport.app  # type: ignore[attr-defined]

    async def as_viewer(scope, receive, send):  # type: ignore[no-untyped-def]
        set_principal(scope, Principal(user="bob", role="viewer", via="session"))
        await app(scope, receive, send)

    monkeypatch.setattr(site.client._transport, "app", as_viewer)
    source = (await site.client.get(PAGE)).text
    assert (
        "do-override" not in source
        and "Alice Ash" in source
        and 'action="/schedules/platform/overrides' not in source
    )
    assert (await site.client.post(f"{PAGE}/overrides", data=NIGHT)).status_code == 403
    assert (
        await site.client.post(f"{PAGE}/swaps", data={**NIGHT, "user": "alice"})
    ).status_code == 403
    assert (await site.client.post(f"{PAGE}/calendar", data={})).status_code == 403
    assert (await site.client.get("/api/v1/schedules/platform/overrides")).json() == []


@pytest.mark.parametrize("name", ["db/eu", "a/b/c", "/db", "db/"])
async def test_names_with_a_slash_have_pages_forms_and_an_api(site: Site, name: str) -> None:
    replace = msgspec.structs.replace
    schedule = replace(CONFIG.schedules["platform"], name=name)
    policy = replace(CONFIG.policies["careful"], name=name)
    user = replace(CONFIG.users["bob"], name=name)
    site.context.use_config(
        replace(
            CONFIG,
            users={**CONFIG.users, name: user},
            schedules={**CONFIG.schedules, name: schedule},
            policies={**CONFIG.policies, name: policy},
        )
    )
    for spelled in (name, quote(name, safe="")):
        for path in (f"/schedules/{spelled}", f"/policies/{spelled}"):
            assert f"<bdi>{name}</bdi>" in (await site.client.get(path)).text, path
        times = {"start": "2026-01-07T09:00", "end": "2026-01-08T09:00"}
        form = {**times, "user": name}
        made = await site.client.post(f"/schedules/{spelled}/overrides", data=form)
        assert made.status_code == 303
        api = f"/api/v1/schedules/{spelled}/overrides"
        [override] = (await site.client.get(api)).json()
        assert (await site.client.get(made.headers["location"])).status_code == 200
        delete = f"/schedules/{spelled}/overrides/{override['id']}/delete"
        assert (await site.client.post(delete, data={})).status_code == 303
        assert (await site.client.get(api)).json() == []
        away = await site.client.post(f"/people/{spelled}/absences", data=times)
        assert away.status_code == 303
        assert (await site.client.get(f"/api/v1/users/{spelled}")).json()["name"] == name
        api = f"/api/v1/users/{spelled}/absences"
        [absence] = (await site.client.get(api)).json()
        assert (await site.client.delete(f"{api}/{absence['id']}")).status_code == 204
        for path in ("shifts", "hours", "quality"):
            answer = await site.client.get(f"/api/v1/schedules/{spelled}/{path}")
            assert answer.status_code == 200, path


async def test_absences_and_holidays_of_its_people_stand_on_the_timeline(site: Site) -> None:
    replace = msgspec.structs.replace
    alice = replace(
        CONFIG.users["alice"],
        holidays="DE-BY",
        absences=(Absence(start=datetime(2026, 1, 8, 9), end=datetime(2026, 1, 9, 9)),),
    )
    bob = replace(CONFIG.users["bob"], holidays="US")  # no holiday in these two weeks
    site.context.use_config(replace(CONFIG, users={"alice": alice, "bob": bob}))
    away = {"start": "2026-01-13T09:00", "end": "2026-01-14T09:00", "reason": "dentist"}
    assert (await site.client.post("/api/v1/users/bob/absences", json=away)).status_code == 201
    source = (await site.client.get(PAGE)).text
    titles = html.unescape(" ".join(re.findall(r'aria-label="(.*?)"', source)))
    assert "Away: Alice Ash · Thu 8 Jan 09:00 – Fri 9 Jan 09:00" in titles
    assert "Away: bob · Tue 13 Jan 06:00 – Wed 14 Jan 06:00 · dentist" in titles
    assert "Holidays: DE-BY: Alice Ash · Tue 6 Jan 00:00 – Wed 7 Jan 00:00 · Epiphany" in titles
    assert source.count("bar narrow holiday") + source.count("bar day holiday") == 1


async def test_the_list_shows_how_the_hours_of_each_schedule_are_shared(site: Site) -> None:
    """Of the 14 days from Tuesday 11:00 on Alice has those until Monday 09:00, and one more day."""
    page = (await site.client.get("/schedules?zone=Europe/Berlin")).text
    [label] = re.findall(r'class="fairness"[^>]*aria-label="([^"]*)"', page)
    assert label == "Hours of these days: bob 168 h, Alice Ash 157 h"
    widths = [float(one) for one in re.findall(r'filled" x="[^"]*" width="([^"]*)%"', page)]
    assert widths == sorted(widths, reverse=True) and sum(widths) == pytest.approx(100, abs=0.05)
