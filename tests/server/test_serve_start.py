"""A start imports what the file needs: pages, channels and libraries come when they are asked for."""

from __future__ import annotations

import re
import sys

import pytest

from amproxy.config.loader import load_text
from amproxy.notify.channels import Channels
from tests.support.server.reached import ON_CALL, Client
from tests.support.servers import Server, Servers
from tests.support.standins.telegram import TelegramStandIn
from tests.support.waiting import until

TELLS_SLACK = """
route: {receiver: chat}
receivers: [{name: chat, slack_configs: [{api_url: "http://127.0.0.1:9/hook", channel: "#ops"}]}]
"""
TELEGRAM = "amproxy.notify.channels.telegram.text"
# Modules of which each takes long to import, or much memory, or stands for others that do.
HEAVY = {
    *("aiosmtplib", "argon2", "authlib", "cryptography.x509", "httpx", "icalendar", "jinja2"),
    *("joserfc", "recurring_ical_events"),
    *("amproxy.calendars.export", "amproxy.calendars.parse"),
    *("amproxy.edit.change", "amproxy.reports.insights", "amproxy.simulation.simulate"),
    *("amproxy.gotemplate.alertmanager", "amproxy.gotemplate.template"),
    *("amproxy.gotemplate.html.template", "amproxy.web.openapi.document"),
    *("amproxy.web.incidents.page", "amproxy.web.people.page", "amproxy.web.schedules.page"),
    *("amproxy.notify.channels.email.message", "amproxy.notify.channels.slack.attachment"),
    *("amproxy.notify.channels.sns.credentials", TELEGRAM),
}


def imported(amproxy: Server) -> set[str]:
    """The modules that the process has imported so far, but for those that it names by strings."""
    return set(re.findall(r"^import time:.*\|\s+(\S+)$", amproxy.stderr, re.MULTILINE))


def started(servers: Servers, routes: str) -> Server:
    return servers.amproxy(routes, env={"PYTHONPROFILEIMPORTTIME": "1"})


def test_a_small_file_starts_without_what_it_does_not_need(servers: Servers) -> None:
    amproxy = started(servers, ON_CALL)
    assert "amproxy.server.service" in imported(amproxy)
    assert not imported(amproxy) & HEAVY
    client = Client(amproxy.url)
    for path in ("/-/ready", "/metrics", "/api/v2/alerts", "/api/v2/silences"):
        assert client.ask(path).status == 200
    assert not imported(amproxy) & HEAVY, "programs need no pages"
    assert "alice" in client.ask("/people").text
    brought = imported(amproxy) & HEAVY
    assert brought == {"jinja2", "amproxy.web.people.page"}, "a page brings its own subject"


def test_what_a_file_sends_over_and_hears_of_is_there_from_its_load(servers: Servers) -> None:
    amproxy = started(servers, TELLS_SLACK)
    there = imported(amproxy)
    assert there >= {"amproxy.notify.channels.slack.attachment", "httpx"}
    assert "amproxy.gotemplate.template" in there, "Slack has default texts"
    assert not there & {"amproxy.notify.channels.email.message", TELEGRAM}
    with TelegramStandIn() as telegram:
        bot = f"telegram_api_url: {telegram.url}, telegram_bot_token: '{telegram.token}'"
        assert amproxy.config
        amproxy.config.write_text(
            f"global: {{{bot}}}\n{ON_CALL.replace('console: alice', 'telegram: 111')}"
        )
        assert Client(amproxy.url).ask("/-/reload", {}).status == 200
        assert TELEGRAM in imported(amproxy)
        telegram.add_chat(111)
        telegram.say(111, "/start", 111)
        until(lambda: telegram.sent(111))


def test_a_file_whose_channel_cannot_be_imported_does_not_take_effect(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "amproxy.notify.channels.slack.channel", None)
    config = load_text(TELLS_SLACK).config
    with pytest.raises(ImportError):
        Channels({}).load(config)
    channels = Channels({})
    channels.load(load_text(ON_CALL).config)
    assert list(channels) == ["console"]
