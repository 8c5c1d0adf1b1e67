"""`amproxy explain --body`: the alerts of a body, and how each was understood."""

from __future__ import annotations

from typing import Any, NamedTuple

from amproxy.accept import sns
from amproxy.accept.body import PushRefused
from amproxy.accept.told import ToldAlert, tell
from amproxy.accept.webhook import is_foreign, load_json, parse_webhook, told_alert, whole
from amproxy.config.structs import Config, Source
from amproxy.grouping.placement import Placer

_SHOWN = ("identity", "title", "text", "state", "severity", "link", "image")


class UnderstoodAlert(NamedTuple):
    """One alert of a body as a push would bring it."""

    state: str  # firing, resolved, or unchanged: the body says nothing new
    labels: dict[str, str]
    told: ToldAlert | None  # None: webhook v4, whose fields have their own names

    def document(self) -> dict[str, Any]:
        """The JSON of the command, without where the alert goes."""
        if self.told is None:
            return {"form": "webhook v4", "state": self.state, "labels": self.labels}
        shown = {name: getattr(self.told, name) or None for name in _SHOWN}
        form = self.told.sender or "any JSON"
        return {"form": form, **shown, "labels": self.labels, "faults": self.told.faults}

    def lines(self) -> list[tuple[str, str]]:
        """Names and texts of all that was understood."""
        document = self.document()
        faults = [("fault", fault) for fault in document.pop("faults", ())]
        del document["labels"]
        texts = [(name, " ".join(str(text).split())) for name, text in document.items() if text]
        return texts + faults


def understand(body: bytes, config: Config, name: str, now_ns: int) -> list[UnderstoodAlert]:
    """Return the alerts that a push of this body to /webhook/NAME brings. Raises ValueError."""
    source = config.sources.get(name)
    if source is None:
        if config.sources:
            raise ValueError(f"there is no source {name!r}")
        source = Source(name=name)
    try:
        return _understand(body, source, config, now_ns)
    except PushRefused as error:
        raise ValueError(f"refused with {error.status}: {error.detail}") from None


def _understand(body: bytes, source: Source, config: Config, now_ns: int) -> list[UnderstoodAlert]:
    payload = load_json(body)
    if isinstance(payload, dict) and sns.is_handshake(payload):
        raise ValueError("a handshake of Amazon SNS brings no alert")
    if isinstance(payload, dict) and is_foreign(payload, source):
        told = tell(whole(payload), body, source.name, source.mapping)
        return [
            UnderstoodAlert(one.state, told_alert(one, source.name)["labels"], one) for one in told
        ]
    request = parse_webhook(body, source, Placer(config), now_ns)
    return [
        UnderstoodAlert("resolved" if one.ends_ns else "firing", one.make().labels, None)
        for one in request.alerts
    ]
