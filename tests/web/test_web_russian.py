"""Every page in every state, read in Russian: no English, no wrong count, no clock but the reader's.

One real service with people who sign in, filled once; pages are asked for by plain HTTP.
"""

from __future__ import annotations

import asyncio
import gzip
import html
import json
import re
import time
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from msgspec.structs import replace

from amproxy import clock
from amproxy.accept.v2_alerts import BadAlertsBody
from amproxy.respond.links import SignedLinks
from amproxy.store.leases import load_signing_key
from amproxy.store.sources import Refusal, SourceNews, save_news
from amproxy.store.wire import Wire
from amproxy.text import TEXT_FOLDER, load_entries, load_texts
from amproxy.text.render import render_phrase
from tests.support.accept.pushes import posted_request
from tests.support.calendars.icals import ics
from tests.support.servers import Server, Servers
from tests.support.signin.signed import CHEAP, PASSWORD, Browser
from tests.support.waiting import soon, until
from tests.support.web.edited import form as form_of
from tests.support.web.pages import plain
from tests.support.web.russian import MARK, clock_times, english, wrong_counts
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
  - name: zqfile
    webhook_configs: [{{url_file: /zq/zqnone}}]
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
  - {{name: zqdates, timezone: {FAR}, ical: {{file: ../zqdates.ics}}}}
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

# One event that can be read, and one for each reason why another cannot.
ZQDATES = ics(
    "SUMMARY:zqfar|DTSTART:20260105T090000Z|DTEND:20260106T090000Z|RRULE:FREQ=DAILY",
    *(
        f"SUMMARY:zqevent|{lines}"
        for lines in (
            "DTSTART;TZID=Zq/Zone:20260401T090000|DURATION:PT8H",
            "DTSTART:20260401T090000Z|DTEND:zqsoon",
            "DTSTART:20260401T090000Z|DURATION:-PT1H",
            "DTSTART:20260401T090000Z|DTSTART:20260402T090000Z",
            "DTSTART:20260401T090000Z|RRULE:FREQ=SECONDLY",
            "DTSTART:20260401T090000Z|RRULE:INTERVAL=2",
            "DTSTART:20260401T090000Z|RRULE:FREQ=DAILY;INTERVAL=0",
            "DTSTART:20260401T090000Z|DTEND;VALUE=DATE:20260402",
            "DURATION:P1D",
        )
    ),
)
ZQALERT = {"labels": {"alertname": "Zqrefused"}}
# (source, body, headers): pushes that are refused, of which each source keeps the last.
REFUSED_PUSHES: tuple[tuple[str, Any, dict[str, str]], ...] = (
    ("zqnojson", b"zq {", {}),
    ("zqnumber", 7, {}),
    ("zqnolist", {"alerts": 7}, {}),
    ("zqlost", {"groupKey": "zq"}, {}),
    ("zqnoobject", {"alerts": [7]}, {}),
    ("zqpartly", {"alerts": [ZQALERT, *[{"labels": {}}] * 7]}, {}),
    ("zqdeep", b'{"zq":' * 70 + b"1" + b"}" * 70, {}),
    ("zqgzip", b"zq", {"Content-Encoding": "gzip"}),
    ("zqshort", gzip.compress(b"{}")[:-9], {"Content-Encoding": "gzip"}),
    ("zqbrotli", b"zq", {"Content-Encoding": "br"}),
    (
        "zqform",
        "&".join(f"zq{number}=1" for number in range(1001)).encode(),
        {"Content-Type": "application/x-www-form-urlencoded"},
    ),
    (
        "zqforeign",
        {"alerts": []},
        {"Origin": "http://zq.example", "Sec-Fetch-Site": "cross-site"},
    ),
    ("zqname", {"alerts": []}, {"Host": "zq.example"}),
)
# Bodies of POST /api/v2/alerts, which one source sends.
REFUSED_POSTS = (
    b"",
    b"zq",
    b"7",
    b"[7]",
    b"[null]",
    b"[NaN]",
    b"[{}",
    b'[{"labels": 7}]',
    b'[{"labels": {"zq": 7}}]',
    b'[{"labels": {"zq": "zq"}, "startsAt": "zq"}]',
    b'[{"labels": {"zq": "zq"}, "startsAt": 7}]',
    b'[{"labels": {"zq": "zq"}, "generatorURL": "zq zq"}]',
    b'[{"labels": {"zq": "zq"}, "startsAt": "2026-01-02T00:00:00Z",'
    b' "endsAt": "2026-01-01T00:00:00Z"}]',
    b'[{"labels": {"zq-zq": "zq"}}, {"labels": {}}]',
    b'[{"labels": {}}]',
    b'[{"labels": {"zq": "zq"}, "annotations": {"": "zq"}}]',
)


