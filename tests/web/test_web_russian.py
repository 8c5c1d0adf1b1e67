"""Every page in every state, read in Russian: no English, no wrong count, no clock but the reader's.

One real service with people who sign in, filled once; pages are asked for by plain HTTP.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from msgspec.structs import replace

from amproxy.text import TEXT_FOLDER, load_entries
from tests.support.servers import Server, Servers
from tests.support.signin.signed import CHEAP, PASSWORD, Browser
from tests.support.waiting import until
from tests.support.web.pages import plain
from tests.support.web.russian import clock_times, english, wrong_counts
from tests.support.web.website import Site

pytestmark = pytest.mark.clock

FAR, NEAR = "Asia/Kathmandu", "Europe/Berlin"  # the clocks of the two admins
ROUTES = f"""
route:
  receiver: zqteam
  group_by: [alertname]
  group_wait: 50ms
  routes: [{{receiver: zqother, matchers: [team="zqred"], active_time_intervals: [zqoffice]}}]
receivers:
  - {{name: zqteam, oncall_configs: [{{escalation_policy: zqmain}}]}}
  - {{name: zqother, oncall_configs: [{{escalation_policy: zqspare}}]}}
  - name: zqchat
    webhook_configs: [{{url: 'http://127.0.0.1:9/zq'}}]
users:
  - {{name: zqfar, full_name: Zqfar Zqfarov, timezone: {FAR}, role: admin, password_hash: 'HASH', contacts: {{console: zqone, phone: '+1 555'}}}}
  - {{name: zqnear, timezone: {NEAR}, role: admin, password_hash: 'HASH', contacts: {{console: zqtwo}}, quiet_hours: [zqoffice]}}
  - {{name: zqrob, role: responder, timezone: {FAR}, password_hash: 'HASH', contacts: {{email: zq@zq.example}}}}
  - {{name: zqvic, role: viewer, timezone: {FAR}, password_hash: 'HASH'}}
teams: [{{name: zqred, members: [zqrob]}}, {{name: zqblue, members: [zqfar, zqnear]}}]
time_intervals:
  - name: zqoffice
    time_intervals: [{{weekdays: ['monday:friday'], times: [{{start_time: '09:00', end_time: '18:00'}}]}}]
schedules:
  - name: zqplan
    team: zqblue
    timezone: {FAR}
    layers: [{{name: zqlayer, users: [zqfar, zqnear], rotation: {{every: 1d, start: 2026-01-05T09:00}}}}]
  - {{name: zqgaps, timezone: {FAR}, layers: [{{name: zqhours, users: [zqrob], active_time_intervals: [zqoffice]}}]}}
escalation_policies:
  - name: zqmain
    team: zqblue
    repeat: 2
    acknowledge_timeout: 4h
    acknowledge_reminder: 30m
    auto_resolve: 3d
    reopen_within: 10m
    flapping: {{more_than: 1, within: 1h, hold: 5m}}
    storm: {{more_than: 21, within: 5m}}
    steps:
      - notify: {{schedule: zqplan}}
      - wait: 5m
      - notify: {{schedule: zqplan, position: next}}
        matchers: [severity="zqhigh"]
      - wait_for_alerts: {{more_than: 3, within: 10m}}
      - notify: {{team: zqblue, urgency: important, pick: round_robin}}
        active_time_intervals: [zqoffice]
      - wait_until: zqoffice
      - webhook: zqchat
      - forward: zqspare
  - {{name: zqspare, team: zqred, if_nobody: {{user: zqfar}}, steps: [{{notify: {{users: [zqrob]}}}}, {{wait: 1h}}, {{resolve: true}}]}}
