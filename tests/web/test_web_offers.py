"""What a page offers to somebody they may do: no link and no form that it shows is refused."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from amproxy.clock import utc
from amproxy.config.loader import load
from amproxy.config.structs import Maintenance, Schedule
from amproxy.labels.matchers import parse_matchers
from amproxy.model import Alert, Silence
from amproxy.respond import actions, muting, schedule_changes
from amproxy.respond.actions import ActionRequest
from amproxy.store import calendars, sign_in
from amproxy.store.calendars import Feed
from amproxy.store.sign_in import ApiToken, Session
from tests.support.web.forms import DECISIVE, Fields, Page
from tests.support.web.muted import push
from tests.support.web.website import NOW, Site

HOST = "oncall.example.org"
ROUTES = """\
route:
  receiver: free
  group_by: [alertname]
  routes:
    - {receiver: ops, matchers: [team="ops"]}
    - {receiver: net, matchers: [team="net"]}
receivers:
  - {name: free, oncall_configs: [{escalation_policy: free}]}
  - {name: ops, oncall_configs: [{escalation_policy: ops}]}
  - {name: net, oncall_configs: [{escalation_policy: net}]}
users:
  - {name: ada, role: admin, contacts: {console: a}}
  - {name: bob, contacts: {console: b}}
  - {name: carol, contacts: {console: c}}
  - {name: dave, contacts: {console: d}}
  - {name: vic, role: viewer, contacts: {console: v}}
teams: [{name: ops, members: [bob, vic]}, {name: net, members: [carol]}]
schedules:
  - {name: free, layers: [{name: l, users: [dave, bob, carol, vic], rotation: {every: 1d, start: 2026-01-05}}]}
  - {name: ops, team: ops, layers: [{name: l, users: [bob, carol, vic], rotation: {every: 1d, start: 2026-01-05}}]}
  - {name: net, team: net, layers: [{name: l, users: [carol, bob, vic], rotation: {every: 1d, start: 2026-01-05}}]}
escalation_policies:
  - {name: free, steps: [{notify: {schedule: free}}, {wait: 5m}]}
  - {name: ops, team: ops, steps: [{notify: {schedule: ops}}, {wait: 5m}]}
  - {name: net, team: net, steps: [{notify: {schedule: net}}, {wait: 5m}]}
maintenance_windows:
  - {name: daily work, matchers: [team="net"], start: 2026-01-05T00:00, end: 2026-02-05T00:00}
