"""One alert and a configuration: its groups, what mutes them and for how long, what it opens."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property, reduce
from typing import Any, Final, NamedTuple, TypeVar

from amproxy.clock import rfc3339, utc
from amproxy.config.structs import (
    Config,
    Integration,
    NotifyStep,
    Policy,
    Receiver,
)
from amproxy.grouping import placement
from amproxy.grouping.flush import active_mute_intervals, new_incident
from amproxy.grouping.muting import (
    SHORTEST_HOLD,
    ManualMutes,
    Muting,
    describe_muting,
    join_reasons,
    may_unmute_at,
    window_key,
)
from amproxy.grouping.placement import Placer
from amproxy.model import Alert, Group, Incident, Page
from amproxy.notify.templates import incident_title
from amproxy.simulation.surroundings import SimulatedSurroundings
from amproxy.text import Phrase, phrase
from amproxy.text.render import in_english
from amproxy.times import LATEST

# Changes of intervals and windows that are tried for the end of a muting, so that intervals which
# open and close every minute for years do not keep a page waiting.
_MAX_CHANGES: Final = 1000


Value = TypeVar("Value", str, Phrase)


class SimulatedAlert:
    """One alert and the configuration that it meets; empty labels count as absent."""

    def __init__(self, config: Config, labels: Mapping[str, str]) -> None:
        self.config = config
        self.labels = {name: value for name, value in labels.items() if value}
        self.placement = Placer(config).place(self.labels)
        self.groups = self.placement.groups

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
            fingerprint=self.placement.fingerprint,
            labels=self.labels,
            starts_ns=now_ns,
            updated_ns=now_ns,
        )

    def receiver(self, group: Group) -> Receiver:
        return self.config.receivers.get(group.receiver) or Receiver(name=group.receiver)

    def policy(self, integration: Integration) -> Policy:
        return policy_of(self.config, integration)


def alerts_document(
    alerts: Sequence[SimulatedAlert],
    at: float,
    pages: Iterable[Page],
    surroundings: SimulatedSurroundings,
) -> dict[str, Any]:
    """Return the answer of `explain` and `simulate` as JSON values, with the muting at `at`."""
    groups = {(group.id): (group, alert) for alert in reversed(alerts) for group in alert.groups}
    order = dict.fromkeys(group.id for alert in alerts for group in alert.groups)
    return {
        "receivers": list(dict.fromkeys(name for alert in alerts for name in alert.receivers)),
        "groups": [
            {
                "receiver": group.receiver,
                "group_labels": group.labels,
                "group_key": group.key,
                "muted_by": group_muting(group, [alert.firing(at)], surroundings, at).names,
            }
            for group, alert in (groups[id_] for id_ in order)
        ],
        "pages": [_page_document(page) for page in pages],
    }


def parse_labels(arguments: Iterable[str]) -> dict[str, str]:
    """Labels without the empty ones. Raises ValueError."""
    labels = {}
    for text in arguments:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise ValueError(f"{text!r} is no LABEL=VALUE")
        labels[name] = value.strip('"') if value.startswith('"') else value
    return {name: value for name, value in labels.items() if value}


def _page_document(page: Page) -> dict[str, Any]:
    return {
        "at": rfc3339(page.sent_at),
        "user": page.user,
        "channel": page.channel,
        "policy": page.policy,
        "step": page.step,
        "reason": in_english(page.reason),
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


class GroupMuting(NamedTuple):
    """All that mutes alerts of one group at a time, as the service finds it."""

    group: Group
    intervals: list[str]  # names of time intervals, which mute the group
    alerts: Sequence[Alert]
    mutes: ManualMutes
    muting: Muting

    @property
    def is_muted(self) -> bool:
        """True where a flush would tell of none of the alerts."""
        return bool(self.intervals) or self._mutes_alerts

    @property
    def names(self) -> list[str]:
        """The names of what mutes all alerts; [] = something of them is told."""
        if not self.is_muted:
            return []
        names = [*self.intervals, *self._windows]
        for kind, found in (
            ("silence", self.muting.silenced_by),
            ("alert", self.muting.inhibited_by),
        ):
            names += [f"{kind} {one}" for one in _unique(found)]
        return names

    @property
    def why(self) -> Phrase:
        """The same as a reason: "muted by nights", "in maintenance upgrade", "silenced by …"."""
        # A mute interval is the stronger reason: active ones are named only where none of those is.
        muting = any(name in self.group.mute_time_intervals for name in self.intervals)
        found: list[Phrase] = []
        if self.intervals:
            intervals = tuple(self.intervals)
            found.append(
                phrase("mute.by_intervals", intervals=intervals)
                if muting
                else phrase("mute.outside_intervals", intervals=intervals)
            )
        if windows := self._windows:
            found.append(phrase("mute.in_windows", windows=tuple(windows)))
        others = describe_muting(self.mutes, self.muting._replace(maintained_by={}))
        if others:
            found.append(join_reasons([reason for some in others.values() for reason in some]))
        return reduce(lambda first, second: phrase("mute.both", first=first, second=second), found)

    @property
    def reasons(self) -> list[Phrase]:
        """The silences, windows and inhibitions that mute the alerts."""
        return _unique(describe_muting(self.mutes, self.muting))

    def may_end_at(self) -> float:
        """The time up to which nothing of it changes, as far as is known; Unix seconds."""
        ends = [math.inf]
        if self._mutes_alerts:
            ends += [may_unmute_at(self.mutes, self.muting, one, math.inf) for one in self.alerts]
        return min(ends)

    @property
    def _mutes_alerts(self) -> bool:
        return bool(self.alerts) and all(map(self.muting.is_muted, self.alerts))

    @property
    def _windows(self) -> list[str]:
        known = {window_key(one.window): one.window.name for one in self.mutes.open_windows}
        return [known.get(name, name) for name in _unique(self.muting.maintained_by)]


def _unique(found: Mapping[str, Sequence[Value]]) -> list[Value]:
    return list(dict.fromkeys(name for names in found.values() for name in names))


def group_muting(
    group: Group, alerts: Sequence[Alert], surroundings: SimulatedSurroundings, now: float
) -> GroupMuting:
    """Find what mutes alerts of a group at a time (Unix seconds)."""
    intervals = active_mute_intervals(group, surroundings.roster, now)
    return GroupMuting(group, intervals, alerts, *surroundings.muting(alerts, now))


def muting_end(
    group: Group, alerts: Sequence[Alert], surroundings: SimulatedSurroundings, now: float
) -> float | None:
    """Return when a group that is muted now is no longer, Unix seconds; None = not within years.

    Where intervals change very often it is an earlier time, up to which the group is muted.
    """
    roster, at = surroundings.roster, now
    names = roster.known_intervals((*group.mute_time_intervals, *group.active_time_intervals))
    intervals = [roster.config.time_intervals[name] for name in names]
    for _ in range(_MAX_CHANGES):
        muting = group_muting(group, alerts, surroundings, at)
        if not muting.is_muted:
            break
        changes = [interval.changes(utc(at)) for interval in intervals]
        ends = [change.timestamp() for change in changes if change] + [muting.may_end_at()]
        if math.isinf(min(ends)) or min(ends) >= LATEST.timestamp():
            return None
        at = max(min(ends), at + SHORTEST_HOLD)
    return at
