"""The pages Me and Admin as persons use them, with scripts and without, on a desktop and on a phone."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from argon2 import PasswordHasher

from tests.support.browser.demo import ROUTES, alert, ask, opened, push
from tests.support.browser.visitor import Visitor
from tests.support.servers import Server, Servers, needs
from tests.support.waiting import until

pytestmark = needs("chromium")
Visit = Callable[..., Visitor]

HOSTILE = "<img src=x onerror=alert(1)>\u202e" + "w" * 3000
HASH = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1).hash("correct horse")


@pytest.fixture(scope="module")
def amproxy(house: Servers) -> Server:
    server = house.amproxy(ROUTES)
    push(server.url, alert("HighErrorRate", "eu1", HOSTILE, instance=HOSTILE))
    incident = opened(server.url, "HighErrorRate")
    ask(
        f"{server.url}/api/v1/incidents/{incident['id']}/acknowledge",
        {"user": "carol", "text": HOSTILE},
    )
    ask(f"{server.url}/api/v1/tokens", {"name": "w" * 100, "scopes": ["read"]})
    wish = {
        "user": "bob",
        "start": "2099-01-05T10:00",
        "end": "2099-03-06T10:00",
        "reason": HOSTILE[:400],
    }
    ask(f"{server.url}/api/v1/schedules/platform/swaps", wish)
    return server


def as_carol(visitor: Visitor) -> Visitor:
    visitor.go("/me").page.select_option("#choose", "carol")
    visitor.page.locator("#chosen").click()
    return visitor.sees("Carol Cedar")


@pytest.mark.parametrize(
    ("size", "dark"), [("desktop", False), ("phone", True)], ids=["desktop, light", "phone, dark"]
)
def test_the_pages_fit_and_everybody_can_use_them(
    amproxy: Server, visit: Visit, size: str, dark: bool
) -> None:
    visitor = (
        visit(amproxy, "/me", size=size, dark=dark, language="ru" if dark else "en")
        .fits()
        .accessible()
    )
    visitor.page.select_option("#choose", "carol")
    visitor.page.locator("#chosen").click()
    visitor.page.locator("#shifts").wait_for()
    for path in ("/me", "/admin"):
        visitor.go(path)
        visitor.page.evaluate(
            "document.querySelectorAll('main details').forEach((part) => { part.open = true; })"
        )
        visitor.fits().accessible()


@pytest.mark.parametrize(
    ("size", "scripts"), [("desktop", True), ("phone", False)], ids=["scripts", "phone, no scripts"]
)
def test_a_person_looks_after_what_is_theirs(
    amproxy: Server, visit: Visit, size: str, scripts: bool
) -> None:
    visitor = (
        as_carol(visit(amproxy, "/me", size=size, scripts=scripts))
        .sees("HighErrorRate")
        .sees("Who takes over?".upper())
    )
    visitor.press("Make an address").sees("/calendar/").press("Revoke the address").sees(
        "Make an address"
    )
    visitor.press("Send a test page").sees("A test page is on its way")
    visitor.page.locator("#add-away summary").click()
    visitor.page.fill("#start", "2099-05-01T09:00")
    visitor.page.fill("#end", "2099-05-02T09:00")
    visitor.page.locator("#add").click()
    visitor.sees("1 May 2099 09:00").fits()
    visitor.press("Take back the absence").sees("No absences.")


@pytest.mark.parametrize(
    ("size", "scripts"), [("desktop", True), ("phone", False)], ids=["scripts", "phone, no scripts"]
)
def test_an_admin_loads_the_file_and_makes_and_revokes_a_token(
    house: Servers, visit: Visit, size: str, scripts: bool
) -> None:
    amproxy = house.amproxy(ROUTES)
    file = Path(str(amproxy.config))
    until(lambda: ask(f"{amproxy.url}/api/v1/replicas"))  # it serves a moment before it delivers
    visitor = (
        visit(amproxy, "/admin", size=size, scripts=scripts)
        .sees("All parts are well.")
        .sees("alive")
    )
    file.write_text(ROUTES.replace("receiver: database-oncall\n", "receiver: nobody\n"), "utf-8")
    visitor.page.locator("#reload").click()
    visitor.sees("The file was not taken.").fits()
    visitor.go("/admin").sees("The file was not taken at").fits()
    file.write_text(ROUTES, "utf-8")
    visitor.page.locator("#reload").click()
    visitor.sees("It is in force.")
    visitor.page.locator("#new-token summary").click()
    visitor.page.fill("#token-name", "grafana")
    visitor.page.check("#scope-read")
    visitor.page.locator("#make").click()
    visitor.sees("it is shown this once").fits()
    assert re.search(r"amp_[\w-]{40,}", visitor.text)
    if scripts:
        visitor.accessible()
    visitor.press("Done", "link").sees("never used")
    assert "amp_" not in visitor.text
    visitor.press("Revoke grafana").sees("revoked the API token grafana")


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no scripts"])
def test_a_person_sees_where_they_are_signed_in_and_signs_out_there(
    house: Servers, visit: Visit, scripts: bool
) -> None:
    users = ROUTES.replace("role: admin,", f"role: viewer, password_hash: '{HASH}',")
    amproxy = house.amproxy(f"{users}\nsign_in: {{passwords: true}}\n")

    def sign_in() -> Visitor:
        visitor = visit(amproxy, "/sign-in?back=/me", scripts=scripts)
        visitor.page.get_by_label("Name or e-mail").fill("alice")
        visitor.page.get_by_label("Password").fill("correct horse")
        visitor.page.locator("#enter").click()
        return visitor.sees("This browser")

    first, second = sign_in(), sign_in()
    second.press("Sign out everywhere else").page.wait_for_url("**/me#sessions")
    first.go("/me").sees("Name or e-mail")
    second.go("/me").fits().page.locator("button[name='everywhere']").click()
    second.sees("Name or e-mail")