@dataclass
class World:
    server: Server
    redis: Server
    far: Browser
    near: Browser
    links: SignedLinks
    ids: dict[str, str] = field(default_factory=dict)  # what an incident shows → its id

    def browser(self, user: str) -> Browser:
        return Browser(self.server, **{"Accept-Language": "ru"}).signed_in(user)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("russian")
    (folder / "zqdates.ics").write_bytes(ZQDATES)
    with Servers(folder) as servers:
        redis = servers.redis_server()
        server = servers.amproxy(ROUTES, redis_url=redis.url)
        russian = {"Accept-Language": "ru"}
        far = Browser(server, **russian).signed_in("zqfar")
        near = Browser(server, **russian).signed_in("zqnear")
        made = World(server, redis, far, near, SignedLinks(signing_key(redis)))
        _fill(made)
        yield made
        for browser in (far, near):
            browser.close()


def signing_key(redis: Server) -> str:
    async def load() -> str:
        wire = Wire(redis.url)
        wire.open()
        await wire.connected()
        try:
            return await load_signing_key(wire)
        finally:
            await wire.close()

    return asyncio.run(load())


def _alert(name: str, **labels: str) -> dict[str, Any]:
    return {
        "labels": {"alertname": name, "severity": "zqhigh", **labels},
        "annotations": {"summary": f"Zqsummary zqof {name.lower()}"},
    }


def open_incidents(reader: Browser) -> dict[str, str]:
    found = reader.get("/api/v1/incidents").json()["incidents"]
    return {one["group_labels"].get("alertname", ""): one["id"] for one in found}


def deliveries(reader: Browser) -> list[dict[str, Any]]:
    return list(reader.get("/api/v1/deliveries").json()["deliveries"])


def told(world: World, name: str, status: str = "firing", *, began: datetime) -> None:
    """Push an alert at the door at which groups are flushed at once."""
    alert = _alert(name) | {"status": status, "startsAt": began.isoformat()}
    if status == "resolved":
        alert["endsAt"] = (began + timedelta(seconds=1)).isoformat()
    body = {"version": "4", "groupKey": name, "status": status, "receiver": "zq", "alerts": [alert]}
    answer = httpx.post(f"{world.server.url}/webhook/zqsource", json=body, trust_env=False)
    assert answer.status_code == 200, answer.text


def refuse_pushes(world: World) -> None:
    for source, body, headers in REFUSED_PUSHES:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        sent = httpx.post(
            f"{world.server.url}/webhook/{source}",
            content=content,
            headers={"Content-Type": "application/json", **headers},
            trust_env=False,
        )
        assert sent.status_code >= 400, f"{source}: {sent.text}"


