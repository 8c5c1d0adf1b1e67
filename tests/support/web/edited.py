"""A small file that tests change through the web part, and what a browser does with its forms."""

from __future__ import annotations

import html
import re
from html.parser import HTMLParser
from typing import Any

import httpx
from starlette.types import ASGIApp, Receive, Scope, Send

from amproxy.grouping.rights import Principal
from amproxy.web.app import build_web_app
from amproxy.web.http.permissions import set_principal
from tests.support.web.website import BASE, Site

FILE = """\
global: {smtp_smarthost: 'mail.example.org:25', smtp_from: amproxy@example.org}  # ours
route:
  receiver: r
  routes: [{receiver: r, matchers: [team="ops"]}]
receivers: [{name: r, oncall_configs: [{escalation_policy: main}]}]
users:
  - {name: alice, full_name: Alice Ash, contacts: {console: here, email: a@example.org}}
  - {name: bob, contacts: {console: there}}
teams:
  - {name: ops, members: [alice]}
schedules:
  - name: primary
    team: ops
    layers:
      - {name: weekly, users: [alice, bob], rotation: {every: 1w, start: 2026-01-05}}   # Mondays
escalation_policies:
  - name: main
    team: ops
    steps:
      - notify: {schedule: primary}
      - wait: 5m          # then the rest
      - notify: {users: [bob]}
"""


class As:
    """Signs everybody in as somebody."""

    def __init__(self, app: ASGIApp, principal: Principal) -> None:
        self._app, self._principal = app, principal

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        set_principal(scope, self._principal)
        await self._app(scope, receive, send)


def signed_in(site: Site, **who: Any) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(
            As(build_web_app(site.deps), Principal(via="session", **who))
        ),
        base_url=BASE,
    )


def words(text: str) -> str:
    """What stands on a page, tags and line breaks taken away."""
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", text)).split())


class _Form(HTMLParser):
    """The fields of the form that posts to an address, as a browser would send them."""

    def __init__(self, action: str) -> None:
        super().__init__()
        self.fields: dict[str, list[str]] = {}
        self._action, self._inside = action, False
        self._select: tuple[str, list[tuple[str, bool]]] | None = None
        self._area = ""

    def handle_starttag(self, tag: str, pairs: list[tuple[str, str | None]]) -> None:
        at = {name: value or "" for name, value in pairs}
        if tag == "form":
            self._inside = at.get("action") == self._action
        if not self._inside:
            return
        if tag == "input" and "name" in at and (at.get("type") != "checkbox" or "checked" in at):
            self.fields.setdefault(at["name"], []).append(at.get("value", ""))
        elif tag == "select":
            self._select = at["name"], []
        elif tag == "option" and self._select:
            self._select[1].append((at.get("value", ""), "selected" in at))
        elif tag == "textarea":
            self._area = at["name"]
            self.fields.setdefault(self._area, []).append("")

    def handle_data(self, data: str) -> None:
        if self._area:
            self.fields[self._area][-1] += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._inside = False
        elif tag == "textarea":
            self._area = ""
        elif tag == "select" and self._select:
            name, options = self._select
            chosen = next(
                (value for value, selected in options if selected), options[0][0] if options else ""
            )
            self.fields.setdefault(name, []).append(chosen)
            self._select = None


def form(page: str, action: str) -> dict[str, Any]:
    """The fields of the form that posts to an address."""
    parser = _Form(action)
    parser.feed(page)
    return dict(parser.fields)
