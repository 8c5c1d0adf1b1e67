"""People sign in by name and password, and out again, over real HTTP."""

from __future__ import annotations

import re

import pytest

from amproxy.store.sign_in import MAX_ATTEMPT_WAIT, NAME_TRIES, wait_after
from tests.support.servers import Server, Servers
from tests.support.signin.signed import PASSWORD, Browser, company, log


@pytest.fixture(scope="module")
def amproxy(house: Servers) -> Server:
    return house.amproxy(company())


def test_a_page_leads_to_the_sign_in_and_back_to_where_somebody_wanted_to_go(
    amproxy: Server,
) -> None:
    browser = Browser(amproxy)
    answer = browser.get("/incidents?state=resolved&label=a%3D%22b%22")
    assert answer.status_code == 303 and answer.headers["location"].startswith(
        "/sign-in?back=/incidents"
    )
    form = browser.follow(answer)
    back = re.search(r'name="back" value="([^"]*)"', form.text)
    assert form.status_code == 200 and back
    signed = browser.sign_in("ada", back=back[1].replace("&amp;", "&").replace("&#34;", '"'))
    assert signed.status_code == 303
    assert "Ada Admin" in browser.follow(signed).text and "resolved" in signed.headers["location"]


@pytest.mark.parametrize("name", ["rob", "ROB", "rob@example.org"])
def test_a_name_or_an_address_will_do_in_any_case(amproxy: Server, name: str) -> None:
    assert Browser(amproxy).signed_in(name).get("/").status_code == 200


@pytest.mark.parametrize(
    "asked",
    [
        "/",
        "/api/v1/incidents",
        "/api/v2/alerts",
        "/api/v2/status",
        "/events",
        "/metrics",
        "/nothing",
    ],
)
def test_a_stranger_reads_nothing(amproxy: Server, asked: str) -> None:
    answer = Browser(amproxy).get(asked)
    if asked.startswith(("/api", "/events", "/metrics")):
        assert (
            answer.status_code == 401
            and answer.headers["www-authenticate"] == "Bearer"
            and answer.json()
        )
    else:
        assert answer.status_code == 303 and answer.headers["location"].startswith("/sign-in")
    assert (
        answer.headers["cache-control"] == "no-store"
        and "default-src 'none'" in answer.headers["content-security-policy"]
    )


def test_what_is_open_stays_open(amproxy: Server) -> None:
    browser = Browser(amproxy)
    assert (
        browser.get("/-/healthy").status_code
        == browser.get("/-/ready").status_code
        == browser.get("/static/style.css").status_code
        == 200
    )
    assert (
        browser.post(
            "/webhook/any", json={"alerts": [{"status": "firing", "labels": {"alertname": "A"}}]}
        ).status_code
        == 200
    )
    assert browser.post("/api/v2/alerts", json=[{"labels": {"alertname": "A"}}]).status_code == 200
    assert browser.get("/act/nonsense").status_code == 404
    assert browser.post("/slack/interactivity", data={}).status_code in (400, 401)


def test_the_sign_in_page_shows_nothing_of_what_is_inside(amproxy: Server) -> None:
    text = Browser(amproxy).get("/sign-in").text
    assert "Ada" not in text and 'href="/incidents"' not in text and 'id="password"' in text


@pytest.mark.parametrize(
    ("name", "password"),
    [("ada", "wrong"), ("nobody", PASSWORD), ("nopass", PASSWORD), ("", ""), ("vic", "x" * 5000)],
)
def test_a_wrong_name_or_password_is_told_in_the_same_words(
    amproxy: Server, name: str, password: str
) -> None:
    browser = Browser(amproxy)
    answer = browser.sign_in(name, password)
    assert (
        answer.status_code == 401
        and "Name or password is wrong." in answer.text
        and not browser.secret
    )
    assert browser.get("/").status_code == 303


@pytest.mark.parametrize(
    "back",
    [
        "https://evil.example/",
        "//evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "javascript:alert(1)",
        "/\t/evil.example",
        "",
    ],
)
def test_the_sign_in_leads_to_no_other_site(amproxy: Server, back: str) -> None:
    browser = Browser(amproxy)
    assert browser.sign_in("vic", back=back).headers["location"] == "/"
    assert browser.get("/sign-in", params={"back": back}).headers["location"] == "/"


def test_each_sign_in_is_a_new_session_whatever_the_browser_came_with(amproxy: Server) -> None:
    planted = Browser(amproxy)
    planted.cookies.set("amproxy_session", "planted-by-somebody-else")
    planted.signed_in("vic")
    first = [cookie.value for cookie in planted.cookies.jar if cookie.name == "amproxy_session"][-1]
    assert first and first != "planted-by-somebody-else" and len(first) >= 43
    other = Browser(amproxy)
    other.cookies.set("amproxy_session", "planted-by-somebody-else")
    assert other.get("/").status_code == 303
    again = Browser(amproxy).signed_in("vic")
    old = again.secret
    again.signed_in("vic")
    assert again.secret != old
    stale = Browser(amproxy)
    stale.cookies.set("amproxy_session", old)
    assert stale.get("/").status_code == 303


def test_the_cookie_is_for_this_service_and_no_script(amproxy: Server) -> None:
    cookie = Browser(amproxy).sign_in("vic").headers["set-cookie"]
    assert (
        "HttpOnly" in cookie
        and "SameSite=lax" in cookie
        and "Path=/;" in f"{cookie};"
        and "Secure" not in cookie
    )


