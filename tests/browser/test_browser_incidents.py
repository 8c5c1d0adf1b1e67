"""Incidents, by people in a real Chromium: a phone in the night and a desk, with scripts and without, by keyboard too."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest

from tests.support.browser.demo import ROUTES, alert, ask, fill, opened, push
from tests.support.browser.visitor import Visitor
from tests.support.servers import Server, Servers, needs
from tests.support.waiting import until

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
    page.get_by_label("Bob Birch").check()
    page.locator("#do-responders").click()
    visitor.sees("Asked to join: Bob Birch")
    more()
    visitor.press("Unacknowledge").sees("nobody has answered")
    page.locator("#snooze-summary").click()
    page.locator("#snooze-4h").click()
    visitor.sees("Snoozed by")
    visitor.press("Escalate now").sees("nobody has answered")
    more()
    page.locator("#others-to").select_option("policy:database")
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
    visitor.press(f"Unmerge #{incident['number']}").sees("was taken out of this again")
    assert state(amproxy, incident) == "triggered"
    visitor.go(f"/incidents/{incident['id']}").sees("Taken out of")
    visitor.press("Resolve").sees("Resolved at")
    more()
    page.locator("#delete-sure").check()
    visitor.fits().press("Delete for good").sees("1 incident deleted.")


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
    page = visitor.page
    page.locator("#text").fill(f"#{incident['number']}")
    page.locator("#filter").click()
    visitor.sees("Narrow on")
    assert page.locator("article").count() == 1
    page.locator("#labels summary").click()
    page.get_by_role("link", name="severity critical").click()
    page.wait_for_url("**/incidents?text=%23*&label=severity*")
    page.locator("#narrow-more").click()
    page.locator("#user").select_option("bob")
    page.locator("#narrow").get_by_role("button", name="Filter").click()
    page.wait_for_url("**/incidents?*user=bob*")
    page.locator("#labels summary").click()
    page.locator("#label-new").fill("{oops")
    page.locator("#labels").get_by_role("button", name="Filter").click()
    visitor.sees("A filter is wrong")
    assert page.locator("#label-2").input_value() == "{oops"
    visitor.press("Clear all filters", "link")
    page.wait_for_url("**/incidents")


@pytest.fixture(scope="module")
def crowd(amproxy: Server) -> str:
    """The address of a list of twenty incidents, of two teams and three severities."""
    push(
        amproxy.url,
        *(
            alert(
                "Crowd",
                f"crowd{place}-{'x' * 60}",
                "Disk is full " * 12,
                severity=("critical", "warning", "info")[place % 3],
                team=("platform", "database")[place % 2],
            )
            for place in range(20)
        ),
    )
    address = "/incidents?label=alertname%3D%22Crowd%22"
    path = f"/api/v1{address}"
    until(lambda: len(ask(f"{amproxy.url}{path}")["incidents"]) == 20, why="no crowd of incidents")
    return address


@TWO
def test_many_incidents_are_seen_at_a_glance_and_in_any_order(
    amproxy: Server, crowd: str, visit: Visit, size: str, scripts: bool
) -> None:
    visitor = visit(amproxy, "/incidents", size=size, scripts=scripts)
    page = visitor.page
    inside = (
        """rows => rows.filter(row => row.getBoundingClientRect().bottom <= innerHeight).length"""
    )
    heights = "rows => rows.map(row => row.getBoundingClientRect().height)"
    rows = page.locator("article.line")
    if size == "desktop":
        assert rows.evaluate_all(inside) >= 15
    visitor.go(crowd)
    assert all(
        40 <= height <= (52 if size == "desktop" else 72) for height in rows.evaluate_all(heights)
    )
    page.locator("#sort").select_option("severity")
    if not scripts:
        page.locator("#filter").click()
    page.wait_for_url("**sort=severity*")
    page.locator("#group").select_option("team")
    if not scripts:
        page.locator("#filter").click()
    page.wait_for_url("**group=team*")
    until(lambda: page.locator(".list h2").all_inner_texts() == ["database 10", "platform 10"])
    shown = page.locator(".list").first.locator(".severity").all_inner_texts()
    assert shown == sorted(shown, key=("critical", "warning", "info").index)
    visitor.fits()
    if size == "desktop":
        page.locator("#rows").click()
        page.wait_for_url("**rows=comfortable*")
        assert all(40 <= height <= 52 for height in rows.evaluate_all(heights))


@pytest.mark.parametrize(("size", "dark"), [("desktop", True), ("phone", False)])
def test_the_filters_open_by_keyboard_and_everybody_can_use_them(
    amproxy: Server, crowd: str, visit: Visit, size: str, dark: bool
) -> None:
    visitor = visit(amproxy, f"{crowd}&group=severity", size=size, dark=dark, language="ru")
    page = visitor.page
    for name in ("views", "labels", "narrow"):
        page.locator(f"#{name} > summary").focus()
        page.keyboard.press("Enter")
        visitor.fits()
        if name == ("labels" if dark else "narrow"):
            visitor.accessible()
        page.keyboard.press("Escape")
        assert page.locator(".drop[open]").count() == 0
        assert page.evaluate("document.activeElement.parentElement.id") == name


def test_a_view_is_saved_found_again_and_forgotten(amproxy: Server, visit: Visit) -> None:
    name = "Grave ones"
    visitor = visit(amproxy, "/incidents", scripts=False)
    page = visitor.page
    page.locator("#me-user").select_option("carol")
    page.locator("#me button").click()
    page.locator("#mine").wait_for()
    visitor.go("/incidents?sort=severity&team=database")
    page.locator("#views summary").click()
    page.locator("#view-name").fill(name)
    page.locator("#view-save").click()
    page.locator("#views summary").wait_for()
    visitor.go("/incidents")
    page.locator("#views summary").click()
    visitor.press(name, "link")
    page.wait_for_url("**/incidents?sort=severity&team=database")
    page.locator("#views summary").click()
    page.get_by_role("button", name=f"Forget the view {name}").click()
    page.locator("#views summary").click()
    visitor.sees("None is saved yet")


def test_an_incident_that_comes_in_takes_its_place_in_an_open_list(
    amproxy: Server, visit: Visit
) -> None:
    label = "label=alertname%3D%22Place%22"
    fresh(amproxy, "Place")
    visitor = visit(amproxy, f"/incidents?{label}&sort=severity&group=severity").sees("Live")
    push(amproxy.url, alert("Place", "graver", "All is lost", severity="emergency"))
    visitor.sees("emergency")
    headings = visitor.page.locator(".list h2")
    assert headings.all_inner_texts() == ["emergency 1", "critical 1"]


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
        if on in ("more-summary", "snooze-summary") and on not in seen:
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


@TWO
def test_an_incident_with_sixty_alerts_is_a_table_behind_its_timeline(
    amproxy: Server, visit: Visit, size: str, scripts: bool
) -> None:
    name = f"Sixty{size}"
    cluster = next(_clusters)
    alerts = [
        alert(name, cluster, f"Disk {n} of {cluster} is full", instance=f"db-{n}", shard="w" * 84)
        for n in range(60)
    ]
    for n, one in enumerate(alerts):
        one["annotations"]["value"] = f"{n}.5 %"
    push(amproxy.url, *alerts)
    incident = opened(amproxy.url, f"{name} on {cluster}")
    visitor = visit(amproxy, f"/incidents/{incident['id']}", size=size, scripts=scripts).fits()
    page = visitor.page
    assert page.locator("table.alerts tbody tr").count() == 10
    assert page.locator("table.alerts .values").first.inner_text().endswith(".5 %")
    assert visitor.place("#timeline")[0] < visitor.place("table.alerts")[0]
    assert not page.locator(".pages li").first.is_visible(), "deliveries are folded"
    page.locator("#pages-all summary").click()
    page.locator(".pages li").first.wait_for(state="visible")
    page.locator("table.alerts summary").first.click()
    visitor.sees("Silence this alert").fits()
    if scripts:
        height = page.evaluate("document.documentElement.scrollHeight")
        assert height <= 3000, height
        visitor.accessible()
    visitor.press("Show all 60 alerts", "link")
    page.wait_for_url("**alerts=all*")
    assert page.locator("table.alerts tbody tr").count() == 60


def test_keys_do_what_the_buttons_do_and_nothing_while_somebody_writes(
    amproxy: Server, visit: Visit
) -> None:
    name = "ByKeys"
    older, newer = fresh(amproxy, name), fresh(amproxy, name)
    address = f"/incidents?label=alertname%3D%22{name}%22"
    visitor = visit(amproxy, address)
    page = visitor.page

    def on() -> str:
        return str(page.evaluate("document.activeElement.id"))

    page.locator("#text").focus()
    page.keyboard.type("jaske?")
    assert page.locator("#text").input_value() == "jaske?" and on() == "text"
    visitor.go(address)
    page.keyboard.press("j")
    assert on() == f"incident-{newer['id']}"
    page.keyboard.press("j")
    assert on() == f"incident-{older['id']}"
    page.keyboard.press("k")
    assert on() == f"incident-{newer['id']}"
    with page.expect_navigation():
        page.keyboard.press("a")
    assert state(amproxy, newer) == "acknowledged"
    # on an incident: its neighbours in that list, and its buttons; a keyboard of another alphabet too
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/incidents/{older['id']}")
    page.keyboard.press("k")
    page.wait_for_url(f"**/incidents/{newer['id']}")
    page.keyboard.press("j")
    page.wait_for_url(f"**/incidents/{older['id']}")
    page.evaluate(
        "document.body.dispatchEvent(new KeyboardEvent('keydown', {key: 'ы', code: 'KeyS', bubbles: true}))"
    )
    assert on() == "snooze-30m", "nothing is snoozed before somebody has chosen for how long"
    with page.expect_navigation():
        page.keyboard.press("Enter")
    visitor.sees("Snoozed by")
    with page.expect_navigation():
        page.keyboard.press("e")
    visitor.sees("nobody has answered")
    page.keyboard.press("?")
    visitor.sees("The next incident").accessible().fits()
    page.get_by_label("Single keys work").uncheck()
    page.keyboard.press("Escape")
    page.keyboard.press("a")
    page.keyboard.press("?")
    assert not page.locator("dialog[open]").count() and state(amproxy, older) == "triggered"
