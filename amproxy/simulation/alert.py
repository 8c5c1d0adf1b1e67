"""One alert and a configuration: its groups, what mutes them and for how long, what it opens.

All of the simulation asks here what mutes alerts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, Final

from amproxy.clock import rfc3339, utc
from amproxy.config.structs import (
    Config,
    Integration,
    Maintenance,
    NotifyStep,
    Policy,
    Receiver,
)
from amproxy.grouping import placement
from amproxy.grouping.flush import active_mute_intervals, new_incident
from amproxy.grouping.maintenance import is_open, next_change, next_opening, open_until
from amproxy.grouping.placement import Placer
from amproxy.labels.fingerprint import fingerprint
from amproxy.labels.matchers import all_match
from amproxy.model import Alert, Group, Incident, Page
from amproxy.notify.templates import incident_title
from amproxy.oncall.roster import Roster
from amproxy.times import LATEST

# Changes of intervals and windows that are tried for the end of a muting, so that intervals which
# open and close every minute for years do not keep a page waiting.
_MAX_CHANGES: Final = 1000


class SimulatedAlert:
    """One alert and the configuration that it meets; empty labels count as absent."""

    def __init__(self, config: Config, labels: Mapping[str, str]) -> None:
        self.config = config
        self.labels = {name: value for name, value in labels.items() if value}
        self.groups: tuple[Group, ...] = Placer(config).place(self.labels).groups

    @cached_property
    def receivers(self) -> list[str]:
        """The names of its receivers, in the order in which the routes match."""
        return [route.receiver for route in placement.match(self.config.route, self.labels)]

    @property
    def oncall(self) -> list[tuple[Group, Integration]]:
        """The integrations that open incidents, each with its group."""
        return [
            (group, integration)
            for group in self.groups
            for integration in self.receiver(group).integrations
            if integration.kind == "oncall"
        ]

    def firing(self, now: float) -> Alert:
        """The alert as it is stored when it comes in at a time (Unix seconds)."""
        now_ns = int(now * 10**9)
        return Alert(
            fingerprint=fingerprint(self.labels),
            labels=self.labels,
            starts_ns=now_ns,
            updated_ns=now_ns,
        )

    def receiver(self, group: Group) -> Receiver:
        return self.config.receivers.get(group.receiver) or Receiver(name=group.receiver)

    def policy(self, integration: Integration) -> Policy:
        return policy_of(self.config, integration)

    def document(self, at: float, pages: Iterable[Page], roster: Roster) -> dict[str, Any]:
        """Return the answer of `explain` and `simulate` as JSON values, with the muting at `at`."""
        groups = [
            {
                "receiver": group.receiver,
                "group_labels": group.labels,
                "group_key": group.key,
                "muted_by": muting_names(group, self.labels, roster, at),
            }
            for group in self.groups
        ]
        return {
            "receivers": self.receivers,
            "groups": groups,
            "pages": [_page_document(page) for page in pages],
        }


def _page_document(page: Page) -> dict[str, Any]:
    return {
        "at": rfc3339(page.due),
        "user": page.user,
        "channel": page.channel,
        "policy": page.policy,
        "step": page.step,
        "reason": page.reason,
    }


def policy_of(config: Config, integration: Integration) -> Policy:
    """Return the policy of an oncall integration, an empty one where the file has none so named."""
    name = integration.settings.escalation_policy
    return config.policies.get(name) or Policy(name=name)


def zone_of_alert(config: Config, labels: Mapping[str, str]) -> str:
    """Return the zone of wall-clock times for an alert: that of its first policy, else UTC."""
    alert = SimulatedAlert(config, labels)
    for _, integration in alert.oncall:
        return zone_of_policy(config, alert.policy(integration))
    return "UTC"


def zone_of_policy(config: Config, policy: Policy) -> str:
    """Return the zone of the first schedule that a policy pages, else UTC."""
    for step in policy.steps:
        if isinstance(step, NotifyStep) and step.schedule in config.schedules:
            return config.schedules[step.schedule].timezone
    return "UTC"


def open_incident(
    config: Config, group: Group, integration: Integration, firing: Sequence[Alert], now: float
) -> Incident:
    """Return the incident that a group of firing alerts opens; its number is 0."""
    title = incident_title(integration.settings.title, group, firing)
    return new_incident(config, group, integration, firing, now, number=0, title=title)


def muting_names(group: Group, labels: Mapping[str, str], roster: Roster, now: float) -> list[str]:
    """Return the names of what mutes alerts of a group: time intervals, then maintenance windows.

    labels: of the alerts; now: Unix seconds.
    """
    return [
        *active_mute_intervals(group, roster, now),
        *(
            window.name
            for window in _matching_windows(labels, roster)
            if is_open(window, roster.config.time_intervals, utc(now))
        ),
    ]


def muting_text(group: Group, muted_by: list[str]) -> str:
    """Return muting_names in words.

    For example "muted by nights", "muted outside of business-hours", "in maintenance upgrade".
    """
    muting = [name for name in muted_by if name in group.mute_time_intervals]
    active = [name for name in muted_by if name in group.active_time_intervals]
    windows = [name for name in muted_by if name not in (*muting, *active)]
    texts = []
    # A mute interval is the stronger reason: active ones are named only where none of those is.
    if muting or active:
        texts.append(f"muted {'by' if muting else 'outside of'} {', '.join(muting or active)}")
    if windows:
        texts.append(f"in maintenance {', '.join(windows)}")
    return " and ".join(texts)


def muting_end(group: Group, labels: Mapping[str, str], roster: Roster, now: float) -> float | None:
    """Return when a group that is muted now is no longer, Unix seconds; None = not within years.

    Where intervals change very often it is an earlier time, up to which the group is muted.
    """
    config = roster.config
    names = roster.known_intervals((*group.mute_time_intervals, *group.active_time_intervals))
    intervals = [config.time_intervals[name] for name in names]
    windows = list(_matching_windows(labels, roster))
    at = utc(now)
    for _ in range(_MAX_CHANGES):
        changes = [interval.changes(at) for interval in intervals]
        changes += [next_change(window, config.time_intervals, at) for window in windows]
        known = [change for change in changes if change]
        if not known:
            return None
        at = min(known)
        if not muting_names(group, labels, roster, at.timestamp()):
            break
    return at.timestamp()


def next_window_end(labels: Mapping[str, str], roster: Roster, now: float) -> float | None:
    """Return the end of the next maintenance window of alerts, Unix seconds; None = there is none.

    People are notified then of what still fires.
    """
    at, intervals, ends = utc(now), roster.config.time_intervals, []
    for window in _matching_windows(labels, roster):
        opens = at if is_open(window, intervals, at) else next_opening(window, intervals, at)
        closes = open_until(window, intervals, opens) if opens else None
        if closes and closes < LATEST:
            ends.append(closes.timestamp())
    return min(ends, default=None)


def _matching_windows(labels: Mapping[str, str], roster: Roster) -> Iterator[Maintenance]:
    for window in roster.config.maintenance.values():
        if all_match(window.matchers, labels):
            yield window