maintenance_windows: [{{name: zqwindow, matchers: [alertname="Zqlater"], active_time_intervals: [zqoffice]}}]
heartbeats: [{{name: zqbeat, every: 1d}}]
sign_in: {{passwords: true}}
""".replace("HASH", CHEAP.hash(PASSWORD))


@dataclass
class World:
    server: Server
    redis: Server
    far: Browser
    near: Browser
    ids: dict[str, str] = field(default_factory=dict)  # what an incident shows → its id

    def browser(self, user: str) -> Browser:
        return Browser(self.server, **{"Accept-Language": "ru"}).signed_in(user)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with Servers(tmp_path_factory.mktemp("russian")) as servers:
        redis = servers.redis_server()
        server = servers.amproxy(ROUTES, redis_url=redis.url)
        russian = {"Accept-Language": "ru"}
        far = Browser(server, **russian).signed_in("zqfar")
        near = Browser(server, **russian).signed_in("zqnear")
        made = World(server, redis, far, near)
        _fill(made)
        yield made
        for browser in (far, near):
            browser.close()


def _alert(name: str, **labels: str) -> dict[str, Any]:
    return {
        "labels": {"alertname": name, "severity": "zqhigh", **labels},
        "annotations": {"summary": f"Zqsummary zqof {name.lower()}"},
    }


def _fill(world: World) -> None:
    far = world.far
    names = ("Zqopen", "Zqtaken", "Zqsnoozed", "Zqclosed", "Zqmerged", "Zqover", "Zqhidden")
    token = far.post("/api/v1/tokens", json={"name": "zqtoken", "scopes": ["admin"]}).json()
    program = httpx.Client(
        base_url=world.server.url,
        headers={"Authorization": f"Bearer {token['token']}"},
        trust_env=False,
        timeout=60,
    )
    firing = [_alert(name) for name in names]
    firing += [_alert("Zqopen", instance=f"zq{number}") for number in range(4)]
    assert program.post("/api/v2/alerts", json=firing).status_code == 200

    def opened() -> bool:
        found = far.get("/api/v1/incidents").json()["incidents"]
        world.ids = {one["group_labels"].get("alertname", ""): one["id"] for one in found}
        return set(names) <= set(world.ids)

    until(opened, why="not every incident was opened")
    ids = world.ids

    def act(name: str, action: str, **body: Any) -> None:
        answer = far.post(f"/api/v1/incidents/{ids[name]}/{action}", json=body)
        assert answer.status_code == 200, answer.text

    act("Zqtaken", "acknowledge", text="zqnote")
    act("Zqsnoozed", "snooze", **{"for": "4h"})
    act("Zqclosed", "resolve")
    act("Zqmerged", "merge", into=ids["Zqopen"])
    act("Zqopen", "note", text="zqnote")
    act("Zqopen", "responders", users=["zqnear"])
    over = _alert("Zqover") | {"endsAt": "2026-01-01T00:00:00Z", "startsAt": "2025-12-31T00:00:00Z"}
    assert program.post("/api/v2/alerts", json=[over]).status_code == 200
    begin = datetime.now(UTC)
    for name, comment, hours in (("Zqhidden", "zqcomment", 2), ("Zqnone", "", 21)):
        matcher = {"name": "alertname", "value": name, "isRegex": False, "isEqual": True}
        silence = {
            "matchers": [matcher],
            "startsAt": begin.isoformat(),
            "endsAt": (begin + timedelta(hours=hours)).isoformat(),
            "createdBy": "zqfar",
            "comment": comment,
        }
        made = program.post("/api/v2/silences", json=silence)
        assert made.status_code == 200, made.text
        ids.setdefault("silence", made.json()["silenceID"])
    window = far.post(
        "/api/v1/maintenance",
        json={"matchers": ['alertname="Zqnone"'], "name": "zqwork", "for": "2h"},
    )
    assert window.status_code == 201, window.text
    ids["window"] = window.json()["id"]
    day = (begin + timedelta(days=2)).date().isoformat()
    plan = "/api/v1/schedules/zqplan"
    for path, body in (
        (f"{plan}/overrides", {"user": "zqnear", "start": f"{day}T10:00", "end": f"{day}T12:00"}),
        (f"{plan}/swaps", {"user": "zqfar", "start": f"{day}T13:00", "end": f"{day}T15:00"}),
        ("/api/v1/users/zqnear/absences", {"start": f"{day}T01:00", "end": f"{day}T02:00"}),
    ):
        answer = far.post(path, json=body)
        assert answer.status_code < 300, f"{path}: {answer.text}"
    program.close()
    until(lambda: far.get(f"/incidents/{ids['Zqopen']}").text.count("delivery sent") >= 1)


PAGES = (
    *(
        "/",
        "/incidents",
        "/schedules",
        "/policies",
        "/routes",
        "/people",
        "/silences",
        "/deliveries",
        "/sources",
    ),
    *("/insights", "/me", "/admin", "/page", "/silences/new"),
    "/incidents?state=resolved",
    "/incidents?state=triggered&state=acknowledged&state=snoozed&state=resolved&select=1",
    "/incidents?text=zqnothing",
    *("/schedules/zqplan", "/schedules/zqgaps", "/schedules/zqplan/layers"),
    *("/schedules/zqplan?view=month", "/schedules/zqplan?view=day"),
    *("/policies/zqmain", "/policies/zqspare", "/change/policy?name=zqmain", "/change/policy"),
    "/policies/zqmain?labels=alertname%3DZqopen%2C%20severity%3Dzqhigh",
    "/routes?labels=alertname%3DZqhidden%2C%20severity%3Dzqhigh",
    "/routes?labels=team%3Dzqred",
    *("/silences?ended=1", "/silences?text=zqnothing", "/silences/new?kind=maintenance"),
    "/silences/new?label=alertname%3D%22Zqopen%22",
    *("/deliveries?outcome=failed", "/deliveries?text=zqnothing", "/insights?span=7d"),
    *("/incidents?done=resolve&n=2", "/?done=test", "/sign-in"),
)
INCIDENTS = ("Zqopen", "Zqtaken", "Zqsnoozed", "Zqclosed", "Zqmerged", "Zqover", "Zqhidden")
# (path, status): what is refused, by the form or address that asks for it.
REFUSED_READING = (
    ("/nothing", 404),
    ("/incidents/zqnone", 404),
    ("/incidents/999", 404),
    ("/schedules/zqnone", 404),
    ("/policies/zqnone", 404),
    ("/silences/zqnone", 404),
    ("/act/zqnonsense", 404),
    ("/incidents?state=zq", 422),
    ("/incidents?label=zq", 422),
    ("/incidents?from=zq", 422),
    ("/incidents?from=2026-01-02T00:00&to=2026-01-01T00:00", 422),
    ("/incidents?from=2026-01-01T00:00&zone=Zq", 422),
    ("/incidents?limit=0", 422),
    ("/incidents?cursor=zq", 422),
    ("/schedules/zqplan?view=zq", 422),
    ("/schedules/zqplan?from=zq", 422),
    ("/schedules/zqplan?zone=Zq", 422),
    ("/insights?span=zq", 422),
    ("/insights?span=0", 422),
    ("/deliveries?outcome=zq", 422),
    ("/silences/new?matchers=zq%20zq&seen=1", 422),
    ("/routes?labels=zq", 200),
    ("/routes?labels=alertname%3DZq&at=zq", 200),
    ("/policies/zqmain?labels=zq!~1", 200),
)
REFUSED_FORMS: tuple[tuple[str, dict[str, Any], int], ...] = (
    ("/incidents/{Zqclosed}/acknowledge", {}, 409),
    ("/incidents/{Zqclosed}/resolve", {}, 409),
    ("/incidents/{Zqopen}/reopen", {}, 409),
    ("/incidents/{Zqopen}/unacknowledge", {}, 409),
    ("/incidents/{Zqmerged}/resolve", {}, 409),
    ("/incidents/{Zqtaken}/acknowledge", {}, 409),
    ("/incidents/{Zqtaken}/resolve", {"epoch": "99"}, 409),
    ("/incidents/{Zqsnoozed}/responders", {"users": "zqnear"}, 409),
    ("/incidents/{Zqopen}/snooze", {"for": "zq"}, 422),
    ("/incidents/{Zqopen}/snooze", {"until": "2020-01-01T00:00"}, 422),
    ("/incidents/{Zqopen}/note", {"text": ""}, 422),
    ("/incidents/{Zqopen}/merge", {}, 422),
    ("/incidents/{Zqopen}/merge", {"into": "#999"}, 422),
    ("/incidents/{Zqopen}/reassign", {}, 422),
    ("/incidents/{Zqopen}/reassign", {"to": "team:zqnone"}, 422),
    ("/incidents/{Zqopen}/responders", {"to": "policy:zqmain"}, 422),
    ("/incidents/bulk", {"action": "acknowledge"}, 422),
    ("/incidents/bulk", {"action": "zq"}, 422),
    ("/incidents/bulk", {"action": "acknowledge", "id": "zqnone"}, 409),
    ("/page", {"title": "", "users": "zqnear"}, 422),
    ("/page", {"title": "zq"}, 422),
    ("/page", {"title": "z" * 2000, "users": "zqnear"}, 422),
    ("/silences/new", {"matchers": ""}, 422),
    ("/silences/new", {"matchers": "zq zq"}, 422),
    (
        "/schedules/zqplan/overrides",
        {"user": "", "start": "2030-01-01T10:00", "end": "2030-01-01T11:00"},
        422,
    ),
    (
        "/schedules/zqplan/overrides",
        {"user": "zqnear", "start": "2030-01-01T10:00", "end": "2030-01-01T09:00"},
        422,
    ),
    ("/schedules/zqplan/overrides", {"user": "zqnear", "start": "zq", "end": "zq"}, 422),
    (
        "/schedules/zqplan/swaps",
        {"user": "zqfar", "start": "2020-01-01T10:00", "end": "2020-01-01T11:00"},
        422,
    ),
    ("/me/absences", {"start": "2030-01-02T10:00", "end": "2030-01-01T10:00"}, 422),
    ("/people/zqnear/absences", {"start": "zq", "end": "zq"}, 422),
    ("/admin/tokens", {"name": ""}, 422),
    ("/admin/tokens", {"name": "zq", "scopes": "read", "expires": "2020-01-01T00:00"}, 422),
    ("/change/apply", {"change": "zq"}, 422),
)


def faults(page: str) -> list[str]:
    return [
        *([] if '<html lang="ru">' in page else [page[:300]]),
        *english(page),
        *wrong_counts(page),
    ]


def everywhere(world: World) -> list[str]:
    ids = world.ids
    return [
        *PAGES,
        *(f"/incidents/{ids[name]}?why={who}" for name in INCIDENTS for who in ("zqrob", "zqvic")),
        f"/silences/{ids['silence']}",
        f"/silences/windows/{ids['window']}",
    ]


def test_every_page_in_every_state_speaks_russian(world: World) -> None:
    found = []
    for path in everywhere(world):
        answer = world.far.get(path, follow_redirects=True)
        found += [f"{path}: {answer.status_code}"] if answer.status_code != 200 else []
        found += [f"{path}: {fault}" for fault in faults(answer.text)]
    assert not found, "\n".join(found)


def test_every_refusal_speaks_russian(world: World) -> None:
    found = []
    for path, status in REFUSED_READING:
        answer = world.far.get(path)
        found += [f"{path}: {answer.status_code}"] if answer.status_code != status else []
        found += [f"{path}: {fault}" for fault in faults(answer.text)]
    for form, fields, status in REFUSED_FORMS:
        path = re.sub(r"\{(\w+)\}", lambda name: world.ids[name[1]], form)
        answer = world.far.post(path, data=fields)
        found += [f"{path} {fields}: {answer.status_code}"] if answer.status_code != status else []
        found += [f"{path} {fields}: {fault}" for fault in faults(answer.text)]
    malformed = world.far.post(
        "/page", content=b"\xff", headers={"Content-Type": "application/x-www-form-urlencoded"}
    )
    assert malformed.status_code == 400
    too_long = world.far.post("/page", data={"title": "z" * 70_000})
    assert too_long.status_code == 413
    found += [*faults(malformed.text), *faults(too_long.text)]
    for user, path, data in (
        ("zqvic", "/admin", None),
        ("zqvic", f"/incidents/{world.ids['Zqopen']}/acknowledge", {"epoch": "1"}),
        ("zqrob", "/schedules/zqplan/overrides", {"user": "zqrob"}),
        ("zqrob", "/people/zqfar/test", {}),
    ):
        browser = world.browser(user)
        answer = browser.get(path) if data is None else browser.post(path, data=data)
        browser.close()
        found += [f"{path}: {answer.status_code}"] if answer.status_code != 403 else []
        found += [f"{path}: {fault}" for fault in faults(answer.text)]
    with Browser(world.server, **{"Accept-Language": "ru"}) as stranger:
        found += faults(stranger.sign_in("zqfar", "wrong").text)
    assert not found, "\n".join(found)


def test_what_is_wrong_with_the_file_is_said_in_russian(world: World) -> None:
    """Warnings of the file, a reload that fails, and the preview of a change that would not load."""
    file, found = world.server.config, []
    assert file
    route = '{receiver: zqother, matchers: [team="zqred"]'
    doubtful = ROUTES.replace(route, f"{route}}}, {route}")
    broken = ROUTES.replace("group_wait: 50ms", "group_wait: zqsoon\n  zqkey: 1")
    broken = broken.replace("- wait: 5m", "- zqwait: 5m")
    try:
        file.write_text(doubtful, "utf-8")
        warned = world.far.get("/admin").text
        assert "под этот маршрут ничего не подходит" in plain(warned)
        for text, words in ((broken, "неизвестный ключ"), ("route: [", "это не YAML")):
            file.write_text(text, "utf-8")
            refused = world.far.post("/admin/reload")
            assert refused.status_code == 422 and words in plain(refused.text)
            found += faults(refused.text) if words != "это не YAML" else []
        found += faults(warned)
    finally:
        file.write_text(ROUTES, "utf-8")
    steps = [{"notify": {"schedule": "zqnone"}}, {"wait": "zqlong"}]
    change = {"section": "escalation_policies", "name": "zqmain", "set": {"steps": steps}}
    preview = world.far.post("/change/apply", data={"change": json.dumps(change), "digest": ""})
    assert preview.status_code == 409 and "расписания 'zqnone' нет" in plain(preview.text)
    found += faults(preview.text)
    assert world.far.post("/admin/reload").status_code == 303
    assert not found, "\n".join(found)


def test_every_time_is_on_its_readers_clock_or_has_its_zone(world: World) -> None:
    """Of the same page for readers of two zones, no time may be the same without its zone."""
    same = []
    # what a reader sees of a schedule's own clock names it beside the times
    for path in everywhere(world):
        if path.startswith(("/schedules", "/me", "/people", "/page")):
            continue
        far, near = (
            clock_times(one.get(path, follow_redirects=True).text)
            for one in (world.far, world.near)
        )
        same += [
            f"{path}: {a} in {words!r}"
            for (a, words), (b, _) in zip(far, near, strict=False)
            if a == b
        ]
    assert not same, "\n".join(same)


async def test_a_reader_who_is_nobody_has_the_clock_of_the_browser(site: Site) -> None:
    """Incident at 10:00 UTC; the site's schedules have two zones, so that UTC is the last resort."""
    path = f"/incidents/{(await site.opened()).id}"

    async def times(zone: str = "", **headers: str) -> tuple[list[str], str]:
        cookies = {"Cookie": f"amproxy_zone={zone}; amproxy_language=ru"}
        page = (await site.client.get(path, headers={**cookies, **headers})).text
        assert f'data-zone="{zone if zone in (FAR, NEAR) else ""}"' in page
        return [at for at, _ in clock_times(page)][:1], plain(page)

    assert (await times(FAR))[0] == ["15:45"] and "часам: Kathmandu." in (await times(FAR))[1]
    assert (await times(NEAR, **{"X-Live": "1000"}))[0] == ["11:00"]
    assert (await times(FAR, **{"X-Live": "1000"}))[0] == ["15:45"], "one rendering for two clocks"
    for unknown in ("", "Mars/Olympus", "../../etc/passwd", "Europe", "%00", "z" * 4000):
        at, words = await times(unknown)
        assert at == ["10:00"] and "часам: UTC; скажите, кто вы" in words
    schedules = site.context.config.schedules
    shared = {name: replace(one, timezone=NEAR) for name, one in schedules.items()}
    site.context.use_config(replace(site.context.config, schedules=shared))
    at, words = await times()
    assert at == ["11:00"] and "часам: Berlin; скажите, кто вы" in words


