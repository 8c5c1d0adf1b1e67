"""Incidents, by people in a real Chromium: a phone in the night and a desk, with scripts and without, by keyboard too."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest

from tests.support.browser.demo import ROUTES, alert, ask, fill, opened, push
from tests.support.browser.visitor import Visitor
from tests.support.servers import Server, Servers, needs

pytestmark = needs("chromium")
Visit = Callable[..., Visitor]
WAYS = pytest.mark.parametrize(
    ("size", "scripts"), [("phone", True), ("phone", False), ("desktop", True), ("desktop", False)]
)
TWO = pytest.mark.parametrize(("size", "scripts"), [("phone", False), ("desktop", True)])
_clusters = (f"zone{number}" for number in itertools.count())


@pytest.fixture(scope="module")
def amproxy(house: Servers) -> Server:
    contacts = (
        "contacts: {phone: '+49 170 1234567', email: alice@example.org, console: Alice's phone}"
    )
    server = house.amproxy(ROUTES.replace("contacts: {console: Alice's phone}", contacts))
    fill(server.url)
    return server


def fresh(amproxy: Server, name: str = "DiskFull") -> dict[str, object]:
    """An incident that nobody has touched."""
    cluster = next(_clusters)
    push(amproxy.url, alert(name, cluster, f"Disk of {cluster} is full"))
    return opened(amproxy.url, f"{name} on {cluster}")


def state(amproxy: Server, incident: dict[str, object]) -> str:
    return str(ask(f"{amproxy.url}/api/v1/incidents/{incident['id']}")["state"])


@pytest.mark.parametrize(
    ("size", "dark", "language"),
    [("desktop", False, "ru"), ("phone", True, "en"), ("phone", False, "ru")],
)
def test_every_page_fits_and_everybody_can_use_it(
    amproxy: Server, visit: Visit, size: str, dark: bool, language: str
) -> None:
    incident = fresh(amproxy, "AnAlertWithAVeryLongNameThatHasNoSpacesInItAtAll")
    visitor = visit(amproxy, "/", size=size, dark=dark, language=language).fits().accessible()
    visitor.go(
        "/incidents?label=cluster%3D~%22.*%22&state=resolved&state=triggered"
    ).fits().accessible()
    visitor.go("/page").fits().accessible()
    visitor.go(f"/incidents/{incident['id']}?why=carol")
    visitor.page.locator("#more-summary").click()
    visitor.fits().accessible()


@WAYS
def test_one_incident_from_the_first_page_to_its_end(
    amproxy: Server, visit: Visit, size: str, scripts: bool
) -> None:
    incident, other = fresh(amproxy), fresh(amproxy)
    visitor = visit(amproxy, "/", size=size, scripts=scripts)
    page = visitor.page

    def more() -> None:
        if not page.locator("#more").evaluate("part => part.open"):
            page.locator("#more-summary").click()

    visitor.press(str(incident["title"]), "link").sees("nobody has answered")
    visitor.press("Acknowledge").sees("Acknowledged by")
    more()
    page.locator("#responders-user-2").check()
    page.locator("#do-responders").click()
    visitor.sees("Asked to join: Bob Birch")
    more()
    visitor.press("Unacknowledge").sees("nobody has answered")
    more()
    page.locator("#snooze-for").select_option("4h")
    page.locator("#do-snooze").click()
    visitor.sees("Snoozed by")
    more()
    visitor.press("Escalate now").sees("nobody has answered")
    more()
    page.locator("#reassign-to").select_option("policy:database")
    page.locator("#do-reassign").click()
    visitor.sees("policy database")
    page.locator("#note").fill("looked at it")
    visitor.press("Add note").sees("looked at it")
    visitor.press("Resolve").sees("Resolved at")
    visitor.press("Open again").sees("nobody has answered")
    more()
    page.locator("#merge-into").fill(f"#{other['number']}")
    page.locator("#do-merge").click()
    visitor.sees("Merged into another incident")
    visitor.press(f"#{other['number']}", "link").sees("Merged into this:").fits()
    assert state(amproxy, incident) == "resolved"


@TWO
def test_many_incidents_are_acted_on_together(
    amproxy: Server, visit: Visit, size: str, scripts: bool
) -> None:
    name = f"Many{size}{scripts}"
    found = [fresh(amproxy, name) for _ in range(3)]
    visitor = visit(
        amproxy, f"/incidents?label=alertname%3D%22{name}%22", size=size, scripts=scripts
    )
    page = visitor.page
    page.locator(f"#pick-{found[0]['id']}").check()
    page.locator("#bulk").get_by_role("button", name="Acknowledge").click()
    visitor.sees("1 incident acknowledged.")
    page.locator("#pick-all").click()
    page.locator("#bulk-into").select_option(str(found[2]["id"]))
    page.locator("#bulk").get_by_role("button", name="Merge").click()
    visitor.sees("2 incidents merged.")
    assert [state(amproxy, one) for one in found] == ["resolved", "resolved", "triggered"]
    page.locator("#pick-all").click()
    page.locator("#bulk").get_by_role("button", name="Resolve").click()
    visitor.sees("1 incident resolved.").sees("No incident is like this.")


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no scripts"])
def test_the_list_is_narrowed_by_pressing_and_writing(
    amproxy: Server, visit: Visit, scripts: bool
) -> None:
    incident = fresh(amproxy, "Narrow")
    visitor = visit(amproxy, "/incidents", scripts=scripts)
    visitor.page.locator("#text").fill(f"#{incident['number']}")
    visitor.page.locator("#filter").click()
    visitor.sees("Narrow on")
    assert visitor.page.locator("article").count() == 1
    visitor.page.get_by_role("link", name="severity critical").click()
    visitor.page.wait_for_url("**/incidents?text=%23*&label=severity*")
    visitor.page.locator("#user").select_option("bob")
    visitor.page.locator("#narrow").get_by_role("button", name="Filter").click()
    visitor.page.wait_for_url("**/incidents?*user=bob*")
    visitor.press("Clear all filters", "link")
    visitor.page.wait_for_url("**/incidents")


@TWO
def test_somebody_is_paged_by_hand(amproxy: Server, visit: Visit, size: str, scripts: bool) -> None:
    visitor = visit(amproxy, "/", size=size, scripts=scripts).press("Page someone", "link")
    visitor.page.get_by_label("What is the matter?").fill(f"Call me {size} {scripts}")
    visitor.press("Page them").sees("Exactly one of users, schedule, team and policy is needed")
    assert (
        visitor.page.get_by_label("What is the matter?").input_value()
        == f"Call me {size} {scripts}"
    )
    visitor.page.get_by_label("Carol Cedar").check()
    visitor.press("Page them").sees("nobody has answered").sees("Carol Cedar over console")


def test_an_open_page_follows_what_others_do_and_keeps_what_is_being_written(
    amproxy: Server, visit: Visit
) -> None:
    incident = fresh(amproxy)
    visitor = visit(amproxy, f"/incidents/{incident['id']}").sees("Live")
    visitor.page.locator("#more-summary").click()
    visitor.page.locator("#note").fill("half a sen")
    ask(f"{amproxy.url}/api/v1/incidents/{incident['id']}/acknowledge", {"user": "bob"})
    visitor.sees("Acknowledged by Bob Birch")
    assert visitor.page.locator("#note").input_value() == "half a sen"
    assert visitor.page.evaluate("document.activeElement.id") == "note"
    assert visitor.page.locator("#more").evaluate("part => part.open")


def test_what_is_ticked_stays_ticked_and_what_comes_in_is_not(
    amproxy: Server, visit: Visit
) -> None:
    first = fresh(amproxy, "Ticks")
    visitor = visit(amproxy, "/incidents?label=alertname%3D%22Ticks%22&select=all").sees("Live")
    second = fresh(amproxy, "Ticks")
    visitor.page.locator(f"#pick-{second['id']}").wait_for()
    assert visitor.page.locator(f"#pick-{first['id']}").is_checked()
    assert not visitor.page.locator(f"#pick-{second['id']}").is_checked()


def test_every_action_is_reached_by_keyboard(amproxy: Server, visit: Visit) -> None:
    incident = fresh(amproxy)
    visitor = visit(amproxy, f"/incidents/{incident['id']}")
    page, seen = visitor.page, set[str]()
    for _ in range(90):
        page.keyboard.press("Tab")
        on = page.evaluate("document.activeElement.id")
        if on == "more-summary" and on not in seen:
            page.keyboard.press("Enter")
        seen.add(on)
    actions = {
        "acknowledge",
        "resolve",
        "escalate",
        "snooze",
        "reassign",
        "responders",
        "merge",
        "note",
        "why",
    }
    assert {f"do-{action}" for action in actions} <= seen
    page.locator("#do-acknowledge").focus()
    page.keyboard.press("Enter")
    visitor.sees("Acknowledged by")


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no scripts"])
def test_the_menu_of_a_phone_leads_to_all_places(
    amproxy: Server, visit: Visit, scripts: bool
) -> None:
    visitor = visit(amproxy, "/incidents", size="phone", scripts=scripts)
    visitor.page.locator("#menu summary").click()
    visitor.fits().press("People", "link").sees("Alice Ash")
    visitor.page.wait_for_url("**/people")


def test_nothing_is_swapped_under_a_finger(amproxy: Server, visit: Visit) -> None:
    incident = fresh(amproxy)
    visitor = visit(amproxy, f"/incidents/{incident['id']}").sees("Live")
    page = visitor.page
    page.locator("#do-resolve").hover()
    page.mouse.down()
    ask(
        f"{amproxy.url}/api/v1/incidents/{incident['id']}/note",
        {"user": "bob", "text": "something else happens"},
    )
    page.wait_for_timeout(2500)
    assert "something else happens" not in visitor.text
    page.mouse.up()
    visitor.sees("Resolved at").sees("something else happens")
