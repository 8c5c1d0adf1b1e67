"""Changing the layers of a schedule as a browser without scripts does, with a real file."""

from __future__ import annotations

import html
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from amproxy.config.loader import load
from amproxy.grouping.rights import Principal
from amproxy.store import audit
from amproxy.text import load_texts
from amproxy.text.render import PhraseRenderer
from amproxy.web.app import build_web_app
from amproxy.web.http.permissions import set_principal
from amproxy.web.http.templates import USER_COOKIE
from tests.support.web.website import BASE, Site

FILE = """\
# ours
route: {receiver: r}
receivers: [{name: r, oncall_configs: [{escalation_policy: main}]}]
users:
  - {name: alice, full_name: Alice Ash, contacts: {console: here}}
  - {name: bob, contacts: {console: there}}
teams:
  - {name: ops, members: [alice]}
schedules:
  - name: primary      # the first line
    team: ops
    layers:
      - {name: weekly, users: [alice, bob], rotation: {every: 1w, start: 2026-01-05}}   # Mondays
escalation_policies:
  - name: main
    steps:
      - notify: {schedule: primary}
"""
PAGE = "/schedules/primary/layers"


class House:
    def __init__(self, client: httpx.AsyncClient, file: Path) -> None:
        self.client, self.file = client, file

    async def fields(self) -> dict[str, object]:
        return form_of((await self.client.get(PAGE)).text)

    async def press(self, fields: dict[str, object], command: str) -> httpx.Response:
        return await self.client.post(PAGE, data={**fields, "do": command})


def form_of(source: str) -> dict[str, object]:
    """What a browser would send of the form on a page, without its buttons."""
    form = source.partition('<form id="layers"')[2].partition("</form>")[0]
    fields: dict[str, list[str]] = {}
    for tag in re.findall(r"<input[^>]*>|<select.*?</select>", form, re.DOTALL):
        if 'type="checkbox"' in tag and "checked" not in tag:
            continue
        name = re.search(r' name="([^"]+)"', tag)
        chosen = (
            re.search(r'<option value="([^"]*)" selected>', tag)
            if tag.startswith("<select")
            else re.search(r' value="([^"]*)"', tag)
        )
        if name:
            fields.setdefault(name[1], []).append(html.unescape(chosen[1]) if chosen else "")
    return dict(fields)


@pytest.fixture
async def house(site: Site, tmp_path: Path) -> AsyncIterator[House]:
    file = tmp_path / "routes.yaml"
    file.write_text(FILE)
    site.context.use_config(load(file).config)

    async def reload() -> None:
        site.context.use_config(load(file).config)

    app = build_web_app(replace(site.deps, reload=reload))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=BASE) as client:
        yield House(client, file)


async def test_the_form_shows_the_layers_of_the_file(house: House) -> None:
    fields = await house.fields()
    assert (
        fields["0.name"] == ["weekly"]
        and fields["0.every"] == ["1w"]
        and fields["0.start"] == ["2026-01-05T00:00"]
    )
    assert fields["0.turn.0"] == ["alice", ""] and fields["0.turn.1"] == ["bob", ""]


async def test_a_turn_is_moved_looked_at_and_written_with_the_comments_kept(house: House) -> None:
    moved = await house.press(await house.fields(), "down-turn:0:0")
    page = " ".join(html.unescape(re.sub("<[^>]+>", " ", moved.text)).split())
    assert "What changes" in page and "5 shifts change in the next four weeks" in page
    assert "Alice Ash → bob" in page.replace("  ", " ")
    assert "-      - {name: weekly, users: [alice, bob]" in html.unescape(moved.text)
    assert house.file.read_text() == FILE  # nothing is written yet
    saved = await house.press(form_of(moved.text), "save")
    assert saved.status_code == 303 and saved.headers["location"] == "/schedules/primary"
    assert house.file.read_text() == FILE.replace("[alice, bob]", "[bob, alice]")
    assert (
        'value="bob" selected'
        in (await house.client.get(PAGE))
        .text.partition('name="0.turn.0"')[2]
        .partition("</select>")[0]
    )


async def test_whoever_has_the_turn_keeps_it_in_another_order(house: House) -> None:
    moved = await house.press({**await house.fields(), "keep_turns": ["1"]}, "down-turn:0:0")
    assert "+" in moved.text and "start: 2025-12-29" in html.unescape(moved.text)
    assert (await house.press(form_of(moved.text), "save")).status_code == 303
    layer = load(house.file).config.schedules["primary"].layers[0]
    assert layer.users == (("bob",), ("alice",))
    assert layer.rotation and layer.rotation.start.isoformat() == "2025-12-29T00:00:00"


