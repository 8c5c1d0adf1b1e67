"""Whether a step counts at a moment: its matchers and its time intervals."""

from __future__ import annotations

from amproxy.clock import utc
from amproxy.config.structs import Condition
from amproxy.labels.matchers import parse_matcher
from amproxy.model import Incident
from amproxy.oncall.roster import Roster


def closed(step: Condition, incident: Incident, roster: Roster, now: float) -> str:
    """Why a step is skipped; "" = it runs. An interval that is not in the file any more restricts nothing."""
    for text in step.matchers:
        if not parse_matcher(text).matches(incident.common_labels):
            return f"{text} does not match"
    if not step.mute_time_intervals and not step.active_time_intervals:
        return ""
    at = utc(now)
    for name in roster.known(step.mute_time_intervals):
        if roster.holds(name, at):
            return f"muted by time interval {name}"
    active = roster.known(step.active_time_intervals)
    if active and not any(roster.holds(name, at) for name in active):
        return f"outside time interval {', '.join(active)}"
    return ""
