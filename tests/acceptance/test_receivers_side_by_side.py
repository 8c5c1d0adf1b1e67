"""The same file and pushes through the real Alertmanager and amproxy: services get the same requests.

Kinds that Debian's Alertmanager (0.25) has and whose address can be given in the file.
"""

from __future__ import annotations

import html
import json
import re
from collections import defaultdict
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl

import pytest

from tests.support.acceptance.pushing import call
from tests.support.servers import Servers, needs
from tests.support.standins.serving import Request, Response, Server
from tests.support.standins.smtp import Mail, SmtpServer
from tests.support.waiting import until

pytestmark = [pytest.mark.clock, needs("alertmanager")]

SIDES = ("alertmanager", "amproxy")
EXTERNAL = "http://monitor.example"
HOSTILE = "<b>a & b</b> \"c\" 'd' `e` ${HOME} {{ .Status }} \u00e9\U0001f642"
TELEGRAM = {"ok": True, "result": {"message_id": 7, "chat": {"id": 5}, "date": 1}}
TEMPLATES = """
{{ define "__alert" }}{{ range .Alerts }}- {{ .Labels.instance | toUpper }}: {{ .Annotations.summary }}
{{ end }}{{ end }}
{{ define "our.title" }}[{{ .Status | title }}] {{ .CommonLabels.alertname }} ({{ len .Alerts }}){{ end }}
{{ define "our.color" }}{{ if eq .Status "firing" }}#d00{{ else }}#0d0{{ end }}{{ end }}
"""
# What a service sees and amproxy need not repeat: names of programs, lengths, encodings.
IRRELEVANT_HEADERS = {
    "user-agent",
    "content-length",
    "accept-encoding",
    "accept",
    "connection",
    "host",
}


class Services:
    """All services behind one address; each side and kind has a path of its own."""

    def __init__(self) -> None:
        self.requests: dict[tuple[str, str], list[Request]] = defaultdict(list)
        self.server = Server(self._answer)

    async def _answer(self, request: Request) -> Response:
        _, side, kind, *_ = request.path.split("/")
        if request.path.endswith(("/getUpdates", "/getMe", "/deleteWebhook")):
            return Response.json({"ok": True, "result": []})
        self.requests[side, kind].append(request)
        if request.path.endswith("/sendMessage"):
            return Response.json(TELEGRAM)
        if request.path.endswith("/gettoken"):
            return Response.json({"errcode": 0, "access_token": "t0ken", "expires_in": 7200})
        if "/wechat/" in request.path:
            return Response.json({"errcode": 0})
        if "/slack" in request.path:
            return Response(body=b"ok", headers={"Content-Type": "text/plain"})
        return Response.json({"status": "success"}, 202)

    def address(self, side: str, kind: str) -> str:
        return f"{self.server.address}/{side}/{kind}"


def receivers(services: Services, smtp: SmtpServer, side: str) -> dict[str, Any]:
    """Keys of one receiver, by the name of the list."""

    def at(kind: str, path: str = "") -> str:
        return services.address(side, kind) + path

    return {
        "slack_configs": [
            {"api_url": at("slack"), "channel": "#plain", "send_resolved": True},
            {
                "api_url": at("slack_full"),
                "send_resolved": True,
                "channel": "#{{ .CommonLabels.team }}",
                "title": '{{ template "our.title" . }}',
                "title_link": "{{ .ExternalURL }}/x",
                "pretext": "{{ .GroupLabels.SortedPairs.Values | join `, ` }}",
                "text": '{{ template "__alert" . }}',
                "color": '{{ template "our.color" . }}',
                "footer": HOSTILE.replace("{{ .Status }}", "{{ .Status | toUpper }}"),
                "fallback": "fall",
                "callback_id": "{{ .Receiver }}",
                "username": "bot {{ .Status }}",
                "icon_emoji": ":fire:",
                "link_names": True,
                "short_fields": True,
                "fields": [
                    {"title": "Status", "value": "{{ .Status }}"},
                    {"title": "Long", "value": "{{ .CommonAnnotations.summary }}", "short": False},
                ],
                "actions": [
                    {"type": "button", "text": "Go", "url": "{{ (index .Alerts 0).GeneratorURL }}"},
                    {
                        **{"type": "button", "text": "Ask", "name": "n", "value": "v"},
                        "confirm": {"text": "sure?", "title": "T", "ok_text": "yes"},
                    },
                ],
                "image_url": "http://i/x.png",
                "thumb_url": "http://i/t.png",
                "mrkdwn_in": ["text"],
            },
        ],
        "telegram_configs": [
            {"api_url": at("telegram"), "bot_token": "1:a", "chat_id": -5, "send_resolved": True},
            {
                "api_url": at("telegram_plain"),
                "bot_token": "1:a",
                "chat_id": 5,
                "parse_mode": "",
                "disable_notifications": True,
                "message": '{{ template "our.title" . }}: {{ .CommonAnnotations.summary }}',
            },
        ],
        "email_configs": [
            {
                "to": f"{side}@example.org",
                "from": "monitor@example.org",
                "smarthost": f"127.0.0.1:{smtp.port}",
                "require_tls": False,
                "send_resolved": True,
                "headers": {"subject": '{{ template "our.title" . }}', "X-Team": "{{ .Receiver }}"},
                "html": "",
                "text": '{{ template "__alert" . }}{{ .CommonAnnotations.summary }}',
            },
            {
                "to": f"{side}.default@example.org",
                "from": "monitor@example.org",
                "smarthost": f"127.0.0.1:{smtp.port}",
                "require_tls": False,
                "send_resolved": True,
            },
        ],
        "webhook_configs": [{"url": at("webhook")}],
    }


