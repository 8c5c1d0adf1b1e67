"""One policy run for an alert under a virtual clock, wherever the routes would lead it: whom it pages if nobody answers. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from amproxy.config.structs import Policy
from amproxy.machine.draft import new_id
from amproxy.model import Incident, Page, TimelineEntry
from amproxy.notify.templates import default_title
from amproxy.oncall.roster import Roster
from amproxy.simulation.incident import Course
from amproxy.zones import instant

LOOK = 86400.0  # seconds that the policy is followed

_TOLD = ("opened", "sent", "step")  # entries that the pages tell as well


class Moment(NamedTuple):
    """One thing that happens, so many seconds after the incident opens: a page that arrives, or what the timeline says."""

    seconds: float
    at: datetime
    entry: TimelineEntry
    page: Page | None


def rehearsal(policy: Policy, labels: Mapping[str, str], at: datetime, roster: Roster) -> list[Moment]:
    """What happens from `at` (aware), when the incident opens, for a day at most."""
    start, common = instant(at), dict(labels)
    now = start.timestamp()
    incident = Incident(
        id=new_id(), title=default_title(common, common), policy=policy.name, plan=policy, common_labels=common, firing=1, started_at=now
    )
    course = Course(incident, roster, {})
    course.run(now + LOOK)
    found = []
    for entry, page in course.facts:
        if page or entry.kind not in _TOLD:
            found.append(Moment(entry.at - now, datetime.fromtimestamp(entry.at, start.tzinfo), entry, page))
    return found
