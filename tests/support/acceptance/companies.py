"""The files of companies below tests/cases/companies/, and the services that they name, as stand-ins.

A file is used as it is, but that its addresses are those of stand-ins and its times are short.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

from ruamel.yaml import YAML

from tests.support.acceptance.moments import rfc3339
from tests.support.standins.chats import DiscordStandIn, TeamsWorkflowStandIn
from tests.support.standins.faults import Call
from tests.support.standins.opsgenie import OpsgenieStandIn
from tests.support.standins.pagerduty import PagerDutyStandIn
from tests.support.standins.services import ServiceStandIn
from tests.support.standins.serving import Request as HttpRequest
from tests.support.standins.slack import SlackStandIn
from tests.support.standins.smtp import SmtpServer
from tests.support.standins.telegram import TelegramStandIn
from tests.support.standins.webhook import Request, WebhookServer

COMPANIES = Path(__file__).parents[2] / "cases" / "companies"
SHORT = {"group_wait": "1s", "group_interval": "3s"}
CHAT = -1001234567890


class Services:
    """All services that a company uses."""

    def __init__(self, *, strict: bool = True) -> None:
        """strict: webhooks take only what an Alertmanager of today sends."""
        self.slack, self.telegram, self.smtp = SlackStandIn(), TelegramStandIn(), SmtpServer()
        self.webhook = WebhookServer() if strict else _AnyWebhook()
        self.services: dict[str, ServiceStandIn] = {
            "pagerduty": PagerDutyStandIn(),
            "opsgenie": OpsgenieStandIn(),
            "teams": TeamsWorkflowStandIn(),
            "discord": DiscordStandIn(),
        }
        self._running = ExitStack()

    def __enter__(self) -> Self:
        for one in (self.slack, self.telegram, self.smtp, self.webhook, *self.services.values()):
            self._running.enter_context(one)
        self.telegram.add_chat(CHAT, "supergroup")
        self.slack.add_channel("#matchmaking", "C0123456789")
        return self

    def __exit__(self, *_: object) -> None:
        self._running.close()

    def taken(self) -> dict[str, list[Any]]:
        """The messages that were taken, by service, oldest first, as the stand-ins keep them."""
        slack = [one.payload for one in _fine(self.slack.calls) if one.method.startswith("chat.")]
        return {
            "slack": self.slack.hooked + slack,
            "telegram": [one for one in _fine(self.telegram.calls) if one.method == "sendMessage"],
            "mail": self.smtp.mails,
            "webhook": self.webhook.requests,
            **{name: service.taken for name, service in self.services.items()},
        }

    def told(self) -> dict[str, list[Any]]:
        """The same in the words of the services."""
        words: dict[str, Callable[[Any], Any]] = {
            "slack": lambda payload: payload,
            "telegram": lambda call: call.payload,
            "mail": lambda mail: _mail_words(mail.message),
            "webhook": _hook_words,
        }
        return {
            name: [words.get(name, _request_words)(one) for one in messages]
            for name, messages in self.taken().items()
        }

    def assert_no_surprises(self) -> None:
        for one in (self.slack, self.telegram, self.smtp, self.webhook, *self.services.values()):
            one.assert_no_surprises()

    def addresses(self) -> dict[str, str]:
        """What stands in the files, and what takes its place."""
        webhooks = self.webhook.url.removesuffix("/hook")
        teams = "https://clinic.webhook.office.example"
        discord = "https://discord.example"
        return {
            "https://hooks.slack.example/services/T1/B1/secret": self.slack.webhook_url,
            "https://slack.example/api/chat.postMessage": self.slack.app_url,
            "https://events.pagerduty.example/v2/enqueue": self.services["pagerduty"].url,
            "https://api.opsgenie.example": self.services["opsgenie"].url,
            teams: self.services["teams"].url.partition("/workflows")[0],
            discord: self.services["discord"].url.partition("/api")[0],
            "https://api.telegram.example": self.telegram.url,
            "https://tickets.clinic.example": webhooks,
            "https://collector.studio.example": webhooks,
            "https://audit.studio.example/hook": f"{webhooks}/audit",
            "smtp.clinic.example:587": self.smtp.smarthost,
        }


class _AnyWebhook(WebhookServer):
    """One for an older Alertmanager, whose payload lacks two fields."""

    def problem(self, request: Request) -> str:
        return ""


def place(company: str, folder: Path, services: Services) -> Path:
    """The company's alertmanager.yml in a folder of its own, beside its templates and secrets."""
    shutil.copytree(COMPANIES / company, folder)
    file = folder / "alertmanager.yml"
    for path in (file, *folder.glob("secrets/*")):
        text = path.read_text("utf-8")
        for address, here in services.addresses().items():
            text = text.replace(address, here)
        for key, short in SHORT.items():
            text = re.sub(rf"\b{key}: \S+", f"{key}: {short}", text)
        path.write_text(text, "utf-8")
    return file


def alerts(company: str, began: float, *, over: bool) -> list[dict[str, Any]]:
    """The company's alerts: all of them firing, or those that are over by then.

    began: Unix seconds. It must be now, or Alertmanager waits for no group, not even until it knows
    what inhibits it.
    """
    found = json.loads((COMPANIES / company / "alerts.json").read_text("utf-8"))
    shared = {
        "generatorURL": "https://prometheus.example/graph?g0.expr=up+%3D%3D+0&g0.tab=1",
        "startsAt": rfc3339(began),
        **({"endsAt": rfc3339(began + 0.5)} if over else {}),
    }
    return [
        {"labels": one["labels"], "annotations": one["annotations"], **shared}
        for one in found
        if one["over"] or not over
    ]


def without_newer(file: Path, services: Services) -> Path:
    """The file without what Alertmanager 0.25 does not know."""
    yaml = YAML(typ="safe")
    config = yaml.load(file.read_text("utf-8"))
    if "slack_api_url_file" in config["global"]:  # it looks for it in its working folder
        config["global"]["slack_api_url_file"] = str(file.parent / "secrets" / "slack_url")
    config["global"].pop("slack_app_token", None)
    config["global"].pop("slack_app_url", None)
    for rule in config["inhibit_rules"]:
        rule.pop("name", None)
    for receiver in config["receivers"]:
        receiver.pop("msteamsv2_configs", None)
        webhooks = receiver.get("webhook_configs", ())
        if webhooks:
            receiver["webhook_configs"] = [one for one in webhooks if "url_file" not in one]
        for slack in receiver.get("slack_configs", ()):
            if slack.pop("update_message", None):
                slack["api_url"] = services.slack.webhook_url
    file.write_text(json.dumps(config), "utf-8")
    return file


def _mail_words(message: Any) -> dict[str, Any]:
    names = ("From", "To", "Subject", "Reply-To", "X-Priority")
    parts = {
        # a body that ends without a line break gets one
        part.get_content_type(): part.get_content().replace("\r\n", "\n").removesuffix("\n")
        for part in message.walk()
        if not part.is_multipart()
    }
    # mail programs do not tell blanks of a header apart
    return {name: " ".join(str(message[name]).split()) for name in names} | parts


def _hook_words(request: Request) -> dict[str, Any]:
    payload = request.payload
    for newer in ("notification_reason", "routeLabels"):
        payload.pop(newer, None)
    authorization = request.headers.get("authorization")
    return {"path": request.path, "authorization": authorization, "body": payload}


def _request_words(request: HttpRequest) -> dict[str, Any]:
    return {"method": request.method, "path": request.path, "body": json.loads(request.body)}


def _fine(calls: list[Call]) -> list[Call]:
    return [call for call in calls if call.status == 200]
