"""What surrounds the calls: methods, Accept, untidy paths, other sites' pages, the API v1 that is gone."""

from __future__ import annotations

import pytest

from tests.support.alertmanager.served import Api

FOREIGN = {"Origin": "http://ui.example"}
UNKNOWN = "00000000-0000-4000-8000-000000000001"


@pytest.mark.parametrize(
    ("accept", "status"),
    [
        ("", 200),
        ("*/*", 200),
        ("application/*", 200),
        ("application/json; version=1", 200),
        ("text/html, */*;q=0.1", 200),
        ("text/html", 406),
        ("text/html;q=0.9, application/xml", 406),
        ("application/json;q=0", 406),
        ("application/json;q=0.000", 406),
    ],
)
def test_who_does_not_take_json_is_told_so(api: Api, accept: str, status: int) -> None:
    answer = api.ask("GET", "/api/v2/alerts", headers={"Accept": accept})
    assert answer.status == status
    assert status == 200 or answer.json["code"] == 406
    assert (
        api.ask(
            "POST", "/api/v2/silences", {}, {"Content-Type": "application/json", "Accept": accept}
        ).status
        == 422
    )


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("HEAD", "status", "GET"),
        ("OPTIONS", "alerts", "POST,GET"),
        ("PATCH", "alerts/groups", "GET"),
        ("PUT", "silences", "POST,GET"),
        ("POST", "silence/x", "DELETE,GET"),
        ("DELETE", "receivers/", "GET"),
    ],
)
def test_another_method_is_told_the_right_ones(
    api: Api, method: str, path: str, allowed: str
) -> None:
    answer = api.ask(method, f"/api/v2/{path}")
    assert (answer.status, answer.headers["allow"]) == (405, allowed)
    if method != "HEAD":
        assert answer.json == {
            "code": 405,
            "message": f"method {method} is not allowed, but [{allowed}] are",
        }


@pytest.mark.parametrize(
    "path",
    [
        "/api/v2/",
        "/api/v2/nothing",
        "/api/v2/silence",
        "/api/v2/silence/",
        "/api/v2/silence/a/b",
        "/api/v2/swagger.json",
    ],
)
def test_an_unknown_path_is_named(api: Api, path: str) -> None:
    answer = api.ask("GET", path)
    assert (answer.status, answer.json) == (
        404,
        {"code": 404, "message": f"path {path} was not found"},
    )


@pytest.mark.parametrize(
    ("path", "clean"),
    [
        ("//api//v2/alerts?x=1", "/api/v2/alerts?x=1"),
        ("/api/v2//alerts/", "/api/v2/alerts/"),
        ("/api/v2", "/api/v2/"),
        ("//api/v2//", "/api/v2/"),
        ("/api/v2//silence/%0d%0aX:y", "/api/v2/silence/%0D%0AX%3Ay"),
    ],
)
def test_an_untidy_path_is_redirected_to_the_tidy_one(api: Api, path: str, clean: str) -> None:
    answer = api.ask("GET", path)
    assert (answer.status, answer.headers["location"]) == (301, clean)


def test_a_redirect_never_leaves_this_server(api: Api) -> None:
    for path in (
        "//evil.example/api/v2/alerts",
        "//evil.example//api/v2/",
        "/\\evil.example//api/v2",
    ):
        answer = api.ask("GET", path)
        assert "location" not in answer.headers
        assert answer.text == "elsewhere"


@pytest.mark.parametrize("path", ["nonsense", "0", f"%7B{UNKNOWN}%7D", f"{UNKNOWN}0"])
def test_what_is_no_uuid_is_unprocessable(api: Api, path: str) -> None:
    for method in ("GET", "DELETE"):
        answer = api.ask(method, f"/api/v2/silence/{path}")
        assert (answer.status, answer.json["code"]) == (422, 601)


def test_an_unknown_silence_is_answered_404_without_a_body(api: Api) -> None:
    for method in ("GET", "DELETE"):
        answer = api.ask(method, f"/api/v2/silence/{UNKNOWN}")
        assert (answer.status, answer.text) == (404, "")


def test_any_page_may_read_and_nothing_is_cached(api: Api) -> None:
    for path in ("alerts", "alerts/groups", "silences", "status", "receivers", "nothing"):
        answer = api.ask("GET", f"/api/v2/{path}", headers=FOREIGN)
        assert answer.status == (404 if path == "nothing" else 200)
        assert answer.headers["access-control-allow-origin"] == "*"
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["vary"] == "Origin"


