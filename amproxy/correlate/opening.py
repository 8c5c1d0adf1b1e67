"""A new incident: its number, title and plan."""

from __future__ import annotations

from collections.abc import Sequence

from amproxy.config.structs import Integration, OncallSettings, Policy, Urgency
from amproxy.context import Context
from amproxy.machine.draft import new_id
from amproxy.model import Alert, Group, Incident, common
from amproxy.notify.templates import default_title, render_title
from amproxy.store import incidents


async def open_incident(context: Context, group: Group, integration: Integration, firing: Sequence[Alert], now: float) -> Incident:
    """The incident that a group of firing alerts opens; not stored yet."""
    settings: OncallSettings = integration.settings
    labels = common(alert.labels for alert in firing)
    annotations = common(alert.annotations for alert in firing)
    title = default_title(group.labels, labels)
    if settings.title:
        title = render_title(
            settings.title,
            {
                "group_labels": group.labels, "common_labels": labels, "common_annotations": annotations, "receiver": group.receiver,
                "alerts": [{"labels": alert.labels, "annotations": alert.annotations} for alert in firing[:100]], "firing": len(firing),
            },
            fallback=title,
        )  # fmt: skip
    return Incident(
        id=new_id(),
        number=await incidents.next_number(context.wire),
        title=title,
        receiver=group.receiver,
        policy=settings.escalation_policy,
        plan=context.config.policies.get(settings.escalation_policy) or Policy(name=settings.escalation_policy),
        urgency=settings.urgency,
        group=group.id,
        group_key=group.key,
        group_labels=group.labels,
        common_labels=labels,
        common_annotations=annotations,
        source=firing[0].source,
        firing=len(firing),
        started_at=now,
        pushed_at=max((alert.updated_ns for alert in firing), default=0) / 10**9,
    )


async def open_by_hand(context: Context, *, title: str, policy: Policy, urgency: Urgency | None, text: str, now: float) -> Incident:
    """An incident that a person opens; not stored yet."""
    return Incident(
        id=new_id(),
        number=await incidents.next_number(context.wire),
        title=title,
        policy=policy.name,
        plan=policy,
        urgency=urgency,
        text=text,
        source="by hand",
        started_at=now,
        pushed_at=now,
    )