def test_while_redis_is_away_pages_say_so_in_russian(world: World) -> None:
    world.redis.kill()
    try:

        def away() -> str:
            answer = world.far.get("/")
            return answer.text if answer.status_code == 503 else ""

        assert faults(until(away, why="no page said that Redis is away")) == []
    finally:
        world.redis.start()


# One term, one Russian word: (what must not stand anywhere in ru.toml, what stands instead).
GLOSSARY = (
    (r"[Гг]орит|[Гг]орящ|загор|прогор|горени", "активен"),
    (r"\b[Рр]ешён|\b[Рр]ешить|\b[Рр]ешен[оаы]\b|решения\b", "закрыт, закрыть"),
    (r"\b[Сс]лит[ьао]?\b|влит", "объединён, объединить"),
    (r"[Оо]чередь\b|[Оо]череди\b(?<!по очереди)", "смена"),
    (r"[Дд]остуч", "связаться"),
    (r"мигани", "частые повторы"),
    (r"\bпо \{\w+\}$", "до"),
    (r"таким путём", "такой маршрут"),
    (r"[Кк]ак быстро", "время ответа"),
    (r"\bдыр", "пробел"),
    (r"в отъезде", "отсутствует"),
    (r"оповещен", "алерт"),
    (r"вестей", "данных"),
)


