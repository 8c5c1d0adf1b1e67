"""A receiver's message, previewed on an alert that fires, by page and API."""

from __future__ import annotations

import asyncio
import html
import re
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from amproxy import metrics
from amproxy.config.loader import load
from amproxy.labels.fingerprint import fingerprint
from amproxy.notify.preview import MAX_SHOWN_TEXT
from amproxy.web.policies import receivers
from tests.support.waiting import PATIENCE, soon
from tests.support.web.edited import signed_in, words
from tests.support.web.muted import push
from tests.support.web.pages import BIDI, SCRIPT, Tags
from tests.support.web.website import Site

HOOK = "https://hooks.example.org/services/T0/quite&secret"
FILE = f"""
templates: [words.tmpl]
route:
  receiver: other
  group_by: [alertname]
  routes:
    - {{receiver: team/chat, matchers: [team="chat"], labels: {{owner: 'of {{{{ .GroupLabels.alertname }}}}'}}}}
receivers:
  - name: team/chat
    slack_configs:
      - api_url: {HOOK}
        send_resolved: true
        title: '{{{{ template "words.title" . }}}} <b>'
        text: 'wrong {{{{ .CommonLabels.team.Missing }}}}'
        pretext: 'Look at {HOOK}'
        footer: '{{{{ print "{HOOK}" | urlquery }}}}'
        title_link: 'https://bob:hidden@example.org/{{{{ .CommonLabels.alertname }}}}'
        fallback: '{{{{ range .Alerts }}}}{{{{ .Labels.big }}}}{{{{ end }}}}'
        fields: [{{title: Owner, value: '{{{{ .RouteLabels.owner }}}}', short: true}}]
    telegram_configs: [{{bot_token: '1:tokenoftests', chat_id: 5, parse_mode: HTML, message: '<b>{{{{ .CommonLabels.alertname }}}}</b>'}}]
    webhook_configs: [{{url: '{HOOK}', max_alerts: 1, payload: {{'{{{{ "a" }}}}': '{{{{ len .Alerts }}}}', a: two, b: [x]}}}}]
  - {{name: other, opsgenie_configs: [{{api_key: abcdefgh, message: '{{{{ .Status }}}} {{{{ .CommonAnnotations.summary }}}}'}}]}}
  - {{name: people, oncall_configs: [{{escalation_policy: main}}]}}
  - {{name: nobody}}
users: [{{name: alice, contacts: {{console: here}}}}]
escalation_policies: [{{name: main, steps: [{{notify: {{users: [alice]}}}}]}}]
"""
WORDS = (
    '{{ define "words.title" }}{{ .Alerts.Firing | len }} of {{ .CommonLabels.alertname }}{{ end }}'
)
DOWN = {"alertname": "Down", "team": "chat", "instance": "db1"}
API = "/api/v1/receivers/team/chat/preview"


@pytest.fixture
async def chat(site: Site, tmp_path: Path) -> AsyncIterator[Site]:
    (tmp_path / "words.tmpl").write_text(WORDS, "utf-8")
    (tmp_path / "routes.yaml").write_text(FILE, "utf-8")
    site.context.use_config(load(tmp_path / "routes.yaml").config)
    yield site


async def previewed(site: Site, address: str = API, **query: str) -> dict[str, Any]:
    answer = await site.client.get(address, params=query)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def text_of(found: dict[str, Any], integration: str, key: str) -> dict[str, Any]:
    [texts] = [one["texts"] for one in found["integrations"] if one["integration"] == integration]
    [text] = [one for one in texts if one["key"] == key]
    return dict(text)


