"""An alert at the door: the groups that it lands in, and the incidents that these open."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any

from amproxy.clock import rfc3339
from amproxy.config.structs import Config, Integration, NotifyStep, OncallSettings, Policy, Receiver
from amproxy.grouping import routes
from amproxy.grouping.placement import Placer
from amproxy.machine.draft import new_id
from amproxy.model import Group, Incident, Page
from amproxy.notify.templates import default_title, render_title
from amproxy.oncall.roster import Roster
from amproxy.simulation.mute import muting


class Entry:
    """One alert and the configuration that it meets. A label with an empty value is as good as none."""

    def __init__(self, config: Config, labels: Mapping[str, str]) -> None:
        self.config = config
        self.labels = {name: value for name, value in labels.items() if value}
        self.groups: tuple[Group, ...] = Placer(config).place(self.labels).groups

    @cached_property
    def receivers(self) -> list[str]:
        """Names in the order in which the routes match."""
        return [route.receiver for route in routes.match(self.config.route, self.labels)]

    @property
    def oncall(self) -> list[tuple[Group, Integration]]:
        """What opens incidents."""
        return [(group, one) for group in self.groups for one in self.receiver(group).integrations if one.kind == "oncall"]

    def receiver(self, group: Group) -> Receiver:
        return self.config.receivers.get(group.receiver) or Receiver(name=group.receiver)

    def policy(self, integration: Integration) -> Policy:
        return policy_of(self.config, integration)

    def document(self, at: float, pages: Iterable[Page], roster: Roster) -> dict[str, Any]:
        """The answer of `explain` and `simulate` as JSON values; at: the moment for which muting is told."""
        return {
            "receivers": self.receivers,
            "groups": [
                {
                    "receiver": group.receiver, "group_labels": group.labels, "group_key": group.key,
                    "muted_by": muting(group, self.labels, roster, at),
                }
                for group in self.groups
            ],
            "pages": [
                {
                    "at": rfc3339(page.due), "user": page.user, "channel": page.channel, "policy": page.policy, "step": page.step,
                    "reason": page.reason,
                }
                for page in pages
            ],
        }  # fmt: skip


def policy_of(config: Config, integration: Integration) -> Policy:
    """The policy that an oncall integration follows; an empty one where the file has none of its name."""
    name = integration.settings.escalation_policy
    return config.policies.get(name) or Policy(name=name)


def opening(config: Config, group: Group, integration: Integration, labels: Mapping[str, str], firing: int, now: float) -> Incident:
    """The incident that a group opens, as the service would make it. labels: what its alerts share."""
    settings: OncallSettings = integration.settings
    common = dict(labels)
    return Incident(
        id=new_id(),
        title=_title(group, common, settings.title, firing),
        receiver=group.receiver,
        policy=settings.escalation_policy,
        plan=policy_of(config, integration),
        urgency=settings.urgency,
        group=group.id,
        group_key=group.key,
        group_labels=group.labels,
        common_labels=common,
        firing=firing,
        started_at=now,
        pushed_at=now,
    )


def _title(group: Group, labels: dict[str, str], template: str, firing: int) -> str:
    title = default_title(group.labels, labels)
    if not template:
        return title
    variables = {
        "group_labels": group.labels, "common_labels": labels, "common_annotations": {}, "receiver": group.receiver,
        "alerts": [{"labels": labels, "annotations": {}}], "firing": firing,
    }  # fmt: skip
    return render_title(template, variables, fallback=title)


def zone(config: Config, labels: Mapping[str, str]) -> str:
    """The zone in which a wall-clock time is meant for an alert: of the first schedule that it asks, else UTC."""
    entry = Entry(config, labels)
    return next((zone_of(config, entry.policy(integration)) for _, integration in entry.oncall), "UTC")


def zone_of(config: Config, policy: Policy) -> str:
    """The zone of the first schedule that a policy asks, else UTC."""
    asked = (step.schedule for step in policy.steps if isinstance(step, NotifyStep))
    return next((config.schedules[name].timezone for name in asked if name in config.schedules), "UTC")
