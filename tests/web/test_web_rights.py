"""No address is left out: whoever may not do something is refused wherever it is done."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator

import httpx
import msgspec
import pytest
from starlette.routing import Mount, Route

from amproxy.config.structs import SignIn, User
from amproxy.store import sign_in
from amproxy.store.sign_in import ApiToken, TokenScope
from amproxy.web.app import build_web_app
from amproxy.web.http.permissions import required_role
from tests.support.web.website import BASE, CONFIG, Site, every_route

# Open to everybody, each for its reason: they show nothing, or ask for a secret of their own.
OPEN = {
    "/act/{token}",
    "/sign-in",
    "/sign-in/oidc",
    "/sign-in/callback",
    "/language",
    "/theme",
    "/clock",
    "/manifest.webmanifest",
    "/service-worker.js",
    "/slack/interactivity",
    "/-/healthy",
    "/-/ready",
    "/calendar/{token}.ics",
}
OWN = {"/sign-out", "/api/v1/sessions", "/api/v1/sessions/{id}", "/me"}  # of whoever is signed in
OWN |= {
    f"/me/{path}"
    for path in ("test", "absences", "absences/{id}/delete", "calendar", "calendar/delete")
}
OWN |= {"/me/push", "/me/push/{id}/delete"}
OWN |= {"/me/sessions/delete", "/me/sessions/{id}/delete", "/me/views", "/me/views/delete"}
ADMIN = {
    "/api/v1/tokens",
    "/api/v1/tokens/{id}",
    "/api/v1/audit",
    "/-/reload",
    "/admin",
    "/admin/reload",
    "/admin/tokens",
}
ADMIN |= {"/admin/tokens/{id}/delete", "/incidents/{id}/delete"}
# Other methods of these are for others, too; a new person or team is an admin's.
ADMIN_CALLS = {("DELETE", "/api/v1/incidents/{id}"), ("POST", "/change/person")}
ADMIN_CALLS |= {("POST", "/change/team")}
FORMS = (
    "/silences/new",
    "/silences/{id}/edit",
    "/silences/windows/{id:path}/edit",
)  # nothing but a form that a viewer may not send
V2 = [("POST", "/api/v2/silences"), ("DELETE", "/api/v2/silence/{id}")]
V2 += [
    ("GET", f"/api/v2/{name}")
    for name in ("status", "receivers", "alerts", "alerts/groups", "silences", "silence/{id}")
]


@pytest.fixture
async def closed(site: Site) -> AsyncIterator[Site]:
    """The site with people who sign in."""
    users = {**CONFIG.users, "vic": User(name="vic", role="viewer")}
    site.context.use_config(
        msgspec.structs.replace(CONFIG, sign_in=SignIn(passwords=True), users=users)
    )
    yield site


async def program(site: Site, *scopes: TokenScope) -> httpx.AsyncClient:
    token = ApiToken(id=scopes[0], name=scopes[0], scopes=scopes, made=site.context.now())
    secret = await sign_in.create_token(site.context.wire, token)
    headers = {"Authorization": f"Bearer {secret}"}
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(build_web_app(site.deps)), base_url=BASE, headers=headers
    )


def everything(site: Site) -> Iterator[tuple[str, str]]:
    """Every method and path that there is."""
    yield from V2
    for route in every_route(site):
        if isinstance(route, Route):
            for method in sorted(route.methods or ()):
                yield method, route.path
        else:
            assert isinstance(route, Mount) and route.path == "/static"


def filled(path: str) -> str:
    return re.sub(r"\{[^}]+\}", "x", path)


async def test_a_stranger_is_refused_everywhere_but_at_the_doors_that_are_open(
    closed: Site,
) -> None:
    for method, path in everything(closed):
        answer = await closed.client.request(method, filled(path))
        to_sign_in = answer.status_code == 303 and answer.headers["location"].startswith("/sign-in")
        refused = "www-authenticate" in answer.headers or to_sign_in
        assert refused == (path not in OPEN), (method, path, answer.status_code)
        assert "content-security-policy" in answer.headers or path.startswith("/api/v2"), path


async def test_a_viewer_changes_nothing_but_their_own_sessions(closed: Site) -> None:
    async with await program(closed, "read") as viewer:
        for method, path in everything(closed):
            if path in OPEN or path in OWN or path == "/events":
                continue
            reads = method in ("GET", "HEAD") and path not in {*ADMIN, *FORMS}
            answer = await viewer.request(method, filled(path))
            assert (answer.status_code == 403) != reads, (method, path, answer.status_code)
    assert closed.tests_sent == []


async def test_a_responder_does_nothing_that_is_for_admins(closed: Site) -> None:
    async with await program(closed, "respond") as responder:
        for method, path in everything(closed):
            if path == "/events":
                continue
            if path in ADMIN or (method, path) in ADMIN_CALLS:
                assert (await responder.request(method, filled(path))).status_code == 403, (
                    method,
                    path,
                )
            elif path not in OWN:
                assert (await responder.request(method, filled(path))).status_code != 403, (
                    method,
                    path,
                )


@pytest.mark.parametrize(
    "path",
    [
        "//api/v1/incidents",
        "/api/v1/incidents/",
        "/API/v1/tokens",
        "/static/../api/v1/tokens",
        "/sign-in/x",
        "/act/a/b",
    ],
)
async def test_a_path_written_otherwise_opens_nothing(closed: Site, path: str) -> None:
    for method in ("GET", "POST", "DELETE", "PATCH", "TRACE"):
        answer = await closed.client.request(method, f"{BASE}{path}")
        assert answer.status_code in (401, 404, 405) or answer.headers["location"].startswith(
            "/sign-in"
        ), (method, answer.status_code)


@pytest.mark.parametrize(
    ("method", "path", "role"),
    [
        ("GET", "/", "viewer"),
        ("HEAD", "/incidents/x", "viewer"),
        ("POST", "/whatever/comes", "responder"),
        ("GET", "/admin", "admin"),
        ("POST", "/admin/x", "admin"),
        ("GET", "/administer", "viewer"),
        ("POST", "/me/calendar", "viewer"),
        ("POST", "/mean", "responder"),
        ("PUT", "/api/v1/config", "responder"),
        ("GET", "/api/v1/config", "viewer"),
        ("POST", "/-/reload", "admin"),
        ("DELETE", "/api/v1/incidents/x", "admin"),
        ("POST", "/incidents/x/delete", "admin"),
        ("DELETE", "/api/v1/sessions/x", "viewer"),
        ("GET", "/static/style.css", None),
        ("GET", "/metrics", "viewer"),
    ],
)
def test_an_address_that_nobody_thought_of_needs_a_role_by_itself(
    method: str, path: str, role: str | None
) -> None:
    assert required_role(method, path) == role


@pytest.mark.own_redis
async def test_redis_being_away_lets_nobody_in(closed: Site) -> None:
    async with await program(closed, "admin") as admin:
        closed.redis.kill()
        answer = await admin.get("/api/v1/incidents")
        assert answer.status_code == 503 and answer.headers["retry-after"] == "1"
        assert (await admin.get("/-/healthy")).status_code == 200
        assert (await closed.client.get("/sign-in")).status_code == 200


async def test_a_signed_link_needs_no_sign_in_and_says_no_more_than_it_must(closed: Site) -> None:
    incident = await closed.opened()
    links = closed.deps.links()
    assert links is not None
    path = f"/act/{links.sign(incident.id, 'acknowledge', incident.epoch, '', '')}"
    shown = await closed.client.get(path)
    assert (
        shown.status_code == 200
        and "Alice Ash" not in shown.text
        and 'name="user"' not in shown.text
    )
    done = await closed.client.post(path, data={"user": "alice"})
    assert done.status_code == 303 and done.headers["location"] == f"{path}?done=acknowledge"
    told = (await closed.client.get(done.headers["location"])).text
    assert "Done." in told and "Acknowledged by somebody" in told
    assert "Nothing has happened yet" not in told and f'href="/incidents/{incident.id}"' in told
    async with await program(closed, "admin") as admin:
        entry = (await admin.get("/api/v1/audit")).json()["entries"][0]
        assert (entry["via"], entry["user"]) == ("link", None) and entry["what"].startswith(
            "acknowledged #1"
        )


async def test_everything_over_tls_is_kept_to_tls(closed: Site) -> None:
    answer = await closed.client.get("/sign-in")
    assert answer.headers["strict-transport-security"].startswith("max-age=")
    closed.context.external_url = "http://oncall.example.org"
    assert "strict-transport-security" not in (await closed.client.get("/sign-in")).headers


@pytest.mark.parametrize(
    ("external_url", "cookie"),
    [
        ("https://oncall.example.org", "__Host-amproxy_session"),
        ("https://oncall.example.org/am", "__Secure-amproxy_session"),
        ("http://oncall.example.org/am", "amproxy_session"),
    ],
)
def test_the_cookie_is_bound_as_tightly_as_the_address_allows(
    external_url: str, cookie: str
) -> None:
    from starlette.responses import Response

    from amproxy.web.signin import session

    answer = Response()
    session.set_cookie(answer, session.SESSION_COOKIE, "x", external_url, 60)
    made = answer.headers["set-cookie"]
    assert made.startswith(f"{cookie}=x;") and "HttpOnly" in made
    assert ("Path=/am" in made) == external_url.endswith("/am") and (
        "Secure" in made
    ) == external_url.startswith("https")
