"""The pages of policies and routes, and the form that changes a policy, as a browser without scripts uses them."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from amproxy.config.loader import load
from amproxy.labels.matchers import parse_matcher
from amproxy.model import Silence
from amproxy.respond.muting import put_silence
from amproxy.web.policies.edit import (
    STEP_KINDS,
    apply_button,
    changed_keys,
    draft_from_file,
    draft_from_form,
)
from tests.support.web.edited import FILE, form, signed_in, words
from tests.support.web.website import Site

RICH = FILE.replace(
    "      - wait: 5m          # then the rest\n",
    "      - wait: 5m          # then the rest\n"
    "      - {notify: {team: ops, urgency: important}, matchers: ['severity=\"critical\"'], if_nobody: {user: bob}}\n",
)


async def test_every_policy_is_told_in_sentences_with_where_it_is_used(edits: Site) -> None:
    page = await edits.client.get("/policies")
    said = words(page.text)
    assert "1 Page who is on call for primary 2 Wait 5 min 3 Page bob" in said
    assert 'receiver r everything else team="ops"' in said
    assert "+5 min" in page.text and "<svg" in page.text
    russian = words((await edits.client.get("/policies", headers={"Accept-Language": "ru"})).text)
    assert "Вызвать дежурного по расписанию primary" in russian and "Подождать 5 мин" in russian


async def test_a_policy_is_tried_out_on_labels_from_the_address(edits: Site) -> None:
    said = words(
        (
            await edits.client.get(
                "/policies/main", params={"labels": "alertname=Down", "at": "2026-01-06T10:00"}
            )
        ).text
    )
    assert re.search(
        r"at once 10:00 Alice Ash over console 1 Page who is on call for primary", said
    )
    assert re.search(r"\+5 min 10:05 bob over console 3 Page bob", said)
    assert "No step is left, and nobody has answered." in said
    wrong = await edits.client.get("/policies/main", params={"labels": 'a=~"x"'})
    assert wrong.status_code == 200 and "only = can stand here" in wrong.text
    assert (await edits.client.get("/policies/nowhere")).status_code == 404


async def test_the_form_of_a_policy_sent_back_as_it_is_changes_nothing(
    edits: Site, routes_file: Path
) -> None:
    routes_file.write_text(RICH, "utf-8")
    edits.context.use_config(load(routes_file).config)
    fields = form(
        (await edits.client.get("/change/policy", params={"name": "main"})).text, "/change/policy"
    )
    answer = await edits.client.post("/change/policy", data={**fields, "do": "preview"})
    assert answer.status_code == 200 and "Nothing changes." in answer.text


async def test_steps_are_added_moved_and_deleted_by_buttons_shown_and_then_written(
    edits: Site, routes_file: Path
) -> None:
    async def press(fields: dict[str, Any], do: str) -> httpx.Response:
        return await edits.client.post("/change/policy", data={**fields, "do": do})

    fields = form(
        (await edits.client.get("/change/policy", params={"name": "main"})).text, "/change/policy"
    )
    fields = form((await press(fields, "add team")).text, "/change/policy")
    assert fields["s3-kind"] == ["team"] and fields["s3-target"] == ["ops"]
    fields["s3-matchers"] = ['severity="critical"']
    fields = form((await press(fields, "up 3")).text, "/change/policy")
    assert fields["s2-kind"] == ["team"] and fields["s2-matchers"] == ['severity="critical"']
    fields = form((await press(fields, "delete 3")).text, "/change/policy")
    assert "s3-kind" not in fields
    fields["s1-length"], fields["repeat"] = ["7m"], ["2"]
    shown = await press(fields, "preview")
    said = words(shown.text)
    assert "+ - wait: 7m # then the rest" in said and "- - notify: {users: [bob]}" in said
    assert routes_file.read_text("utf-8") == FILE
    hidden = form(shown.text, "/change/apply")
    applied = await edits.client.post("/change/apply", data=hidden)
    assert applied.status_code == 303 and applied.headers["location"] == "/policies"
    assert routes_file.read_text("utf-8").endswith(
        "  - name: main\n    team: ops\n    repeat: 2\n    steps:\n      - notify: {schedule: primary}\n"
        "      - wait: 7m          # then the rest\n"
        '      - notify: {team: ops}\n        matchers: [severity="critical"]\n'
    )
    assert edits.context.config.policies["main"].repeat == 2
    late = await edits.client.post("/change/apply", data=hidden)
    assert late.status_code == 409 and "has changed since" in late.text


async def test_what_would_not_load_leads_back_to_the_form_with_what_was_written(
    edits: Site, routes_file: Path
) -> None:
    fields = form(
        (await edits.client.get("/change/policy", params={"name": "main"})).text, "/change/policy"
    )
    fields["s1-length"] = ["soon"]
    answer = await edits.client.post("/change/policy", data={**fields, "do": "preview"})
    assert answer.status_code == 422 and "not a valid duration" in answer.text
    assert (
        form(answer.text, "/change/policy")["s1-length"] == ["soon"]
        and routes_file.read_text("utf-8") == FILE
    )


async def test_a_new_policy_is_added_and_a_used_one_is_not_deleted(edits: Site) -> None:
    fields = form((await edits.client.get("/change/policy")).text, "/change/policy")
    fields["name"] = ["night"]
    assert "+ - name: night" in words(
        (await edits.client.post("/change/policy", data={**fields, "do": "preview"})).text
    )
    fields = form(
        (await edits.client.get("/change/policy", params={"name": "main"})).text, "/change/policy"
    )
    answer = await edits.client.post("/change/policy", data={**fields, "do": "remove"})
    assert (
        answer.status_code == 422 and "there is no escalation policy &#39;main&#39;" in answer.text
    )


async def test_a_file_that_cannot_be_written_shows_the_lines_to_copy(
    edits: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("amproxy.edit.change.os.access", lambda path, mode: False)
    fields = form(
        (await edits.client.get("/change/policy", params={"name": "main"})).text, "/change/policy"
    )
    fields["repeat"] = ["1"]
    page = (await edits.client.post("/change/policy", data={**fields, "do": "preview"})).text
    assert (
        "The file cannot be written from here." in page
        and 'id="apply"' not in page
        and "repeat: 1" in page
    )


async def test_only_who_may_change_a_policy_gets_its_form(edits: Site) -> None:
    async with signed_in(edits, user="bob", role="responder") as client:
        assert "/change/policy?name=main" not in (await client.get("/policies/main")).text
        assert (await client.get("/change/policy", params={"name": "main"})).headers[
            "location"
        ] == "/policies/main"
        assert (
            await client.post("/change/policy", data={"policy": "main", "do": "redraw"})
        ).status_code == 403
    async with signed_in(edits, user="alice", role="responder", teams=frozenset(["ops"])) as client:
        assert "/change/policy?name=main" in (await client.get("/policies/main")).text


async def test_the_tree_of_routes_shows_the_way_of_an_alert_and_whom_it_pages(edits: Site) -> None:
    plain = words((await edits.client.get("/routes")).text)
    assert "every alert receiver r → main" in plain and 'team="ops" receiver r → main' in plain
    page = (await edits.client.get("/routes", params={"labels": "alertname=Down, team=ops"})).text
    said = words(page)
    assert 'class="taken"' in page and 'class="passed"' in page and "lands here" in said
    assert "Paged at once Alice Ash over console 1 Page who is on call for primary" in said
    assert re.search(
        r"Not paged at once bob not on call for primary before .* is paged after 5 min over console",
        said,
    )
    elsewhere = (await edits.client.get("/routes", params={"labels": 'team="db"'})).text
    assert 'class="failed"' in elsewhere and "does not hold" in elsewhere


MANY = '{receiver: r, matchers: [service="s%d"], routes: [{receiver: r, matchers: [tier="t%d"]}]}, '


async def test_a_large_tree_shows_the_way_of_what_is_tried_and_folds_the_rest(
    edits: Site, routes_file: Path
) -> None:
    many = "".join(MANY % (n, n) for n in range(40))
    text = FILE.replace("routes: [{", f"routes: [{many}{{", 1)
    assert text != FILE
    routes_file.write_text(text, "utf-8")
    edits.context.use_config(load(routes_file).config)

    async def shown(**query: str) -> str:
        """Of the tree what is not folded away."""
        page = (await edits.client.get("/routes", params=query)).text
        tree = page[page.index('<ul id="tree"') : page.index("</main>")]
        return words(
            re.sub(r"<details><summary>(.*?)</summary>.*?</details>", r"[\1]", tree, flags=re.S)
        )

    tried = await shown(labels="service=s7, tier=t7")
    assert 'service="s7"' in tried and 'tier="t7" lands here' in tried
    assert "[14 routes that it does not take]" in tried
    assert 'service="s8"' not in tried
    found = await shown(text="T21")
    assert 'service="s21"' in found and 'tier="t21"' in found and "[42 more routes]" in found
    assert 'service="s20"' not in found
    assert 'service="s39"' in await shown(), "nothing is folded before somebody asks"
    # nothing is lost for those without scripts: it is folded, and on the page
    page = (await edits.client.get("/routes", params={"text": "T21"})).text
    assert page.partition('<ul id="tree"')[2].count("<code") == 81


async def test_what_mutes_an_alert_is_said(edits: Site, routes_file: Path) -> None:
    text = FILE.replace(
        'matchers: [team="ops"]', 'matchers: [team="ops"], mute_time_intervals: [mornings]'
    )
    text += "time_intervals:\n  - {name: mornings, time_intervals: [{times: [{start_time: '08:00', end_time: '11:00'}]}]}\n"
    routes_file.write_text(text, "utf-8")
    edits.context.use_config(load(routes_file).config)
    assert "Until 11:00 nobody is told: muted by mornings" in words(
        (await edits.client.get("/routes", params={"labels": "team=ops"})).text
    )
    assert (
        "nobody is told"
        not in (
            await edits.client.get(
                "/routes", params={"labels": "team=ops", "at": "2026-01-06T12:00"}
            )
        ).text
    )


async def test_silences_and_windows_made_by_hand_mute_an_alert_that_is_tried_now_or_later(
    edits: Site,
) -> None:
    now = edits.clock[0]
    silence = Silence(
        id="",
        matcher_sets=[[parse_matcher('team="ops"')]],
        starts_ns=int((now + 3600) * 10**9),
        ends_ns=int((now + 7200) * 10**9),
        created_by="eve",
    )
    await put_silence(edits.context, silence)
    asked = {"labels": "alertname=Down, team=ops"}
    free = words((await edits.client.get("/routes", params=asked)).text)
    assert "nobody is told" not in free and "Paged at once Alice Ash" in free
    later = asked | {"at": datetime.fromtimestamp(now + 3700, UTC).isoformat()}
    muted = words((await edits.client.get("/routes", params=later)).text)
    assert "nobody is told: silenced by" in muted and "Paged at once Alice Ash" not in muted
    edits.clock[0] += 3600
    assert "Held back now: silenced by eve until" in words(
        (await edits.client.get("/routes", params=asked)).text
    )


HOSTILE = '"><script>alert(1)</script>\u202e{{ 7*7 }}'


@pytest.mark.parametrize("address", ["/policies/main", "/routes"])
async def test_hostile_labels_do_nothing(edits: Site, address: str) -> None:
    for labels in (
        HOSTILE,
        f'alertname="{HOSTILE.replace(chr(34), "")}"',
        "x" * 60_000,
        'a="' + "y" * 3000 + '"',
    ):
        answer = await edits.client.get(address, params={"labels": labels})
        assert answer.status_code == 200 and "<script>alert" not in answer.text
    assert (
        await edits.client.get(address, params={"labels": "a=b", "at": HOSTILE})
    ).status_code == 200


async def test_hostile_fields_of_the_form_do_nothing(edits: Site) -> None:
    fields = {
        "policy": "main",
        "name": HOSTILE,
        "s0-kind": HOSTILE,
        "s0-target": HOSTILE,
        "s0-matchers": HOSTILE,
        "s1-kind": "users",
        "s1-users": HOSTILE,
    }
    for do in (
        "redraw",
        "preview",
        "up 1",
        "delete 99999999999999999999",
        "add x",
        "up ²",
        HOSTILE,
    ):
        answer = await edits.client.post("/change/policy", data={**fields, "do": do})
        assert answer.status_code in (200, 422) and "<script>alert" not in answer.text
    assert (await edits.client.post("/change/apply", data={"change": HOSTILE})).status_code == 422


@pytest.mark.parametrize("kind", STEP_KINDS)
def test_a_step_of_each_kind_is_written_and_read_again(kind: str) -> None:
    fields = {
        "name": ["x"],
        "s0-kind": [kind],
        "s0-target": ["t"],
        "s0-users": ["a", "b"],
        "s0-turns": ["1"],
        "s0-length": ["5m"],
        "s0-count": ["3"],
    }
    draft = draft_from_form(fields)
    written = changed_keys(draft, {})["steps"]
    again = draft_from_file({"name": "x", "steps": written})
    assert again.steps[0].kind == kind and changed_keys(again, {})["steps"] == written


def test_buttons_move_steps_and_stop_at_the_ends() -> None:
    draft = draft_from_form({"s0-kind": ["wait"], "s0-length": ["1m"], "s1-kind": ["resolve"]})
    assert [step.kind for step in apply_button(draft, "down 0").steps] == ["resolve", "wait"]
    assert apply_button(draft, "up 0") == apply_button(draft, "down 1") == draft
    assert [step.kind for step in apply_button(draft, "delete 0").steps] == ["resolve"]
    assert [step.kind for step in apply_button(draft, "add forward").steps] == [
        "wait",
        "resolve",
        "forward",
    ]


def test_what_the_form_does_not_change_keeps_the_words_of_the_file() -> None:
    entry = {
        "name": "x",
        "repeat": {"times": 2},
        "steps": [{"notify": {"users": ["a"], "pick": "all"}}, {"wait": "300s"}],
    }
    draft = draft_from_file(entry)
    assert changed_keys(draft, entry) == {}
    assert changed_keys(apply_button(draft, "add resolve"), entry) == {
        "steps": [*entry["steps"], {"resolve": True}]
    }  # type: ignore[misc]


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        (None, ("", "")),
        ("severity", ("severity", "")),
        ("never", ("never", "")),
        (['severity="critical"', 'team="a"'], ("matchers", 'severity="critical"\nteam="a"')),
    ],
)
def test_what_pages_anew_stands_in_the_form_and_is_written_back(
    given: object, shown: tuple[str, str]
) -> None:
    entry = {"name": "x", "reopen_on": given} if given else {"name": "x"}
    draft = draft_from_file(entry)
    assert (draft.reopen_on, draft.reopen_matchers) == shown
    assert changed_keys(draft, entry) == {}
    assert changed_keys(draft, {"name": "x"}).get("reopen_on") == given
