"""People who each have a receiver, a policy and a route of their own, and the two ways in which they are told.

    crowd = Crowd(telegram, hook)
    crowd.add("ann", "telegram", "webhook")   # the second is the next contact
    servers.amproxy(crowd.routes())
    crowd.push(amproxy.url, "ann", 40)        # incidents ann-0 … ann-39
    crowd.by_telegram("ann"), crowd.by_webhook("ann")   # incident → how often it was told

`telegram` and `hook` are stand-ins; the webhook's path says whose it is.
"""

from __future__ import annotations

import itertools
import json
import re
import time
from collections import Counter, defaultdict
from typing import Any

from tests.support.e2e.stories import metric, post, text
from tests.support.servers import Server
from tests.support.standins.telegram import TelegramStandIn
from tests.support.standins.webhook import WebhookServer

BATCH = 250  # alerts of one push
HANDOVER = "handover"  # the schedule of those who want notices


class Crowd:
    """The people, and what was pushed for them: incident → Unix seconds of its first push."""

    def __init__(self, telegram: TelegramStandIn, hook: WebhookServer) -> None:
        self.telegram, self.hook = telegram, hook
        self.pushed: dict[str, float] = {}
        self._users: dict[str, dict[str, Any]] = {}
        self._policies: dict[str, dict[str, Any]] = {}
        self._noticed: list[str] = []
        self._numbers: defaultdict[str, itertools.count[int]] = defaultdict(itertools.count)

    def add(self, name: str, *channels: str, notices: bool = False, **policy: Any) -> int:
        """Add somebody with these contacts, in this order; returns the id of the chat.

        notices: swaps asked for are told over the first channel. policy: more keys of the policy.
        """
        chat = 1000 + len(self._users)
        contacts = {"telegram": chat, "webhook": f"{self.hook.url}/{name}"}
        self._users[name] = {
            "name": name,
            "contacts": {channel: contacts[channel] for channel in channels},
        }
        if notices:
            self._users[name]["notices"] = {"swap_asked": channels[0]}
            self._noticed.append(name)
        steps = [{"notify": {"users": [name]}}, {"wait": "1h"}]
        self._policies[name] = {"name": name, "steps": steps, **policy}
        self.telegram.add_chat(chat)
        return chat

    def chat(self, name: str) -> int:
        return int(self._users[name]["contacts"]["telegram"])

    def routes(self) -> str:
        """The text of routes.yaml; its JSON is YAML as well."""
        asker = {"name": "asker", "contacts": {"console": "asker"}}
        layer = {
            "name": "all",
            "users": ["asker", *self._noticed],
            "rotation": {"every": "100w", "start": "2026-01-05T09:00"},
        }
        return json.dumps(
            {
                "global": {
                    # longer than any run: a webhook is told of an end by a request of its own
                    "resolve_timeout": "12h",
                    "telegram_bot_token": self.telegram.token,
                    "telegram_api_url": self.telegram.url,
                    "contact_networks": ["127.0.0.0/8"],  # where the stand-ins are
                },
                "route": {
                    "receiver": "nobody",
                    "group_by": ["alertname"],
                    "group_wait": "0s",
                    "group_interval": "5m",
                    "routes": [
                        {"receiver": name, "matchers": [f'to="{name}"']} for name in self._users
                    ],
                },
                "receivers": [
                    {"name": "nobody"},
                    *(
                        {"name": name, "oncall_configs": [{"escalation_policy": name}]}
                        for name in self._users
                    ),
                ],
                "users": [asker, *self._users.values()],
                "schedules": [{"name": HANDOVER, "timezone": "UTC", "layers": [layer]}],
                "escalation_policies": list(self._policies.values()),
            }
        )

    def push(self, url: str, name: str, incidents: int = 1) -> list[str]:
        """Push so many new incidents for somebody, until they are taken; returns their titles."""
        new = [f"{name}-{next(self._numbers[name])}" for _ in range(incidents)]
        for start in range(0, incidents, BATCH):
            batch = new[start : start + BATCH]
            self.pushed |= dict.fromkeys(batch, time.time())
            alerts = [{"labels": {"alertname": title, "to": name}} for title in batch]
            while post(f"{url}/api/v2/alerts", alerts) != 200:
                time.sleep(0.1)
        return new

    def ask_for_a_swap(self, url: str) -> None:
        """Send the notice that swap_asked is, to all who want notices."""
        asked = {"user": "asker", "start": "2027-06-01T09:00", "end": "2027-06-02T09:00"}
        assert post(f"{url}/api/v1/schedules/{HANDOVER}/swaps", asked) == 201

    def by_telegram(self, name: str) -> Counter[str]:
        """Incident → messages of the person's chat that name it."""
        chat = self.telegram.sent(self.chat(name))
        return Counter(title for message in chat for title in titles(name, message.text))

    def by_webhook(self, name: str) -> Counter[str]:
        """Incident → requests to the person's webhook that name it."""
        return Counter(
            title
            for request in list(self.hook.requests)
            if request.path.rpartition("/")[2] == name
            for title in titles(name, request.body.decode())
        )

    def delays(self, name: str) -> list[float]:
        """Seconds from the push of each of somebody's incidents to the first message that names it."""
        told: dict[str, float] = {}
        if "telegram" in self._users[name]["contacts"]:
            for message in self.telegram.sent(self.chat(name)):
                for title in titles(name, message.text):
                    told.setdefault(title, message.at)
        for request in list(self.hook.requests):
            for title in titles(name, request.body.decode()):
                told.setdefault(title, request.at)
        return [told[title] - at for title, at in self.pushed.items() if title in told]


def titles(name: str, words: str) -> set[str]:
    """The incidents of somebody that a message names."""
    return set(re.findall(rf"\b{name}-\d+\b", words))


def repeated(*replicas: Server) -> float:
    """Deliveries that these processes counted as repeated."""
    return sum(
        metric(text(f"{replica.url}/metrics"), "amproxy_deliveries_repeated_total")
        for replica in replicas
    )