@pytest.mark.parametrize(
    ("path", "method", "asked", "granted"),
    [
        ("silences", "POST", "content-type", True),
        ("silences", "GET", "", True),
        ("alerts", "GET", "accept, content-type", True),
        ("silences", "POST", "content-type, authorization", False),
        (f"silence/{UNKNOWN}", "DELETE", "", False),
        ("silences", "PUT", "", False),
        ("alerts", "POST", "content-type", False),
        ("alerts/", "POST", "content-type", False),
    ],
)
def test_a_preflight_grants_what_alertmanagers_does_but_no_pushing(
    api: Api, path: str, method: str, asked: str, granted: bool
) -> None:
    headers = {
        **FOREIGN,
        "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": asked,
    }
    answer = api.ask("OPTIONS", f"/api/v2/{path}", headers=headers)
    assert (answer.status, answer.text) == (200, "")
    assert answer.headers.get("access-control-allow-methods") == (method if granted else None)
    assert answer.headers.get("access-control-allow-origin") == ("*" if granted else None)


@pytest.mark.parametrize(
    "headers",
    [
        FOREIGN,
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site", "Origin": "http://127.0.0.1:3000"},
        {"Origin": "null"},
        # a name that was made to point here
        {"Origin": "http://evil.example:9095", "Host": "evil.example:9095"},
    ],
)
def test_a_page_of_another_site_cannot_create_or_end_silences(
    api: Api, headers: dict[str, str]
) -> None:
    kept = api.silence('a="b"').json["silenceID"]
    post = api.ask(
        "POST",
        "/api/v2/silences",
        api.silence_body('a="c"'),
        {"Content-Type": "application/json", **headers},
    )
    plain = api.ask(
        "POST",
        "/api/v2/silences",
        api.silence_body('a="c"'),
        {"Content-Type": "text/plain", **headers},
    )
    delete = api.ask("DELETE", f"/api/v2/silence/{kept}", headers=headers)
    assert (post.status, plain.status, delete.status) == (403, 403, 403)
    assert [silence["status"]["state"] for silence in api.get("/silences")] == ["active"]


def test_programs_may_write_and_so_may_our_own_pages(api: Api) -> None:
    body = api.silence_body('a="b"')
    for headers in (
        {"Host": "localhost:9095"},
        {"Host": "10.1.2.3:9095"},
        {"Origin": api.url},
        {"Sec-Fetch-Site": "same-origin"},
    ):
        assert (
            api.ask(
                "POST", "/api/v2/silences", body, {"Content-Type": "application/json", **headers}
            ).status
            == 200
        )


def test_a_name_that_was_made_to_point_here_opens_nothing(api: Api) -> None:
    kept = api.silence('a="b"').json["silenceID"]
    asked = [("GET", path) for path in ("alerts", "alerts/groups", "silences", "status")]
    asked += [("POST", "silences"), ("POST", "alerts"), ("DELETE", f"silence/{kept}")]
    for method, path in asked:
        headers = {"Host": "evil.example:9095", "Content-Type": "application/json"}
        answer = api.ask(method, f"/api/v2/{path}", [{"labels": {"a": "b"}}], headers)
        assert answer.status == 403 and "web.hosts" in answer.json["message"], (method, path)
    assert [silence["status"]["state"] for silence in api.get("/silences")] == ["active"]
    assert api.get("/alerts") == []


@pytest.mark.parametrize(
    "path", ["status", "receivers", "alerts", "alerts/", "alerts/groups", "silences", "silence/x"]
)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_alertmanagers_api_v1_is_gone(api: Api, method: str, path: str) -> None:
    answer = api.ask(method, f"/api/v1/{path}")
    assert answer.status == 410
    assert answer.json["status"] == "deprecated"
    assert list(answer.json) == ["status", "error"]


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/incidents",
        "/api/v1/oncall",
        "/api/v1/alerts/x",
        "/",
        "/api/v20/alerts",
        "//",
        "//static//x",
    ],
)
def test_all_other_paths_are_somebody_elses(api: Api, path: str) -> None:
    assert api.ask("GET", path).text == "elsewhere"


def test_a_defect_is_answered_500_and_tells_nothing(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert api.context
    monkeypatch.setattr(api.context, "silences", None)
    answer = api.ask("GET", "/api/v2/silences")
    assert (answer.status, answer.json["code"]) == (500, 500)
    assert "NoneType" not in answer.text


def test_status_and_receivers_say_what_the_file_says(api: Api) -> None:
    status = api.get("/status")
    assert status["cluster"]["status"] == "ready"
    assert [set(peer) for peer in status["cluster"]["peers"]] == [{"name", "address"}]
    assert status["uptime"] == "2026-09-21T14:13:20.000Z"
    assert "receiver: team-a" in status["config"]["original"]
    assert [receiver["name"] for receiver in api.get("/receivers")] == [
        "default",
        "team-a",
        "team-b",
    ]
    assert api.get(
        "/receivers?receiver_matchers=name%3D~%22team-.*%22&receiver_matchers=name!%3Dteam-b"
    ) == [{"name": "team-a"}]
