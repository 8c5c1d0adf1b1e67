"""Programs come with API tokens; what people and programs have done stands in the log."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import httpx
import pytest

from tests.support.servers import Server, Servers
from tests.support.signin.signed import Browser, Program, company, log, token
from tests.support.waiting import until


@pytest.fixture(scope="module")
def amproxy(house: Servers) -> Server:
    return house.amproxy(company())


@pytest.fixture(scope="module")
def ada(amproxy: Server) -> Browser:
    return Browser(amproxy).signed_in("ada")


def opened(amproxy: Server, ada: Browser, name: str, team: str) -> str:
    """The id of an incident of a team."""
    alert = {"labels": {"alertname": name, "team": team}}
    assert (
        httpx.post(f"{amproxy.url}/api/v2/alerts", json=[alert], trust_env=False).status_code == 200
    )

    def found() -> str:
        incidents = ada.get("/api/v1/incidents").json()["incidents"]
        return next(
            (str(incident["id"]) for incident in incidents if name in incident["title"]), ""
        )

    return until(found, why="nothing was opened")


def test_a_token_opens_what_its_scope_says(amproxy: Server, ada: Browser) -> None:
    asked = [
        ("GET", "/api/v1/incidents"),
        ("GET", "/api/v2/status"),
        ("GET", "/metrics"),
        ("POST", "/api/v1/test-alert"),
    ]
    asked += [("GET", "/api/v1/tokens"), ("POST", "/-/reload")]
    codes = {}
    for scope in ("read", "respond", "admin", "metrics"):
        with Program(amproxy, token(ada, scope)) as program:
            codes[scope] = [program.request(method, path).status_code for method, path in asked]
    assert codes["read"] == [200, 200, 200, 403, 403, 403]
    assert codes["respond"] == [200, 200, 200, 202, 403, 403]
    assert codes["admin"] == [200, 200, 200, 202, 200, 200]
    assert codes["metrics"] == [403, 403, 200, 403, 403, 403]


@pytest.mark.parametrize("how", ["bearer", "basic"])
def test_clients_that_know_bearer_or_basic_only_can_use_it(
    amproxy: Server, ada: Browser, how: str
) -> None:
    secret = token(ada, "read")
    auth = httpx.BasicAuth("anything", secret) if how == "basic" else None
    headers = {} if auth else {"Authorization": f"Bearer {secret}"}
    assert (
        httpx.get(
            f"{amproxy.url}/api/v2/silences", auth=auth, headers=headers, trust_env=False
        ).status_code
        == 200
    )


def test_a_token_is_shown_once_and_revoked_for_good(amproxy: Server, ada: Browser) -> None:
    secret = token(ada, "read", "metrics")
    assert secret.startswith("amp_") and len(secret) >= 47
    with Program(amproxy, secret) as program:
        assert program.get("/").status_code == 200
        listed = ada.get("/api/v1/tokens")
        found = listed.json()[0]
        assert (
            found["name"] == "read-metrics"
            and found["made_by"] == "ada"
            and found["last_used"]
            and secret not in listed.text
        )
        assert ada.delete(f"/api/v1/tokens/{found['id']}").status_code == 204
        assert (
            program.get("/api/v1/incidents").status_code == 401
            and program.get("/").status_code == 303
        )
        assert found["id"] not in ada.get("/api/v1/tokens").text
    assert ada.delete(f"/api/v1/tokens/{found['id']}").status_code == 404


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": "x"},
        {"name": "x", "scopes": []},
        {"name": "x", "scopes": ["root"]},
        {"name": "", "scopes": ["read"]},
        {"name": "x", "scopes": ["read"], "user": "nobody"},
        {"name": "x", "scopes": ["read"], "expires": "2020-01-01T00:00:00Z"},
        {"name": "x", "scopes": ["read"], "expires": "soon"},
        {"name": "x" * 101, "scopes": ["read"]},
        {"name": "a\nb", "scopes": ["read"]},
        {"name": "x", "scopes": ["read"], "more": 1},
    ],
    ids=str,
)
def test_a_token_that_makes_no_sense_is_not_made(ada: Browser, body: dict[str, object]) -> None:
    assert ada.post("/api/v1/tokens", json=body).status_code == 422


def test_an_expired_token_opens_nothing(amproxy: Server, ada: Browser) -> None:
    soon = datetime.now(UTC) + timedelta(seconds=4)  # time enough for a busy machine to make it
    with Program(amproxy, token(ada, "read", expires=soon.isoformat())) as program:
        until(lambda: program.get("/api/v1/incidents").status_code == 401)
        assert datetime.now(UTC) >= soon
    for nonsense in ("amp_", "amp_x", "amp_" + "é" * 10, "x"):
        headers = {"Authorization": f"Bearer {nonsense}".encode()}
        assert (
            httpx.get(
                f"{amproxy.url}/api/v1/incidents", headers=headers, trust_env=False
            ).status_code
            == 401
        )


def test_a_token_that_acts_as_somebody_may_no_more_than_they(amproxy: Server, ada: Browser) -> None:
    with Program(amproxy, token(ada, "admin", user="vic")) as program:
        assert (
            program.get("/").status_code == 200
            and program.post("/api/v1/test-alert").status_code == 403
        )


def test_who_acts_is_who_is_signed_in_whatever_the_body_says(amproxy: Server, ada: Browser) -> None:
    incident = opened(amproxy, ada, "WhoActs", "blue")
    rob = Browser(amproxy).signed_in("rob")
    answer = rob.post(f"/api/v1/incidents/{incident}/acknowledge", json={"user": "rita"})
    assert answer.json()["acknowledged_by"] == "rob"
    with Program(amproxy, token(ada, "respond")) as program:
        assert (
            program.post(
                f"/api/v1/incidents/{incident}/unacknowledge", json={"user": "rita"}
            ).status_code
            == 200
        )
    with Program(amproxy, token(ada, "admin")) as program:
        assert (
            program.post(f"/api/v1/incidents/{incident}/acknowledge", json={"user": "rita"}).json()[
                "acknowledged_by"
            ]
            == "rita"
        )
    with Program(amproxy, token(ada, "respond", user="rob")) as program:
        assert (
            program.post(f"/api/v1/incidents/{incident}/resolve", json={"user": "rita"}).json()[
                "resolved_by"
            ]
            == "rob"
        )
    shown = [
        (entry["user"], entry["via"], entry["token"])
        for entry in log(ada)[:8]
        if "WhoActs" in entry["what"]
    ]
    assert shown == [
        ("rob", "token", "respond"),
        ("rita", "token", "admin"),
        (None, "token", "respond"),
        ("rob", "session", None),
    ]


def test_responders_act_for_their_own_teams_and_on_what_they_were_paged_for(
    amproxy: Server, ada: Browser
) -> None:
    incident = opened(amproxy, ada, "RedOnly", "red")
    rob, rita = Browser(amproxy).signed_in("rob"), Browser(amproxy).signed_in("rita")
    refused = rob.post(f"/api/v1/incidents/{incident}/acknowledge")
    assert refused.status_code == 403 and "team red" in refused.json()["detail"]
    assert rob.post(f"/incidents/{incident}/acknowledge").status_code == 403
    assert (
        "do-acknowledge" not in rob.get(f"/incidents/{incident}").text
        and "do-acknowledge" in rita.get(f"/incidents/{incident}").text
    )
    bulk = rob.post(
        "/api/v1/incidents/bulk", json={"action": "acknowledge", "ids": [incident, "nothing"]}
    ).json()
    assert bulk["done"] == 0 and "team red" in str(bulk) and "there is no incident" in str(bulk)
    span = {"user": "rob", "start": "2031-01-05T09:00:00Z", "end": "2031-01-06T09:00:00Z"}
    assert rob.post("/api/v1/schedules/red/overrides", json=span).status_code == 403
    made = rita.post("/api/v1/schedules/red/overrides", json=span)
    assert made.status_code == 201
    assert rob.delete(f"/api/v1/schedules/red/overrides/{made.json()['id']}").status_code == 403
    away = {"start": "2031-01-05T09:00:00Z", "end": "2031-01-06T09:00:00Z"}
    assert rob.post("/api/v1/users/rita/absences", json=away).status_code == 403
    assert [
        rob.post(f"/api/v1/users/{name}/absences", json=away).status_code for name in ("rob", "vic")
    ] == [201, 201]
    later = {"start": "2031-01-07T09:00:00Z", "end": "2031-01-08T09:00:00Z"}
    swap = rita.post("/api/v1/schedules/red/swaps", json=later | {"user": "rita"})
    assert swap.status_code == 201, swap.text
    assert (
        rob.post(f"/api/v1/swaps/{swap.json()['id']}/take", json={"user": "rob"}).status_code == 403
    )
    assert rob.delete(f"/api/v1/swaps/{swap.json()['id']}").status_code == 403
    assert rita.delete(f"/api/v1/swaps/{swap.json()['id']}").status_code == 204
    assert (
        ada.post(f"/api/v1/incidents/{incident}/responders", json={"users": ["rob"]}).status_code
        == 200
    )
    assert rob.post(f"/api/v1/incidents/{incident}/acknowledge").json()["acknowledged_by"] == "rob"


def test_a_viewer_answers_what_they_were_paged_for_and_nothing_else(
    amproxy: Server, ada: Browser
) -> None:
    incident, other = opened(amproxy, ada, "Vic", "red"), opened(amproxy, ada, "NotVic", "red")
    vic, path = Browser(amproxy).signed_in("vic"), f"/api/v1/incidents/{incident}"
    assert vic.post(f"{path}/acknowledge").status_code == 403
    assert "do-acknowledge" not in vic.get(f"/incidents/{incident}").text
    asked = ada.post(f"{path}/responders", json={"users": ["vic"]})
    assert asked.status_code == 200
    assert "do-acknowledge" in vic.get(f"/incidents/{incident}").text
    with Program(amproxy, token(ada, "read", user="vic")) as program:
        assert program.post(f"{path}/acknowledge").status_code == 403
    with Program(amproxy, token(ada, "respond", user="vic")) as program:
        assert program.post(f"{path}/acknowledge").json()["acknowledged_by"] == "vic"
    assert vic.post(f"/incidents/{incident}/unacknowledge").status_code == 303
    assert vic.post(f"{path}/resolve").json()["resolved_by"] == "vic"
    for refused in (f"/api/v1/incidents/{other}/acknowledge", f"/incidents/{other}/resolve"):
        assert vic.post(refused).status_code == 403
    assert vic.post("/api/v1/incidents", json={"title": "x", "users": ["vic"]}).status_code == 403


def test_every_change_is_in_the_log_with_who_how_and_what(amproxy: Server, ada: Browser) -> None:
    incident = opened(amproxy, ada, "Logged", "blue")
    rob = Browser(amproxy).signed_in("rob")
    silence = {
        "matchers": [{"name": "host", "value": "db1", "isRegex": False}],
        "startsAt": "2031-01-01T00:00:00Z",
        "endsAt": "2031-01-02T00:00:00Z",
        "createdBy": "somebody",
        "comment": "later",
    }
    rob.post(f"/incidents/{incident}/acknowledge")
    made = rob.post("/api/v2/silences", json=silence).json()["silenceID"]
    rob.delete(f"/api/v2/silence/{made}")
    ada.post("/-/reload")
    rob.post(f"/incidents/{incident}/acknowledge")  # changes nothing: it is acknowledged already
    found = log(ada)[:5]
    assert [
        (entry["user"], entry["what"].partition(" ")[0], entry["via"], entry["role"])
        for entry in found[:4]
    ] == [
        ("ada", "loaded", "session", "admin"),
        ("rob", "ended", "session", "responder"),
        ("rob", "silenced", "session", "responder"),
        ("rob", "acknowledged", "session", "responder"),
    ]
    assert (
        found[0]["what"] == "loaded the file anew"
        and "Logged" in found[3]["what"]
        and 'host="db1"' in found[2]["what"]
    )
    assert all(entry["from"] == "127.0.0.1" and entry["result"] == "done" for entry in found)


def test_the_log_is_asked_by_person_and_span_and_page_by_page(ada: Browser) -> None:
    whole = log(ada, limit="500")
    assert {entry["user"] for entry in log(ada, user="rob")} == {"rob"}
    middle = whole[len(whole) // 2]["at"]
    assert (
        min(entry["at"] for entry in log(ada, **{"from": middle}))
        >= middle
        > max(entry["at"] for entry in log(ada, to=middle))
    )
    pages, cursor = [], ""
    while True:
        page = ada.get("/api/v1/audit", params={"limit": "7", "cursor": cursor}).json()
        pages += page["entries"]
        cursor = page["next"]
        if cursor is None:
            break
    assert pages == whole
    for query in ("limit=0", "limit=x", "cursor=x", "from=yesterday", "limit=501"):
        assert ada.get(f"/api/v1/audit?{query}").status_code == 422


def test_without_sign_in_everything_is_open_and_the_log_still_written(house: Servers) -> None:
    amproxy = house.amproxy(company().partition("\nsign_in")[0])
    browser = Browser(amproxy)
    assert browser.get("/").status_code == 200 and "/sign-out" not in browser.get("/").text
    assert (
        browser.get("/sign-in").headers["location"] == "/"
        and browser.post("/sign-in", data={"name": "ada"}).status_code == 404
    )
    incident = opened(amproxy, browser, "Open", "blue")
    assert (
        browser.post(f"/api/v1/incidents/{incident}/acknowledge", json={"user": "rita"}).json()[
            "acknowledged_by"
        ]
        == "rita"
    )
    entry = log(browser)[0]
    assert (entry["user"], entry["via"], entry["what"].partition(" ")[0]) == (
        "rita",
        "open",
        "acknowledged",
    )


def test_strangers_may_read_where_the_file_says_so(house: Servers) -> None:
    amproxy = house.amproxy(company("{passwords: true, anonymous: viewer}"))
    browser = Browser(amproxy)
    page = browser.get("/")
    assert (
        page.status_code == 200 and 'href="/sign-in"' in page.text and "test-alert" not in page.text
    )
    assert browser.get("/metrics").status_code == browser.get("/api/v2/status").status_code == 200
    assert browser.get("/api/v1/tokens").status_code == 401
    answer = browser.post(
        "/test-alert", headers={"Referer": f"{amproxy.url}/incidents?state=resolved"}
    )
    assert answer.status_code == 303 and answer.headers["location"] == (
        "/sign-in?back=/incidents%3Fstate%3Dresolved&undone=1"
    )
    assert browser.post("/api/v1/test-alert").status_code == 401
    assert browser.signed_in("rob").post("/test-alert").status_code == 303