async def test_the_texts_are_those_of_the_group_of_an_alert_that_fires(chat: Site) -> None:
    await push(chat, DOWN, {**DOWN, "instance": "db2"}, {"alertname": "Full", "team": "db"})
    found = await previewed(chat, alert=fingerprint(DOWN))
    assert (found["alert"], found["routed"]) == (fingerprint(DOWN), True)
    assert (found["group_labels"], found["firing"]) == ({"alertname": "Down"}, 2)
    title = text_of(found, "slack/0", "title")
    assert title["template"] == '{{ template "words.title" . }} <b>'
    assert title["text"] == "2 of Down <b>"
    assert title["characters"] == len(title["text"])
    assert text_of(found, "slack/0", "fields[0].value")["text"] == "of Down"
    assert text_of(found, "slack/0", "color")["text"] == "danger"
    assert text_of(found, "slack/0", "color")["default"]
    assert text_of(found, "telegram/0", "message")["text"] == "<b>Down</b>"
    payload = text_of(found, "webhook/0", "payload")  # two of its keys became the same
    assert payload["text"] == "payload.a: two\npayload.b[0]: x"


async def test_a_text_that_fails_is_marked_and_the_default_stands_in_but_no_alarm_is_raised(
    chat: Site,
) -> None:
    await push(chat, DOWN)
    failures = metrics.template_failures.labels("slack", "team/chat")
    before = failures._value.get()
    text = text_of(await previewed(chat), "slack/0", "text")
    assert "can't evaluate field Missing" in text["error"]
    assert text["replaced"] and "Missing" not in text["text"]
    page = (await chat.client.get("/receivers/team/chat")).text
    said = words(page)
    assert "1 text fails" in said and "can't evaluate field Missing" in said
    assert "The default text in its place" in said
    assert failures._value.get() == before, "nothing was sent"


async def test_secrets_are_shown_to_nobody(chat: Site) -> None:
    await push(chat, DOWN)
    found = await previewed(chat)
    for integration, key in (("slack/0", "pretext"), ("slack/0", "footer"), ("webhook/0", "url")):
        hidden = text_of(found, integration, key)
        assert hidden["template"] is hidden["text"] is None, key
    assert text_of(found, "slack/0", "title_link")["text"] == "https://xxxxx@example.org/Down"
    async with signed_in(chat, role="viewer", user="vic") as viewer:
        for path in (API, "/receivers/team/chat"):
            answer = await viewer.get(path)
            assert answer.status_code == 200
            shown = html.unescape(answer.text)
            assert not re.search("quite.{1,10}secret|tokenoftests|hidden@", shown), path
    assert "Not shown: it is a secret" in words(shown)


async def test_without_an_alert_the_newest_of_the_receiver_counts_and_else_an_example(
    chat: Site,
) -> None:
    example = await previewed(chat, "/api/v1/receivers/other/preview")
    assert (example["alert"], example["firing"], example["resolved"]) == (None, 1, 1)
    assert text_of(example, "opsgenie/0", "message")["text"] == "firing An example"
    page = words((await chat.client.get("/receivers/other")).text)
    assert "Nothing fires: the texts below are for an example." in page
    assert "1 alert fires, 1 alert is over" in page
    await push(chat, DOWN)
    chat.clock[0] += 60
    await push(chat, {**DOWN, "alertname": "Newer"}, {"alertname": "Full"})
    assert (await previewed(chat))["group_labels"] == {"alertname": "Newer"}
    other = await previewed(chat, "/api/v1/receivers/other/preview", alert=fingerprint(DOWN))
    assert (other["group_labels"], other["routed"]) == ({"alertname": "Down"}, False)
    page = (await chat.client.get("/receivers/other", params={"alert": fingerprint(DOWN)})).text
    assert "This alert goes to other receivers." in page