def config(services: Services, smtp: SmtpServer, side: str, templates: str) -> str:
    timings = {"group_wait": "1s", "group_interval": "3s", "repeat_interval": "1h"}
    receiver = {"name": "every.thing", **receivers(services, smtp, side)}
    return json.dumps(
        {
            "route": {"receiver": "every.thing", "group_by": ["alertname"], **timings},
            "receivers": [receiver],
            "templates": [templates],
        },
        ensure_ascii=False,
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Services, SmtpServer]]:
    """A group fires and is resolved at both."""
    folder = tmp_path_factory.mktemp("side-by-side")
    (folder / "ours.tmpl").write_text(TEMPLATES)
    services, url = Services(), f"--web.external-url={EXTERNAL}"
    services.server.start()
    with SmtpServer() as smtp, Servers(folder) as servers:
        texts = [config(services, smtp, side, f"{folder}/*.tmpl") for side in SIDES]
        sides = [
            servers.alertmanager(texts[0], args=[url]),
            servers.amproxy(texts[1], args=[url]),
        ]
        alerts = [
            {
                "labels": {"alertname": "Disk", "team": "ops", "instance": name, "note": HOSTILE},
                "annotations": {"summary": HOSTILE, "description": "two\nlines"},
                "startsAt": "2026-01-05T09:00:00.123Z",
                "generatorURL": "http://prometheus.example/graph?a=1&b=<2>",
            }
            for name in ("db1", "db2")
        ]
        for side in sides:
            assert call("POST", f"{side.url}/api/v2/alerts", alerts).status == 200
        until(lambda: all(len(services.requests[side, "slack"]) == 1 for side in SIDES))
        until(lambda: len(smtp.mails) == 4)
        for alert in alerts:
            alert["endsAt"] = "2026-01-05T10:00:00Z"
        for side in sides:
            assert call("POST", f"{side.url}/api/v2/alerts", alerts).status == 200
        kinds = {kind for _, kind in services.requests}
        until(
            lambda: (
                all(len(services.requests[side, kind]) == 2 for side in SIDES for kind in kinds)
                and len(smtp.mails) == 8
            ),
            seconds=60,
        )
        yield services, smtp
    services.server.stop()


def as_seen(request: Request, side: str) -> dict[str, Any]:
    """A request as the service reads it, without what differs by the side's own path."""
    kind = request.headers.get("content-type", "").partition(";")[0]
    body: Any = request.body.decode()
    if kind == "application/json":
        body = json.loads(body)
    elif kind == "application/x-www-form-urlencoded":
        body = parse_qsl(body, keep_blank_values=True)
    headers = {
        name: value for name, value in request.headers.items() if name not in IRRELEVANT_HEADERS
    }
    headers["content-type"] = kind
    path = request.path.replace(f"/{side}/", "/side/", 1)
    return {
        "method": request.method,
        "path": path,
        "query": request.query,
        "headers": headers,
        "body": body,
    }


@pytest.mark.parametrize("kind", ["slack", "slack_full", "telegram", "telegram_plain", "webhook"])
def test_a_service_gets_the_same_requests_from_both(
    run: tuple[Services, SmtpServer], kind: str
) -> None:
    services, _ = run
    theirs, ours = (
        [as_seen(request, side) for request in services.requests[side, kind]] for side in SIDES
    )
    if kind == "webhook":  # two fields are newer than 0.25
        for request in ours:
            assert request["body"].pop("notification_reason") and "routeLabels" in request["body"]
            del request["body"]["routeLabels"]
    assert len(theirs) == 2
    assert ours == theirs


def mails_of(smtp: SmtpServer, name: str) -> list[tuple[Mail, Mail]]:
    """Alertmanager's and ours, to the addresses of that form."""
    found = [
        [mail for mail in smtp.mails if mail.recipients == [name.format(side)]] for side in SIDES
    ]
    assert len(found[0]) == 2
    return list(zip(*found, strict=True))


def visible(page: str) -> tuple[list[str], list[str]]:
    """The words that a reader sees in a page, and the addresses of its links."""
    body = re.sub(r"(?s).*<body[^>]*>|<style.*?</style>", "", page)
    return html.unescape(re.sub("<[^>]*>", " ", body)).split(), re.findall('href="([^"]*)"', body)


def test_a_mail_without_texts_of_its_own_says_the_same(
    run: tuple[Services, SmtpServer],
) -> None:
    for theirs, ours in mails_of(run[1], "{}.default@example.org"):
        assert ours.header("Subject") == theirs.header("Subject")
        assert [part.get_content_type() for part in ours.message.walk()] == [
            part.get_content_type() for part in theirs.message.walk()
        ]
        assert visible(ours.part("html")) == visible(theirs.part("html"))


def test_the_same_mails_come_from_both(run: tuple[Services, SmtpServer]) -> None:
    for theirs, ours in mails_of(run[1], "{}@example.org"):
        assert ours.sender == theirs.sender
        assert ours.header("From") == theirs.header("From")
        assert ours.header("Subject") == theirs.header("Subject")
        assert ours.header("X-Team") == theirs.header("X-Team")
        parts = [
            [part.get_content_type() for part in mail.message.walk()] for mail in (theirs, ours)
        ]
        assert parts[0] == parts[1]
        assert ours.part("plain").splitlines() == theirs.part("plain").splitlines()