async def test_only_what_was_looked_at_is_written(house: House) -> None:
    fields = form_of((await house.press(await house.fields(), "down-turn:0:0")).text)
    answer = await house.press({**fields, "0.every": ["2w"]}, "save")
    assert (
        answer.status_code == 409
        and "look at what it would do" in answer.text
        and house.file.read_text() == FILE
    )
    saved = await house.press(
        form_of(answer.text), "save"
    )  # the answer shows it: now it was looked at
    assert saved.status_code == 303 and "every: 2w" in house.file.read_text()


async def test_a_file_that_was_changed_meanwhile_is_not_overwritten(house: House) -> None:
    fields = form_of((await house.press(await house.fields(), "down-turn:0:0")).text)
    house.file.write_text(FILE.replace("# ours", "# theirs"))
    answer = await house.press(fields, "save")
    assert (
        answer.status_code == 409
        and "has changed since" in answer.text
        and "# theirs" in house.file.read_text()
    )


async def test_what_the_file_would_not_take_is_said_and_cannot_be_saved(house: House) -> None:
    answer = await house.press({**await house.fields(), "0.every": ["often"]}, "preview")
    assert (
        answer.status_code == 200
        and "The file would not load" in answer.text
        and 'id="do-save"' not in answer.text
    )
    saved = await house.press(form_of(answer.text), "save")
    assert saved.status_code == 422 and house.file.read_text() == FILE


async def test_a_file_that_is_read_only_is_shown_as_a_difference_to_copy(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.access", lambda path, mode: False)  # root may write everything
    answer = await house.press(await house.fields(), "down-turn:0:0")
    assert (
        "The file cannot be written from here." in answer.text and 'id="do-save"' not in answer.text
    )
    assert "+      - {name: weekly, users: [bob, alice]" in html.unescape(answer.text)


async def test_a_layer_is_added_with_people_who_are_on_call_together(house: House) -> None:
    fields = form_of((await house.press(await house.fields(), "add-layer")).text)
    fields |= {
        "1.name": ["nights"],
        "1.turn.0": ["alice", "bob"],
        "1.every": ["1d"],
        "1.start": ["2026-01-05T22:00"],
    }
    shown = await house.press(fields, "preview")
    assert (await house.press(form_of(shown.text), "save")).status_code == 303
    assert load(house.file).config.schedules["primary"].layers[1].users == (("alice", "bob"),)
    assert "# Mondays" in house.file.read_text()


async def test_nothing_changed_says_so(house: House) -> None:
    assert "Nothing changes." in (await house.press(await house.fields(), "preview")).text


async def test_hostile_words_in_the_form_are_text(house: House) -> None:
    answer = await house.press(
        {**await house.fields(), "0.name": ["<script>alert(1)</script>"], "0.turn.0": ["<b>x</b>"]},
        "preview",
    )
    assert (
        answer.status_code == 200
        and "<script>alert" not in answer.text
        and "<b>x" not in answer.text
    )


async def test_those_of_another_team_may_not_even_try(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    fields = await house.fields()
    app = house.client._transport.app  # type: ignore[attr-defined]

    async def as_stranger(scope, receive, send):  # type: ignore[no-untyped-def]
        set_principal(scope, Principal(user="bob", role="responder", via="session"))
        await app(scope, receive, send)

    monkeypatch.setattr(house.client._transport, "app", as_stranger)
    assert (await house.client.get(PAGE)).status_code == 403
    assert (await house.press(fields, "preview")).status_code == 403
    assert "Change the layers" not in (await house.client.get("/schedules/primary")).text


async def test_the_audit_log_names_who_saved_them_and_has_no_previews(
    house: House, site: Site
) -> None:
    house.client.cookies.set(USER_COOKIE, "alice")
    moved = await house.press(await house.fields(), "down-turn:0:0")
    assert (await audit.find(site.context.wire)).entries == []
    assert (await house.press(form_of(moved.text), "save")).status_code == 303
    [entry] = (await audit.find(site.context.wire)).entries
    assert entry.user == "alice" and "Alice Ash" in (await house.client.get("/admin")).text
    words = PhraseRenderer(load_texts("en")).text(entry.what)
    assert words == "changed layers of schedule primary in the file"


async def test_too_many_fields_are_refused(house: House) -> None:
    answer = await house.client.post(PAGE, data={f"{n}.x": "y" for n in range(3000)})
    assert answer.status_code == 400