async def test_alerts_are_searched_by_a_form_and_chosen_by_a_link(chat: Site) -> None:
    many = [{**DOWN, "instance": f"web{number:02}"} for number in range(30)]
    await push(chat, DOWN, *many)
    page = (await chat.client.get("/receivers/team/chat")).text
    assert page.count("?alert=") == 20 and "and 11 more" in words(page)
    page = (
        await chat.client.get("/receivers/team/chat", params={"search": 'Instance="WEB07" down'})
    ).text
    [link] = re.findall(r'href="(/receivers/team/chat\?alert=[^"]+)"', page)
    assert f"alert={fingerprint(many[7])}&amp;search=" in link
    chosen = (await chat.client.get(html.unescape(link))).text
    assert "shown below" in words(chosen)
    none = await chat.client.get("/receivers/team/chat", params={"search": "nowhere"})
    assert "No alert that fires has all these words." in none.text


async def test_a_slow_template_keeps_nobody_from_reading_alerts(
    chat: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    await push(chat, DOWN)
    entered, go_on = threading.Event(), threading.Event()
    fill = receivers._fill

    def slowly(*given: Any) -> Any:
        entered.set()
        assert go_on.wait(PATIENCE)
        return fill(*given)

    monkeypatch.setattr(receivers, "_fill", slowly)
    page = asyncio.create_task(previewed(chat))
    await soon(entered.is_set)
    assert not chat.context.big_read.locked()
    groups = await chat.client.get("/api/v2/alerts/groups")
    assert groups.status_code == 200 and len(groups.json()) == 1
    go_on.set()
    assert (await page)["receiver"] == "team/chat"


async def test_a_receiver_that_is_gone_and_an_alert_that_is_over_are_not_found(chat: Site) -> None:
    await push(chat, DOWN)
    for path in ("/receivers/gone", "/api/v1/receivers/gone/preview", f"{API}?alert=0123"):
        assert (await chat.client.get(path)).status_code == 404, path
    answer = await chat.client.get(f"{API}?alert=0123")
    assert answer.json()["code"] == "alert_not_firing", answer.text
    page = (await chat.client.get("/receivers/team/chat?alert=0123")).text
    assert "does not fire any more" in page and "1 of Down" in page


async def test_receivers_without_texts_say_whom_they_tell(chat: Site) -> None:
    people = (await chat.client.get("/receivers/people")).text
    assert "/policies/main" in people and "pages people by the policy main" in words(people)
    assert "tells nobody" in (await chat.client.get("/receivers/nobody")).text
    [oncall] = (await previewed(chat, "/api/v1/receivers/people/preview"))["integrations"]
    assert (oncall["integration"], oncall["texts"]) == ("oncall/0", [])


async def test_every_receiver_can_be_reached_from_the_routes(chat: Site) -> None:
    page = (await chat.client.get("/routes")).text
    for name in ("team/chat", "other", "people", "nobody"):
        assert f'/receivers/{name}"' in page, name


@pytest.mark.parametrize("evil", [SCRIPT, BIDI], ids=["script", "bidi"])
async def test_hostile_texts_and_markup_are_shown_as_they_are_written(
    chat: Site, evil: str
) -> None:
    labels = {**DOWN, "alertname": evil, "big": "B" * 3 * MAX_SHOWN_TEXT}
    await push(chat, labels)
    answer = await chat.client.get(
        f"/receivers/team/chat?search={quote(evil[:100])}&alert={quote(evil)}"
    )
    tags = Tags()
    tags.feed(answer.text)
    assert not [tag for tag, _ in tags.seen if tag in ("b", "img")]
    assert not [
        tag for tag, at in tags.seen if any(name.startswith("on") or name == "style" for name in at)
    ]
    scripts = [at.get("src") or "" for tag, at in tags.seen if tag == "script"]
    assert scripts and all(src.startswith("/static/") for src in scripts)
    assert not set("\u202e\u2066\x00\x1b") & set(answer.text)
    assert "(the first part of 30,000 characters)" in words(answer.text)
    assert len(answer.text) < 90_000
    fallback = text_of(await previewed(chat), "slack/0", "fallback")
    assert (len(fallback["text"]), fallback["characters"]) == (MAX_SHOWN_TEXT, 3 * MAX_SHOWN_TEXT)