def test_each_term_has_one_russian_word() -> None:
    words = tomllib.loads(Path(TEXT_FOLDER / "ru.toml").read_text("utf-8"))
    texts = [
        (f"{section}.{name}", text)
        for section, names in words.items()
        for name, entry in names.items()
        for text in ([entry] if isinstance(entry, str) else entry.values())
    ]
    wrong = [
        f"{key}: {text!r}: say {instead}"
        for key, text in texts
        for pattern, instead in GLOSSARY
        if re.search(pattern, text)
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    ("keys", "word"),
    [
        (("state.triggered", "incident.alert_firing"), "Активен"),
        (("incident.alert_resolved",), "Завершён"),
        (("state.resolved",), "Закрыт"),
        (("incident.resolve", "act.resolve", "change.kind_resolve"), "Закрыть"),
        (("incident.unacknowledge", "act.unacknowledge"), "Отказаться"),
        (("incident.escalate", "act.escalate"), "Эскалировать"),
        (("incident.merge",), "Объединить"),
        (("incident.acknowledge", "act.acknowledge"), "Принять"),
        (("incident.snooze", "act.snooze"), "Отложить"),
        (("routes.explain",), "Почему такой маршрут?"),
        (("routes.one_group",), "Одна общая группа"),
        (("insights.heading_times",), "Время ответа"),
    ],
)
def test_what_is_the_same_is_called_the_same(keys: tuple[str, ...], word: str) -> None:
    entries = load_entries("ru")
    assert {entries[key] for key in keys} == {word}
