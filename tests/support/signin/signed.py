"""What the tests of the sign-in share: a small company, its people's browsers, and programs with tokens."""

from __future__ import annotations

from typing import Any

import httpx
from argon2 import PasswordHasher

from tests.support.servers import Server

CHEAP = PasswordHasher(
    time_cost=1, memory_cost=64, parallelism=1
)  # a real one takes longer by intent
PASSWORD = "correct horse"
PEOPLE = {"ada": "admin", "rob": "responder", "rita": "responder", "vic": "viewer"}

COMPANY = """
route: {receiver: blue, group_by: [alertname], group_wait: 50ms, routes: [{receiver: red, matchers: [team="red"]}]}
receivers:
  - {name: blue, oncall_configs: [{escalation_policy: blue}]}
  - {name: red, oncall_configs: [{escalation_policy: red}]}
users:
  - {name: ada, full_name: Ada Admin, role: admin, contacts: {email: ada@example.org, console: a}, password_hash: 'HASH'}
  - {name: rob, contacts: {email: Rob@Example.org, console: b}, password_hash: 'HASH'}
  - {name: rita, contacts: {console: c}, password_hash: 'HASH'}
  - {name: vic, role: viewer, contacts: {console: d}, password_hash: 'HASH'}
  - {name: nopass, contacts: {console: e}}
teams: [{name: blue, members: [rob]}, {name: red, members: [rita]}]
schedules:
  - {name: blue, team: blue, layers: [{users: [rob]}]}
  - {name: red, team: red, layers: [{users: [rita]}]}
escalation_policies:
  - {name: blue, team: blue, steps: [{notify: {schedule: blue}}, {wait: 1h}]}
  - {name: red, team: red, steps: [{notify: {schedule: red}}, {wait: 1h}]}
""".replace("HASH", CHEAP.hash(PASSWORD))


def company(sign_in: str = "{passwords: true}", more: str = "") -> str:
    return f"{COMPANY}\nsign_in: {sign_in}\n{more}"


class Browser(httpx.Client):
    """Keeps cookies, follows no redirect by itself, and says where its forms come from."""

    def __init__(self, server: Server, **headers: str) -> None:
        super().__init__(
            base_url=server.url,
            headers={"Origin": server.url, "User-Agent": "Tests/1", **headers},
            trust_env=False,
            timeout=60,
        )

    def sign_in(self, name: str, password: str = PASSWORD, back: str = "/") -> httpx.Response:
        return self.post("/sign-in", data={"name": name, "password": password, "back": back})

    def signed_in(self, name: str) -> Browser:
        assert self.sign_in(name).status_code == 303
        return self

    @property
    def secret(self) -> str:
        return self.cookies.get("amproxy_session", "")

    def follow(self, answer: httpx.Response) -> httpx.Response:
        """Go where an answer leads, one step."""
        return self.get(answer.headers["location"], headers={"Origin": ""})


class Program(httpx.Client):
    def __init__(self, server: Server, token: str) -> None:
        super().__init__(
            base_url=server.url,
            headers={"Authorization": f"Bearer {token}"},
            trust_env=False,
            timeout=60,
        )


def token(admin: httpx.Client, *scopes: str, **more: Any) -> str:
    made = admin.post("/api/v1/tokens", json={"name": "-".join(scopes), "scopes": scopes, **more})
    assert made.status_code == 201, made.text
    return str(made.json()["token"])


def log(admin: httpx.Client, **query: str) -> list[dict[str, Any]]:
    answer = admin.get("/api/v1/audit", params=query)
    assert answer.status_code == 200, answer.text
    return list(answer.json()["entries"])