def test_signing_out_ends_the_session_itself(amproxy: Server) -> None:
    browser = Browser(amproxy).signed_in("vic")
    kept = browser.secret
    assert browser.post("/sign-out").status_code == 303
    browser.cookies.set("amproxy_session", kept)
    assert browser.get("/").status_code == 303


def test_somebody_sees_their_sessions_and_ends_them(amproxy: Server) -> None:
    here, there, other = (Browser(amproxy).signed_in(name) for name in ("rita", "rita", "vic"))
    listed = here.get("/api/v1/sessions").json()
    mine = [one for one in listed if one["current"]]
    assert (
        len(mine) == 1
        and mine[0]["agent"] == "Tests/1"
        and mine[0]["address"] == "127.0.0.1"
        and mine[0]["way"] == "password"
    )
    assert other.delete(f"/api/v1/sessions/{mine[0]['id']}").status_code == 404
    assert other.get("/api/v1/sessions?user=rita").status_code == 403
    assert here.delete("/api/v1/sessions").json()["ended"] >= 1
    assert (
        there.get("/").status_code == 303
        and here.get("/").status_code == 200
        and other.get("/").status_code == 200
    )
    everywhere = Browser(amproxy).signed_in("rita")
    assert everywhere.post("/sign-out", data={"everywhere": "1"}).status_code == 303
    assert here.get("/").status_code == 303


def test_no_other_site_acts_through_a_session(amproxy: Server) -> None:
    browser = Browser(amproxy).signed_in("ada")
    for headers in (
        {"Origin": "https://evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Origin": "null"},
        {"Origin": ""},
    ):
        answer = browser.post("/test-alert", headers=headers)
        assert answer.status_code == 403, headers
    assert (
        browser.post(
            "/sign-in", data={"name": "vic"}, headers={"Origin": "https://evil.example"}
        ).status_code
        == 403
    )
    assert browser.post("/test-alert").status_code == 303


def test_five_wrong_passwords_for_a_name_close_it_for_a_while_and_no_other(house: Servers) -> None:
    amproxy = house.amproxy(company())
    browser = Browser(amproxy)
    assert [browser.sign_in("ada", "wrong").status_code for _ in range(NAME_TRIES)] == [
        401
    ] * NAME_TRIES
    for password in ("wrong", PASSWORD):
        answer = browser.sign_in("ADA@example.org", password)
        assert answer.status_code == 429 and 20 <= int(answer.headers["retry-after"]) <= 60
    assert "Too many attempts" in answer.text
    admin = Browser(amproxy).signed_in("rob")
    assert admin.get("/api/v1/audit").status_code == 403


def test_one_address_cannot_try_many_names(house: Servers) -> None:
    amproxy = house.amproxy(company())
    browser = Browser(amproxy)
    answers = [
        browser.post(
            "/sign-in",
            data={"name": f"name{n}", "password": "wrong"},
            headers={"X-Forwarded-For": f"192.0.2.{n}"},
        ).status_code
        for n in range(25)
    ]
    assert answers[:20] == [401] * 20 and set(answers[20:]) == {429}


def test_who_knows_the_password_is_never_slowed_down(house: Servers) -> None:
    amproxy = house.amproxy(company())
    browser = Browser(amproxy)
    for _ in range(30):
        browser.signed_in("vic")


def test_the_wait_grows_to_a_quarter_of_an_hour() -> None:
    waits = [wait_after(wrong, NAME_TRIES) for wrong in range(12)]
    assert (
        waits[:NAME_TRIES] == [0] * NAME_TRIES
        and waits[NAME_TRIES : NAME_TRIES + 4] == [60, 120, 240, 480]
        and waits[-1] == MAX_ATTEMPT_WAIT == wait_after(10**6, NAME_TRIES)
    )


def test_sign_ins_good_and_bad_are_in_the_log_and_no_password_is(amproxy: Server) -> None:
    Browser(amproxy).sign_in("vic", "my-secret-typo")
    admin = Browser(amproxy).signed_in("ada")
    entries = log(admin)
    assert (
        entries[0]["user"] == "ada"
        and entries[0]["what"] == "signed in by password"
        and entries[0]["result"] == "done"
    )
    assert (
        entries[1]["user"] == "vic"
        and entries[1]["result"] == "refused"
        and entries[1]["from"] == "127.0.0.1"
    )
    text = admin.get("/api/v1/audit?limit=500").text
    assert "my-secret-typo" not in text and PASSWORD not in text and admin.secret not in text
    assert PASSWORD not in amproxy.stderr and "my-secret-typo" not in amproxy.stderr


def test_a_role_and_a_place_in_the_file_are_those_of_the_next_request(house: Servers) -> None:
    amproxy = house.amproxy(company())
    admin, rob, vic = (Browser(amproxy).signed_in(name) for name in ("ada", "rob", "vic"))
    assert vic.post("/test-alert").status_code == 403 and rob.get("/").status_code == 200
    text = amproxy.config.read_text().replace(
        "name: vic, role: viewer", "name: vic, role: responder"
    )
    text = (
        text.replace("[rob]", "[rita]")
        .replace("{name: rob,", "{name: robert,")
        .replace("Rob@Example.org", "x@example.org")
    )
    amproxy.config.write_text(text)
    assert vic.post("/-/reload").status_code == 403
    assert admin.post("/-/reload").status_code == 200
    assert vic.post("/test-alert").status_code == 303 and rob.get("/").status_code == 303
