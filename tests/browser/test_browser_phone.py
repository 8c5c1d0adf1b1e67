"""A phone at night, in a real Chromium: 30 schedules, 300 incidents, and names of 84 characters."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import quote

import pytest

from tests.support.browser.demo import ask, push
from tests.support.browser.visitor import Visitor
from tests.support.servers import Server, Servers, needs
from tests.support.waiting import until

pytestmark = needs("chromium")
Visit = Callable[..., Visitor]
WAYS = pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no scripts"])
SCHEDULES, PEOPLE, INCIDENTS = 30, 40, 300
PHONE = (375, 667)


def long(name: str) -> str:
    """A name of 84 characters, half of them without a space."""
    return f"{name} of the department that looks after it, {'x' * 84}"[:84]


def routes() -> str:
    people = [
        f"{{name: u{n}, full_name: '{long(f'Person {n}')}', contacts: {{console: c, phone: '+49 170 {n}'}}}}"
        for n in range(PEOPLE)
    ]
    schedules = [
        f"{{name: '{long(f'Schedule {n}')}', layers: [{{users: [u{n}, u{n + 1}], "
        "rotation: {every: 1w, start: 2026-01-05}}]}"
        for n in range(SCHEDULES)
    ]
    steps = f"[{{notify: {{schedule: '{long('Schedule 3')}'}}}}, {{wait: 5m}}, {{notify: {{users: [u5]}}}}]"
    return f"""
route: {{receiver: '{long("Receiver")}', group_by: [alertname], group_wait: 0s}}
receivers: [{{name: '{long("Receiver")}', oncall_configs: [{{escalation_policy: '{long("Policy")}'}}]}}]
users: [{", ".join(people)}]
teams: [{{name: '{long("Team")}', members: [u3, u5]}}]
schedules: [{", ".join(schedules)}]
escalation_policies: [{{name: '{long("Policy")}', team: '{long("Team")}', steps: {steps}}}]
"""


@pytest.fixture(scope="module")
def amproxy(house: Servers) -> Server:
    server = house.amproxy(routes())
    labels = [{"alertname": long(f"Alert {n}"), "severity": "critical"} for n in range(INCIDENTS)]
    text = {"summary": "Disk is full", "description": "What it means. " * 150}
    push(server.url, *({"labels": one, "annotations": text} for one in labels))
    page = f"{server.url}/api/v1/incidents?limit=500"
    until(lambda: len(ask(page)["incidents"]) == INCIDENTS, why="not all incidents were opened")
    return server


@WAYS
def test_somebody_woken_answers_and_snoozes_with_a_thumb(
    amproxy: Server, visit: Visit, scripts: bool
) -> None:
    visitor = visit(amproxy, "/", size="phone", scripts=scripts).resize(*PHONE)
    assert visitor.place("article.incident")[0] < 400
    visitor.page.locator("article.incident a").first.click()
    visitor.sees("nobody has answered")
    for selector in ("#do-acknowledge", "#snooze-summary", "#do-escalate", "#more-summary"):
        top, bottom = visitor.place(selector)
        assert top >= 0 and bottom <= PHONE[1], f"{selector} is out of sight"
    visitor.page.locator("#do-acknowledge").click()
    visitor.sees("Acknowledged by")
    visitor.page.locator("#snooze-summary").click()
    visitor.page.locator("#snooze-morning").click()
    visitor.sees("Snoozed by").fits()


def test_no_page_scrolls_sideways_and_every_target_is_large_enough_for_a_finger(
    amproxy: Server, visit: Visit
) -> None:
    incident = ask(f"{amproxy.url}/api/v1/incidents?limit=1")["incidents"][0]
    schedule, policy, receiver = (quote(long(one)) for one in ("Schedule 3", "Policy", "Receiver"))
    visitor = visit(amproxy, size="phone")
    for path in (
        *("/", "/incidents?state=triggered&limit=3", f"/incidents/{incident['id']}", "/page"),
        *("/schedules", f"/schedules/{schedule}", f"/schedules/{schedule}/layers", "/policies"),
        *(f"/change/policy?name={policy}", "/routes", f"/receivers/{receiver}", "/people", "/me"),
        *("/silences/new", "/deliveries", "/sources", "/insights", "/admin", "/api"),
    ):
        visitor.go(path).opens_all()
        for width in (1440, 1024, 768, 600, 320):
            visitor.resize(width, 667).fits()
        visitor.resize(*PHONE).fits().is_for_fingers()