sign_in: {passwords: true}
"""
SELF = ("/sign-out", "/language")  # for whoever is here, wherever it is pressed
PEOPLE = ["ada", "bob", "dave", "vic"]
TEAMS = ["ops", "net", "free"]
MATCHERS = [
    'team="ops"',
    'team="net"',
    'alertname="Disk"',  # of everybody, pinned: it hides alerts of both teams
    'alertname="Quiet"',  # pinned, and no such alert fires
    'team=~".+"',
]
# Pages that lead nowhere, or away from the site's own forms.
LEFT_OUT = re.compile(
    r"/(static|events|calendar|api/|metrics|sign-out|sign-in)|select=|pause=|cursor="
)
MOST_PAGES = 400  # of one person


@pytest.fixture
async def world(site: Site, tmp_path: Path) -> AsyncIterator[Site]:
    """Of everything that can be changed one for each team, in each state."""
    file = tmp_path / "routes.yaml"
    file.write_text(ROUTES, "utf-8")
    site.context.use_config(load(file).config)
    await fill(site)
    yield site
    await site.context.wire.call("ACL", "SETUSER", "default", "+@all")


async def fill(site: Site) -> None:
    for team in TEAMS:
        await open_incidents(site, team)
        await change_schedule(site, site.context.config.schedules[team])
    for text in MATCHERS:
        await mute(site, text)
    start = utc(NOW) + timedelta(days=3)
    for name in PEOPLE:
        await schedule_changes.add_absence(
            site.context, name, start=start, end=start + timedelta(days=1), reason=""
        )
    token = ApiToken(id="t", name="t", scopes=("read",), made=NOW)
    await sign_in.create_token(site.context.wire, token)


async def open_incidents(site: Site, team: str) -> None:
    labels = {"alertname": "Disk", "team": team}
    await push(site, labels)
    alert = Alert(fingerprint=team, labels=labels, starts_ns=int(NOW * 10**9))
    await site.with_alerts(await site.opened(team, title=f"{team} fires"), alert)
    for action in ("acknowledge", "resolve"):
        incident = await site.opened(team, title=f"{team} {action}")
        request = ActionRequest(action=action, user="ada", via="web")
        await actions.perform(site.context, incident.id, request)


async def change_schedule(site: Site, schedule: Schedule) -> None:
    context = site.context
    start, middle, end, last = (utc(NOW) + timedelta(days=days) for days in (1, 5, 9, 10))
    await schedule_changes.add_override(
        context, schedule, user="ada", start=end, end=last, reason=""
    )
    for user, taken in (("bob", "ada"), ("bob", ""), ("carol", ""), ("vic", "")):
        first, until = (start, middle) if taken else (middle, end)
        swap = await schedule_changes.create_swap(
            context, schedule, user=user, start=first, end=until, reason="", by=user
        )
        if taken:
            await schedule_changes.accept_swap(context, swap.id, user=taken, by=taken)
    await calendars.create_feed(context.wire, Feed("schedule", schedule.name))


async def mute(site: Site, text: str) -> None:
    matchers, now_ns = tuple(parse_matchers(text)), int(NOW * 10**9)
    for start_ns in (now_ns, now_ns + 1800 * 10**9):
        silence = Silence(
            id="",
            matcher_sets=[list(matchers)],
            starts_ns=start_ns,
            ends_ns=now_ns + 3600 * 10**9,
            created_by="ada",
            comment=text,
        )
        await muting.put_silence(site.context, silence)
    window = Maintenance(name=text, matchers=matchers, end=utc(NOW) + timedelta(hours=5))
    await muting.create_window(site.context, window)


def pressed(action: str, fields: Fields) -> str:
    """What two presses have in common that ask for the same rights."""
    button = re.sub(r":.*", "", "".join(fields.get("do", fields.get("action", []))))
    decisive = {name: fields[name] for name in DECISIVE if name in fields}
    return f"{action.partition('#')[0]} {button} {decisive}"


class Visitor:
    """Somebody who signed in."""

    def __init__(self, site: Site, secret: str) -> None:
        self._client = site.client
        self._headers = {
            "Cookie": f"__Host-amproxy_session={secret}",
            "Origin": f"https://{HOST}",
            "Host": HOST,
        }

    async def get(self, path: str) -> tuple[int, str]:
        answer = await self._client.get(path, headers=self._headers, follow_redirects=True)
        return answer.status_code, answer.text

    async def press(self, method: str, path: str, fields: Fields) -> int:
        sent = {"params" if method == "get" else "data": fields}
        answer = await self._client.request(method, path, headers=self._headers, **sent)
        return answer.status_code

    async def walk(self) -> dict[str, Page]:
        """Every page that links lead to from the first, and every form of them, once."""
        pages, waiting, kinds = dict[str, Page](), ["/"], set[str]()
        while waiting:
            path = waiting.pop(0)
            if path in pages or LEFT_OUT.search(path):
                continue
            # the same page with another filter or another day shows no other forms
            kind = path.partition("?")[0] if not path.startswith("/silences/new") else path
            if kind in kinds:
                continue
            kinds.add(kind)
            status, text = await self.get(path)
            assert status == 200, f"{path} is linked and answers {status}"
            pages[path] = Page(path, text)
            waiting += pages[path].own_links()
            assert len(pages) < MOST_PAGES, f"no end: {list(pages)[-20:]}"
        return pages


@pytest.fixture
async def visitor(world: Site, name: str) -> Visitor:
    session = Session(user=name, way="password", made=NOW, ends=NOW + 3600, seen=NOW)
    await sign_in.create_session(world.context.wire, session)  # in another browser
    return Visitor(world, await sign_in.create_session(world.context.wire, session))


@pytest.mark.parametrize("name", PEOPLE)
async def test_no_form_that_somebody_sees_is_refused(
    world: Site, visitor: Visitor, name: str
) -> None:
    pages = await visitor.walk()
    # Rights are checked before anything is written; as nothing can be, each form finds the same.
    await world.context.wire.call("ACL", "SETUSER", "default", "-@write")
    refused, tried = dict[str, None](), set[str]()
    for page in pages.values():
        for form in page.forms:
            for method, action, fields in form.sent():
                key = pressed(action, fields)
                if name == "ada":  # an admin may do the same with everything of a kind
                    key = re.sub(r"/[^ ]{8,}?/|\{.*", "/", key)
                if method == "post" and key not in tried and action not in SELF:
                    tried.add(key)
                    if await visitor.press(method, action, fields) == 403:
                        refused[f"{action} {fields}"[:300]] = None
    assert not refused, "\n".join([f"{len(refused)} of {len(tried)}", *refused])
    assert len(tried) > {"vic": 2, "ada": 20}.get(name, 60)
