"""A person signs in and out in a real Chromium."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from argon2 import PasswordHasher

from tests.support.browser.demo import ROUTES, alert, push
from tests.support.browser.visitor import Visitor
from tests.support.servers import Server, Servers, needs
from tests.support.standins.oidc import CLIENT, SECRET, Provider

pytestmark = needs("chromium")
Visit = Callable[..., Visitor]
HASH = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1).hash("correct horse")


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with Provider() as running:
        running.person = {"sub": "1", "email": "Bob"}
        yield running


@pytest.fixture(scope="module")
def amproxy(house: Servers, provider: Provider) -> Server:
    users = ROUTES.replace("role: admin,", f"role: admin, password_hash: '{HASH}',")
    oidc = f"{{issuer: '{provider.url}', client_id: {CLIENT}, client_secret: '{SECRET}', name: Company}}"
    server = house.amproxy(f"{users}\nsign_in: {{passwords: true, oidc: {oidc}}}\n")
    provider.redirect_uris = {f"{server.url}/sign-in/callback"}
    return server


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no scripts"])
def test_a_person_signs_in_by_password_acts_and_signs_out(
    amproxy: Server, visit: Visit, scripts: bool
) -> None:
    visitor = visit(amproxy, "/incidents", scripts=scripts)
    visitor.page.get_by_label("Name or e-mail").fill("alice")
    visitor.page.get_by_label("Password").fill("wrong")
    visitor.page.locator("#enter").click()
    visitor.sees("Name or password is wrong.")
    assert visitor.page.get_by_label("Name or e-mail").input_value() == "alice"
    visitor.page.get_by_label("Password").fill("correct horse")
    visitor.page.locator("#enter").click()
    visitor.sees("Alice Ash")
    assert visitor.page.url == f"{amproxy.url}/incidents"
    visitor.go("/").press("Send a test alert").sees("A test alert")
    visitor.press("Sign out").sees("Name or e-mail")
    visitor.go("/").sees("Name or e-mail")


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no scripts"])
def test_a_person_signs_in_at_the_provider(amproxy: Server, visit: Visit, scripts: bool) -> None:
    visit(amproxy, "/", scripts=scripts).press("Sign in with Company", role="link").sees(
        "Bob Birch"
    )


def test_a_page_whose_session_has_ended_leads_to_the_sign_in(amproxy: Server, visit: Visit) -> None:
    visitor = visit(amproxy, "/").press("Sign in with Company", role="link").sees("Bob Birch")
    visitor.sees("Live").page.context.clear_cookies()
    push(amproxy.url, alert("DiskFull", "eu1", "The page looks again"))
    visitor.sees("Sign in with Company")


@pytest.mark.parametrize("size", ["desktop", "phone"])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_everybody_can_use_the_sign_in(
    amproxy: Server, visit: Visit, size: str, dark: bool
) -> None:
    visitor = visit(amproxy, "/sign-in", size=size, dark=dark).fits().accessible()
    visitor.page.get_by_label("Name or e-mail").fill("nobody")
    visitor.page.get_by_label("Password").fill("x")
    visitor.page.locator("#enter").click()
    visitor.sees("Name or password is wrong.").fits().accessible()


def test_it_speaks_russian(amproxy: Server, visit: Visit) -> None:
    visit(amproxy, "/sign-in", language="ru").sees("Имя или почта").sees("Войти через Company")
