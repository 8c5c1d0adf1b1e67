"""One amproxy with a handful of receivers, for stories in which the process itself ends, reloads or has a twin."""

from __future__ import annotations

import json
from typing import Any

from tests.support.acceptance.catcher import Catcher
from tests.support.acceptance.stage import brief

TIMINGS = {"group_wait": "500ms", "group_interval": "1s", "repeat_interval": "1h"}


def file(
    catcher: Catcher,
    *,
    receivers: tuple[str, ...] = ("one",),
    routes: list[dict[str, Any]] | None = None,
    **route: str,
) -> str:
    """A routes.yaml: all alerts to the first receiver, except what `routes` (children) take. JSON is YAML."""
    tree = {
        "receiver": receivers[0],
        "group_by": ["alertname"],
        **TIMINGS,
        **route,
        "routes": routes or [],
    }
    webhooks = [
        {"name": name, "webhook_configs": [{"url": catcher.address(name)}]} for name in receivers
    ]
    return json.dumps({"route": tree, "receivers": webhooks})


def heard(catcher: Catcher, receiver: str = "one") -> list[tuple[str, str]]:
    """Each message of a receiver as ("a -b", reason)."""
    return [
        (brief(request.payload), request.payload["notification_reason"])
        for request in catcher.came(receiver)
    ]


def alert(instance: str, name: str = "Disk", **more: str) -> dict[str, str]:
    """Labels."""
    return {"alertname": name, "instance": instance, **more}
