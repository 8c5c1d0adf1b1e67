"""What a span of time was like: how quickly people answered, who was woken, which alerts are noise. Pure.

One pass; the memory that it takes grows with the number of people, policies and kinds of alerts, not with that of incidents.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

from amproxy.clock import utc
from amproxy.config.structs import NotifyStep, Urgency
from amproxy.model import Incident, Page
from amproxy.oncall.daytime import DAYTIMES, Daytime, daytime, night
from amproxy.reports.tallies import AlertTally, Person, Tally, by_itself
from amproxy.simulation.terminal import labels

MOST_ALERTS = 5000  # kinds of alerts told apart; what comes after them is counted as OTHER
OTHER = "(others)"
NO_TEAM = "none"
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")

Row = dict[str, Any]


class Insights:
    """`add` every incident of the span, then ask for the tables.

    zones: user → time zone, for pages by the person's own clock (UTC for those who are not in it). zone: of the hours of the
    week. user: only this person's rows among people and pages; "" = everybody's.
    """

    def __init__(self, zones: Mapping[str, str], zone: str = "UTC", user: str = "") -> None:
        self._zones, self._zone, self._user = {name: ZoneInfo(zone) for name, zone in zones.items()}, ZoneInfo(zone), user
        self._utc = ZoneInfo("UTC")
        self._all = Tally()
        self._teams: dict[str, Tally] = defaultdict(Tally)
        self._policies: dict[str, Tally] = defaultdict(Tally)
        self._people: dict[str, Person] = defaultdict(Person)
        self._pages: dict[tuple[str, str, Urgency], Counter[Daytime]] = defaultdict(Counter)
        self._alerts: dict[tuple[str, str], AlertTally] = defaultdict(AlertTally)
        self._hours = [[0] * 24 for _ in WEEKDAYS]
        self._days: dict[date, Counter[str]] = defaultdict(Counter)

    def add(self, incident: Incident) -> None:
        """Count one incident."""
        for tally in (self._all, self._teams[incident.team or NO_TEAM], self._policies[incident.policy]):
            tally.add(incident)
        self._add_answers(incident)
        sent = [page for page in incident.pages if page.user and page.kind == "page" and page.state == "sent"]
        for page in sent:
            self._add_page(incident, page)
        if incident.group:  # not opened by hand
            name = incident.group_labels.get("alertname") or incident.common_labels.get("alertname", "")
            self._alert("alertname", name).add(incident, len(sent))
            self._alert("group_labels", labels(incident.group_labels)).add(incident, len(sent))
        started = utc(incident.started_at).astimezone(self._zone)
        self._hours[started.weekday()][started.hour] += 1
        self._days[started.date()].update(incidents=1, pages=len(sent))

    def table(self, name: str) -> list[Row]:
        """One of TABLES."""
        tables = {
            "teams": self.teams, "policies": self.policies, "people": self.people, "pages": self.pages, "alerts": self.alerts,
            "hours": self.hours, "days": self.days,
        }  # fmt: skip
        return tables[name]()

    def summary(self) -> Row:
        """All incidents together."""
        return self._all.view()

    def teams(self) -> list[Row]:
        return _rows("team", self._teams)

    def policies(self) -> list[Row]:
        return _rows("policy", self._policies)

    def people(self) -> list[Row]:
        return [row for row in _rows("user", self._people) if self._user in ("", row["user"])]

    def pages(self) -> list[Row]:
        """Pages sent, by person, channel and urgency."""
        return [
            {"user": user, "channel": channel, "urgency": urgency, "pages": times.total(), **{time: times[time] for time in DAYTIMES}}
            for (user, channel, urgency), times in sorted(self._pages.items())
            if self._user in ("", user)
        ]

    def alerts(self) -> list[Row]:
        """The noisiest first, by alertname and by group labels."""
        rows = [{"by": by, "name": name, **tally.view()} for (by, name), tally in self._alerts.items()]
        return sorted(rows, key=lambda row: (-row["incidents"], -row["pages"], row["by"], row["name"]))

    def hours(self) -> list[Row]:
        """Incidents that began in each hour of the week, in the zone that was asked for: a row a day."""
        return [{"weekday": day, **{f"{hour:02}": n for hour, n in enumerate(row)}} for day, row in zip(WEEKDAYS, self._hours, strict=True)]

    def days(self) -> list[Row]:
        """Incidents that began on each day, in the zone that was asked for, and the pages that people got of them; only days with any."""
        return [{"day": day.isoformat(), "incidents": n["incidents"], "pages": n["pages"]} for day, n in sorted(self._days.items())]

    def _add_answers(self, incident: Incident) -> None:
        if incident.acknowledged_at is not None:
            self._people[incident.acknowledged_by].acknowledged.add(incident.acknowledged_at - incident.started_at)
        if incident.state == "resolved" and incident.resolved_at is not None and not by_itself(incident):
            self._people[incident.resolved_by].resolved.add(incident.resolved_at - incident.started_at)

    def _add_page(self, incident: Incident, page: Page) -> None:
        at, zone = utc(page.due if page.sent_at is None else page.sent_at), self._zones.get(page.user, self._utc)
        time, person = daytime(at, zone), self._people[page.user]
        person.pages[time] += 1
        if begun := night(at, zone):
            person.nights.add(begun)
        self._pages[page.user, page.channel, urgency(incident, page)][time] += 1

    def _alert(self, by: str, name: str) -> AlertTally:
        known = (by, name) in self._alerts or len(self._alerts) < MOST_ALERTS
        return self._alerts[by, name if known else OTHER]


def concerns(incident: Incident, user: str) -> bool:
    """Whether a person was paged or asked for, or answered."""
    answered = (incident.acknowledged_by, incident.resolved_by, incident.snoozed_by)
    return user in answered or user in incident.responders or any(page.user == user for page in incident.pages)


def urgency(incident: Incident, page: Page) -> Urgency:
    """With which urgency a page went out: the incident's own, or that of the step that asked for it."""
    plan = incident.plan if page.policy == incident.policy else incident.forwards.get(page.policy)
    step = plan.steps[page.step - 1] if plan and 0 < page.step <= len(plan.steps) else None
    important = incident.urgency == "important" or (isinstance(step, NotifyStep) and step.urgency == "important")
    return "important" if important else "default"


def _rows(key: str, tallies: Mapping[str, Tally] | Mapping[str, Person]) -> list[Row]:
    return [{key: name, **tallies[name].view()} for name in sorted(tallies)]


# Every table, and the shape of its rows.
TABLES: dict[str, Row] = {
    "teams": {"team": "", **Tally().view()},
    "policies": {"policy": "", **Tally().view()},
    "people": {"user": "", **Person().view()},
    "pages": {"user": "", "channel": "", "urgency": "", "pages": 0, **dict.fromkeys(DAYTIMES, 0)},
    "alerts": {"by": "", "name": "", "incidents": 0, "pages": 0, "acknowledged": 0, "probably_noise": 0, "median_time_to_resolve": None},
    "hours": {"weekday": "", **{f"{hour:02}": 0 for hour in range(24)}},
    "days": {"day": "", "incidents": 0, "pages": 0},
}