def flap(world: World) -> None:
    """Alerts that come back twice: their incident is flapping, and nobody is paged at once."""
    began = datetime.now(UTC) - timedelta(minutes=1)
    for turn in range(5):
        firing, at = turn % 2 == 0, began + timedelta(seconds=2 * (turn - turn % 2))
        told(world, "Zqflap", "firing" if firing else "resolved", began=at)
        until(lambda: ("Zqflap" in open_incidents(world.far)) == firing)  # noqa: B023


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
        world.ids = open_incidents(far)
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
    later = (begin + timedelta(days=4)).date().isoformat()
    plan = "/api/v1/schedules/zqplan"
    for path, body in (
        (f"{plan}/overrides", {"user": "zqnear", "start": f"{day}T10:00", "end": f"{day}T12:00"}),
        (f"{plan}/swaps", {"user": "zqfar", "start": f"{day}T13:00", "end": f"{later}T15:00"}),
        ("/api/v1/users/zqnear/absences", {"start": f"{day}T01:00", "end": f"{day}T02:00"}),
    ):
        answer = far.post(path, json=body)
        assert answer.status_code < 300, f"{path}: {answer.text}"
    assert far.post("/api/v1/users/zqnear/test", json={}).status_code == 202
    for receiver in ("zqchat", "zqfile"):  # fails for now, and for good
        assert far.post(f"/api/v1/receivers/{receiver}/test", json={}).status_code == 202
    until(lambda: {"retry", "failed"} <= {one["outcome"] for one in deliveries(far)})
    flap(world)
    refuse_pushes(world)
    act("Zqhidden", "snooze", **{"for": "1s"})  # its end finds it silenced: it is held
    until(lambda: far.get(f"/api/v1/incidents/{ids['Zqhidden']}").json()["held_by"])
    world.ids = {**ids, **open_incidents(far)}
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
    "/schedules/zqdates",
    *("/schedules/zqplan?view=month", "/schedules/zqplan?view=day"),
    *("/policies/zqmain", "/policies/zqspare", "/change/policy?name=zqmain", "/change/policy"),
    *("/change/person", "/change/person?name=zqnear", "/change/team", "/change/team?name=zqblue"),
    "/change/schedule",
    "/policies/zqmain?labels=alertname%3DZqopen%2C%20severity%3Dzqhigh",
    "/routes?labels=alertname%3DZqhidden%2C%20severity%3Dzqhigh",
    "/routes?labels=team%3Dzqred",
    *("/receivers/zqteam", "/receivers/zqteam?alert=zqgone&search=zqnothing", "/receivers/zqchat"),
    *("/silences?ended=1", "/silences?text=zqnothing", "/silences/new?kind=maintenance"),
    "/silences/new?label=alertname%3D%22Zqopen%22",
    *("/deliveries?outcome=failed", "/deliveries?text=zqnothing", "/insights?span=7d"),
    *("/incidents?done=resolve&n=2", "/?done=test", "/sign-in"),
    *("/search", "/search?text=zq", "/search?text=zqnothing", "/people?text=zq", "/routes?text=zq"),
)
INCIDENTS = (
    *("Zqopen", "Zqtaken", "Zqsnoozed", "Zqclosed", "Zqmerged", "Zqover", "Zqhidden"),
    "Zqflap",
)
# (path, status): what is refused, by the form or address that asks for it.
REFUSED_READING = (
    ("/nothing", 404),
    ("/incidents/zqnone", 404),
    ("/incidents/999", 404),
    ("/schedules/zqnone", 404),
    ("/policies/zqnone", 404),
    ("/receivers/zqnone", 404),
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
    ("/silences/new?matchers=zq%3D~%22(%22&seen=1", 422),
    ("/silences/new?matchers=zq%3D%22%0A%22&seen=1", 422),
    ("/incidents?label=%7Bzq%3D1%7D", 422),
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
    ("/incidents/{Zqopen}/unmerge", {}, 409),
    ("/incidents/{Zqopen}/delete", {"sure": "yes"}, 409),
    ("/incidents/{Zqclosed}/delete", {}, 422),
    ("/incidents/{Zqmerged}/delete", {"sure": "yes"}, 409),
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
    (
        "/schedules/zqgaps/swaps",
        {"user": "zqfar", "start": "2030-01-01T10:00", "end": "2030-01-01T11:00"},
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
    unreadable = world.far.post("/page", json={"title": "zq"})
    gone = world.far.get(f"/act/{old_link(world)}")
    assert (unreadable.status_code, gone.status_code) == (415, 410)
    found += [*faults(unreadable.text), *faults(gone.text)]
    assert not found, "\n".join(found)


def old_link(world: World) -> str:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clock, "now", lambda: time.time() - 30 * 86400)
        return world.links.sign(world.ids["Zqopen"], "acknowledge", 1, "zqrob")


def test_a_link_of_a_message_speaks_russian(world: World) -> None:
    found, incident = [], world.ids["Zqopen"]
    epoch = int(
        form_of(world.far.get(f"/incidents/{incident}").text, f"/incidents/{incident}/snooze")[
            "epoch"
        ][0]
    )
    with Browser(world.server, **{"Accept-Language": "ru"}) as stranger:
        for action, length in (("acknowledge", ""), ("snooze", "3600"), ("resolve", "")):
            for its_epoch in (epoch, epoch + 7):  # one that still does something, and a stale one
                link = world.links.sign(incident, action, its_epoch, "zqrob", length)
                page = stranger.get(f"/act/{link}")
                found += [f"{action}: {page.status_code}"] if page.status_code != 200 else []
                found += [f"{action} {its_epoch}: {fault}" for fault in faults(page.text)]
    assert not found, "\n".join(found)


def test_previews_of_changes_speak_russian(world: World) -> None:
    found = []
    path = "/change/policy"
    fields = form_of(world.far.get(path, params={"name": "zqmain"}).text, path)
    for change in ({}, {"s1-length": ["7m"], "repeat": ["3"]}, {"s1-length": ["zq"]}):
        page = world.far.post(path, data={**fields, **change, "do": "preview"})
        assert page.status_code == (422 if change.get("s1-length") == ["zq"] else 200), page.text
        found += [f"{path} {change}: {fault}" for fault in faults(page.text)]
    path = "/schedules/zqplan/layers"
    fields = form_of(world.far.get(path).text, path)
    for do in ("preview", "down-turn:0:0", "add-turn:0", "remove-turn:0:0"):
        page = world.far.post(path, data={**fields, "do": do})
        assert page.status_code == 200, page.text
        found += [f"{path} {do}: {fault}" for fault in faults(page.text)]
    for section, name, keys in (
        ("schedules", "zqplan", {"name": "zqrenamed"}),
        ("escalation_policies", "zqspare", {"steps": [{"notify": {"users": ["zqnear"]}}]}),
    ):
        encoded = json.dumps({"section": section, "name": name, "set": keys})
        page = world.far.post("/change/apply", data={"change": encoded, "digest": "zq"})
        assert page.status_code == 409, page.text
        found += [f"{section}: {fault}" for fault in faults(page.text)]
    assert not found, "\n".join(found)


def test_incidents_are_held_and_flapping(world: World) -> None:
    """The states that the crawl is to see."""
    held, flapping = (
        plain(world.far.get(f"/incidents/{world.ids[name]}").text)
        for name in ("Zqhidden", "Zqflap")
    )
    assert "Пока никого не вызывают" in held and "Частые повторы" in flapping
    failed = plain(world.far.get("/deliveries").text)
    assert (
        "Тестовый вызов" in failed
        and "соединения нет: «" in failed
        and "url_file не прочитать: «" in failed
    )


def test_refused_pushes_and_unreadable_events_are_said_in_russian(world: World) -> None:
    """The crawl has read the page; here are the reasons that are to stand on it."""
    page = until(
        lambda: (found := world.far.get("/sources").text).count("zqname") and found,
        why="the last refusal is not shown",
    )
    assert faults(page) == []
    known = {one["name"]: one for one in world.far.get("/api/v1/sources").json()["sources"]}
    for source, _, _ in REFUSED_PUSHES:
        # whose page asks is looked at before the source
        refusal = known[source if source in known else None]["last_refusal"]
        assert f"refusal.{refusal['code']}" in load_entries("en")
        assert refusal["arguments"] is not None and refusal["reason"] not in page
    assert "«alerts[1].labels»: нужна хотя бы одна метка" in plain(page)
    assert "и ещё 2 (остальных алертов принято: 1)" in plain(page)
    schedule = plain(world.far.get("/schedules/zqdates").text)
    assert "часовой пояс «Zq/Zone» неизвестен" in schedule
    problems = world.far.get("/api/v1/schedules/zqdates/ical").json()["problems"]
    assert len({one["code"] for one in problems}) == 9
    assert problems[0]["reason"] == "the time zone 'Zq/Zone' is not known"
    assert problems[0]["arguments"] == {"zone": "Zq/Zone"}
    assert problems[0]["event_arguments"] == {"summary": "zqevent", "uid": "1@tests"}
    health = world.far.get("/api/v1/health").json()
    assert len(health["reasons"]) == len(health["reason_codes"]) > len(REFUSED_PUSHES) // 2
    assert {one["code"] for one in health["reason_codes"]} == {"health.refused"}


async def test_a_reason_that_an_earlier_version_stored_is_shown_as_it_is(site: Site) -> None:
    old = Refusal(at=site.clock[0], status=422, reason="alerts: was stored as a <b>text</b>")
    await save_news(site.context.wire, {"old": SourceNews(refused=1, refusal=old)}, site.clock[0])
    page = await site.client.get("/sources", headers={"Accept-Language": "ru"})
    assert "alerts: was stored as a <b>text</b>" in html.unescape(page.text)
    assert "<b>text</b>" not in page.text
    shown = (await site.client.get("/api/v1/sources")).json()["sources"]
    [refusal] = [one["last_refusal"] for one in shown if one["name"] == "old"]
    assert (refusal["reason"], refusal["code"], refusal["arguments"]) == (old.reason, None, None)
    health = (await site.client.get("/api/v1/health")).json()
    assert health["reasons"] == [
        f"a push of source 'old' was refused 1 s ago with 422: {old.reason}"
    ]
    assert health["reason_codes"][0]["arguments"]["reason"] == old.reason


@pytest.mark.own_redis
async def test_why_redis_is_away_is_said_in_russian_to_whom_may_mend_it(site: Site) -> None:
    site.redis.kill()

    async def reason() -> str:
        page = await site.client.get("/", headers={"Accept-Language": "ru"})
        found = re.search(r'<p class="hint"><bdi>(.*?)</bdi>', page.text)
        # what broke is said first, then why no connection can be made
        return found[1] if found and "запущен" in found[1] else ""

    words = await soon(reason)
    assert "r.sock" in words and list(english(f"<p>{words}</p>")) == []
    why = (await site.client.get("/-/ready")).text
    assert why.startswith("Redis is away: ") and "no Redis runs" in why


@pytest.mark.parametrize("section", ["refusal", "redis", "calendar", "health"])
def test_no_text_of_a_reason_has_an_english_word(section: str) -> None:
    """Besides names, and what somebody else said: those that no crawl can provoke."""
    found = [
        f"{key}: {fault}"
        for key, entry in load_entries("ru").items()
        if key.startswith(f"{section}.")
        for text in ([entry] if isinstance(entry, str) else entry.values())
        for fault in english(f"<p>{re.sub(r'{[^}]+}', MARK, text)}</p>")
    ]
    assert not found, "\n".join(found)


def test_every_refused_body_of_the_alerts_api_is_said_in_russian() -> None:
    """By the parser itself: its answer is Alertmanager's, its reason that of the page."""
    found, reasons = [], set()
    for body in REFUSED_POSTS:
        try:
            reason = posted_request(body).refusal
        except BadAlertsBody as error:
            reason = error.words
        assert reason, body
        reasons.add(reason)
        words = render_phrase(reason, load_texts("ru"))
        found += [f"{body!r}: {fault}" for fault in english(f"<p>{html.escape(words)}</p>")]
    assert not found, "\n".join(found)
    assert len(reasons) > 12


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
            found += faults(refused.text)
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
    assert (await times(NEAR, **{"X-Page-Age": "1000"}))[0] == ["11:00"]
    assert (await times(FAR, **{"X-Page-Age": "1000"}))[0] == ["15:45"], (
        "one rendering for two clocks"
    )
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
