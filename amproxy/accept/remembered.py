"""Alerts of foreign bodies stay and end where they fire, whatever their later bodies say."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from amproxy.accept.webhook import (
    PlacedAlert,
    PushedAlert,
    WebhookPushRequest,
    content_digest,
)
from amproxy.grouping.placement import Placer
from amproxy.store.told import ToldLabels


def join_remembered(
    request: WebhookPushRequest, remembered: Mapping[str, ToldLabels], placer: Placer
) -> dict[str, ToldLabels]:
    """Have alerts of foreign bodies stay and end where they fire; return what to remember now.

    remembered: by fingerprint. An end takes the labels of the alert, and with them its route. What
    goes on firing keeps its name, so that a figure in the title makes no other alert of it; where
    other labels lead it into other groups, it ends in the former ones.
    """
    result: dict[str, ToldLabels] = {}
    for told in request.told:
        alert, known = told.alert, remembered.get(told.fingerprint)
        if alert.ends_ns:
            if known is not None:
                alert.labels = known.labels
                alert.placement = placer.place_in(known.labels, told.fingerprint, told.sender)
                result[told.fingerprint] = ToldLabels(known.labels, over=True)
            continue
        if known is not None and not known.over:
            _keep_name(told, known.labels["alertname"], placer)
            if left := _left_behind(told, known.labels, placer):
                request.alerts.append(left)
        result[told.fingerprint] = ToldLabels(alert.labels)
    return result


def _keep_name(told: PlacedAlert, name: str, placer: Placer) -> None:
    """Have an alert go on under its name, and its text begin with the new one."""
    alert, renamed = told.alert, told.alert.labels["alertname"]
    if renamed == name:
        return
    text = alert.annotations.get("summary", "")
    alert.annotations = {"summary": f"{renamed}\n{text}" if text else renamed}
    alert.labels = {**alert.labels, "alertname": name}
    alert.placement = placer.place_in(alert.labels, told.fingerprint, told.sender)
    alert.content = content_digest(alert.content, alert.labels)


def _left_behind(told: PlacedAlert, labels: dict[str, str], placer: Placer) -> PushedAlert | None:
    """The end of an alert in the groups that its former labels led to; None = it left none."""
    now_in = {group.id for group in told.alert.placement.groups}
    before = placer.place_in(labels, told.fingerprint, told.sender)
    groups = tuple(group for group in before.groups if group.id not in now_in)
    if not groups:
        return None
    return msgspec.structs.replace(
        told.alert,
        placement=msgspec.structs.replace(before, groups=groups),
        labels=labels,
        ends_ns=told.alert.starts_ns,
        lapses_ns=0,
    )
