"""What holds a group's alerts back, how long, and why. All of foresight asks here: whatever else comes to mute alerts joins in here.

An alert at the door: the groups that it lands in, and the incidents that these open.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import Any

from amproxy.clock import rfc3339, utc
from amproxy.config.structs import Config, Integration, Maintenance, NotifyStep, OncallSettings, Policy, Receiver
from amproxy.grouping import placement
from amproxy.grouping.flush import active_mute_intervals
from amproxy.grouping.maintenance import is_open, next_change, next_opening, open_until
from amproxy.grouping.placement import Placer
from amproxy.labels.matchers import all_match
from amproxy.machine.draft import new_id
from amproxy.model import Group, Incident, Page
from amproxy.notify.templates import default_title, render_title
from amproxy.oncall.roster import Roster
from amproxy.times import LATEST

_MAX_EDGES = 1000  # looked at in one go


def muting_names(group: Group, labels: Mapping[str, str], roster: Roster, now: float) -> list[str]:
    """Names of what holds alerts with these labels back in this group at a moment (Unix seconds): time intervals, maintenance windows."""
    return [*active_mute_intervals(group, roster, now), *(window.name for window in open_maintenance_windows(labels, roster, now))]


def open_maintenance_windows(labels: Mapping[str, str], roster: Roster, now: float) -> list[Maintenance]:
    """The maintenance windows of the file that are open for alerts with these labels."""
    return [window for window in _matching_windows(labels, roster) if is_open(window, roster.config.time_intervals, utc(now))]


def last_window_end(windows: list[Maintenance], roster: Roster, now: float) -> float:
    """When the last of open windows is over, Unix seconds."""
    ends = (open_until(window, roster.config.time_intervals, utc(now)) or LATEST for window in windows)
    return max(ends, default=LATEST).timestamp()


def next_window_end(labels: Mapping[str, str], roster: Roster, now: float) -> float | None:
    """When the next maintenance window of alerts with these labels is over: what still fires is told then; None = there is none."""
    at, intervals, ends = utc(now), roster.config.time_intervals, []
    for window in _matching_windows(labels, roster):
        opens = at if is_open(window, intervals, at) else next_opening(window, intervals, at)
        closes = open_until(window, intervals, opens) if opens else None
        if closes and closes < LATEST:
            ends.append(closes.timestamp())
    return min(ends, default=None)


def muting_end(group: Group, labels: Mapping[str, str], roster: Roster, now: float) -> float | None:
    """For a group that is muted now: the first moment at which that is no longer so, in Unix seconds; None = not within years.

    Where intervals change very often, an earlier moment may be given, up to which it is muted.
    """
    intervals = [roster.config.time_intervals[name] for name in roster.known((*group.mute_time_intervals, *group.active_time_intervals))]
    windows = list(_matching_windows(labels, roster))
    at = utc(now)
    for _ in range(_MAX_EDGES):
        edges = [edge for interval in intervals if (edge := interval.changes(at))]
        edges += [edge for window in windows if (edge := next_change(window, roster.config.time_intervals, at))]
        if not edges:
            return None
        at = min(edges)
        if not muting_names(group, labels, roster, at.timestamp()):
            break
    return at.timestamp()


def muting_text(group: Group, muted_by: list[str]) -> str:
    """Why a group is muted, in words: "muted by nights", "muted outside of business-hours", "in maintenance upgrade"."""
    muting, active = set(muted_by) & set(group.mute_time_intervals), set(muted_by) & set(group.active_time_intervals)
    named = [name for name in muted_by if name in muting] or [name for name in muted_by if name in active]
    windows = [name for name in muted_by if name not in muting | active]
    parts = [f"muted {'by' if muting else 'outside of'} {', '.join(named)}"] if named else []
    return " and ".join(parts + ([f"in maintenance {', '.join(windows)}"] if windows else []))


def _matching_windows(labels: Mapping[str, str], roster: Roster) -> Iterator[Maintenance]:
    return (window for window in roster.config.maintenance.values() if all_match(window.matchers, labels))


class SimulatedAlert:
    """One alert and the configuration that it meets. A label with an empty value is as good as none."""

    def __init__(self, config: Config, labels: Mapping[str, str]) -> None:
        self.config = config
        self.labels = {name: value for name, value in labels.items() if value}
        self.groups: tuple[Group, ...] = Placer(config).place(self.labels).groups

    @cached_property
    def receivers(self) -> list[str]:
        """Names in the order in which the routes match."""
        return [route.receiver for route in placement.match(self.config.route, self.labels)]

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
                    "muted_by": muting_names(group, self.labels, roster, at),
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


def open_incident(config: Config, group: Group, integration: Integration, labels: Mapping[str, str], firing: int, now: float) -> Incident:
    """The incident that a group opens, as the service would make it. labels: what its alerts share."""
    settings: OncallSettings = integration.settings
    common = dict(labels)
    return Incident(
        id=new_id(),
        title=_incident_title(group, common, settings.title, firing),
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


def _incident_title(group: Group, labels: dict[str, str], template: str, firing: int) -> str:
    title = default_title(group.labels, labels)
    if not template:
        return title
    variables = {
        "group_labels": group.labels, "common_labels": labels, "common_annotations": {}, "receiver": group.receiver,
        "alerts": [{"labels": labels, "annotations": {}}], "firing": firing,
    }  # fmt: skip
    return render_title(template, variables, fallback=title)


def zone_of_alert(config: Config, labels: Mapping[str, str]) -> str:
    """The zone in which a wall-clock time is meant for an alert: of the first schedule that it asks, else UTC."""
    entry = SimulatedAlert(config, labels)
    return next((zone_of_policy(config, entry.policy(integration)) for _, integration in entry.oncall), "UTC")


def zone_of_policy(config: Config, policy: Policy) -> str:
    """The zone of the first schedule that a policy asks, else UTC."""
    asked = (step.schedule for step in policy.steps if isinstance(step, NotifyStep))
    return next((config.schedules[name].timezone for name in asked if name in config.schedules), "UTC")
