"""How lengths of time are spread: count, mean, percentiles, maximum, in memory that does not grow with their number.

What is counted for one team, policy, person or alert.

What a span of time was like: how quickly people answered, who was woken, which alerts are noise. Pure.

One pass; the memory that it takes grows with the number of people, policies and kinds of alerts, not with that of incidents.

What matters most of a span of time, for somebody who reads one sentence. Pure: it chooses and says no words.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from datetime import date
from typing import Any, Literal, NamedTuple, get_args
from zoneinfo import ZoneInfo

from amproxy.clock import utc
from amproxy.config.structs import NotifyStep, Urgency
from amproxy.machine.draft import RESOLVED_TEXTS
from amproxy.model import Incident, IncidentState, Page
from amproxy.oncall.hours import DAYTIMES, Daytime, classify_daytime, night_start_date
from amproxy.simulation.terminal import labels_text


class DurationSpread:
    """Lengths in seconds, not negative. Percentiles are kept to three significant digits; count, mean and maximum are exact."""

    __slots__ = ("_counts", "_sum", "count", "max")

    def __init__(self) -> None:
        self.count, self.max, self._sum = 0, 0.0, 0.0
        self._counts: dict[float, int] = {}

    def add(self, seconds: float) -> None:
        """A negative length, of a clock that was set back, counts as none."""
        seconds = max(0.0, seconds)
        self.count, self.max, self._sum = self.count + 1, max(self.max, seconds), self._sum + seconds
        rounded = float(f"{seconds:.3g}")
        self._counts[rounded] = self._counts.get(rounded, 0) + 1

    def percentile(self, percent: int) -> float | None:
        """The least length that so many percent do not exceed; None = there is none at all."""
        passed = 0
        for seconds in sorted(self._counts):
            passed += self._counts[seconds]
            if passed * 100 >= percent * self.count:
                return seconds
        return None

    def view(self) -> dict[str, Any]:
        """For JSON; without any length all but the count is None."""
        return {
            "count": self.count,
            "mean": round(self._sum / self.count, 3) if self.count else None,
            "p50": self.percentile(50),
            "p90": self.percentile(90),
            "max": round(self.max, 3) if self.count else None,
        }


NOISE_SECONDS = 300.0  # seconds: an incident that ends by itself within them was probably noise


def ended_by_itself(incident: Incident) -> bool:
    """Whether it ended without a person: its alerts were over, or its source fell silent."""
    return incident.state == "resolved" and incident.resolved_by in RESOLVED_TEXTS


class IncidentTally:
    """Incidents of a team, of a policy, or all of them."""

    def __init__(self) -> None:
        self.states: Counter[str] = Counter()
        self.never_acknowledged = self.reopened = 0
        self.acknowledged, self.resolved, self.ended = DurationSpread(), DurationSpread(), DurationSpread()

    def add(self, incident: Incident) -> None:
        self.states[incident.state] += 1
        self.reopened += incident.epoch > 1
        if incident.acknowledged_at is None:
            self.never_acknowledged += 1
        else:
            self.acknowledged.add(incident.acknowledged_at - incident.started_at)
        if incident.state == "resolved" and incident.resolved_at is not None:
            (self.ended if ended_by_itself(incident) else self.resolved).add(incident.resolved_at - incident.started_at)

    def view(self) -> dict[str, Any]:
        return {
            "incidents": self.states.total(),
            **{state: self.states[state] for state in get_args(IncidentState)},
            "never_acknowledged": self.never_acknowledged,
            "reopened": self.reopened,
            "time_to_acknowledge": self.acknowledged.view(),
            "time_to_resolve": self.resolved.view(),
            "time_to_end_by_itself": self.ended.view(),
        }


class PersonTally:
    """What one person did, and how often they were paged."""

    def __init__(self) -> None:
        self.acknowledged, self.resolved = DurationSpread(), DurationSpread()
        self.pages: Counter[Daytime] = Counter()
        self.nights: set[date] = set()

    def view(self) -> dict[str, Any]:
        return {
            "pages": self.pages.total(),
            **{f"pages_{time}": self.pages[time] for time in DAYTIMES},
            "nights_disturbed": len(self.nights),
            "time_to_acknowledge": self.acknowledged.view(),
            "time_to_resolve": self.resolved.view(),
        }


class AlertTally:
    """Incidents of one alert: of one alertname, or of one set of group labels."""

    def __init__(self) -> None:
        self.incidents = self.pages = self.acknowledged = self.noise = 0
        self.resolved = DurationSpread()

    def add(self, incident: Incident, pages: int) -> None:
        """pages: those of it that went out to people."""
        self.incidents += 1
        self.pages += pages
        self.acknowledged += incident.acknowledged_at is not None
        if incident.state == "resolved" and incident.resolved_at is not None:
            lasted = incident.resolved_at - incident.started_at
            self.resolved.add(lasted)
            self.noise += ended_by_itself(incident) and lasted <= NOISE_SECONDS

    def view(self) -> dict[str, Any]:
        return {
            "incidents": self.incidents,
            "pages": self.pages,
            "acknowledged": round(self.acknowledged / self.incidents, 3),
            "probably_noise": round(self.noise / self.incidents, 3),
            "median_time_to_resolve": self.resolved.percentile(50),
        }


MAX_ALERT_KINDS = 5000  # kinds of alerts told apart; what comes after them is counted as OTHER
OTHER_ALERTS = "(others)"
NO_TEAM = "none"
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")

InsightsTableRow = dict[str, Any]


class Insights:
    """`add` every incident of the span, then ask for the tables.

    zones: user → time zone, for pages by the person's own clock (UTC for those who are not in it). zone: of the hours of the
    week. user: only this person's rows among people and pages; "" = everybody's.
    """

    def __init__(self, zones: Mapping[str, str], zone: str = "UTC", user: str = "") -> None:
        self._zones, self._zone, self._user = {name: ZoneInfo(zone) for name, zone in zones.items()}, ZoneInfo(zone), user
        self._utc = ZoneInfo("UTC")
        self._all = IncidentTally()
        self._teams: dict[str, IncidentTally] = defaultdict(IncidentTally)
        self._policies: dict[str, IncidentTally] = defaultdict(IncidentTally)
        self._people: dict[str, PersonTally] = defaultdict(PersonTally)
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
            self._alert("group_labels", labels_text(incident.group_labels)).add(incident, len(sent))
        started = utc(incident.started_at).astimezone(self._zone)
        self._hours[started.weekday()][started.hour] += 1
        self._days[started.date()].update(incidents=1, pages=len(sent))

    def table(self, name: str) -> list[InsightsTableRow]:
        """One of TABLES."""
        tables = {
            "teams": self.teams, "policies": self.policies, "people": self.people, "pages": self.pages, "alerts": self.alerts,
            "hours": self.hours, "days": self.days,
        }  # fmt: skip
        return tables[name]()

    def summary(self) -> InsightsTableRow:
        """All incidents together."""
        return self._all.view()

    def teams(self) -> list[InsightsTableRow]:
        return _tally_rows("team", self._teams)

    def policies(self) -> list[InsightsTableRow]:
        return _tally_rows("policy", self._policies)

    def people(self) -> list[InsightsTableRow]:
        return [row for row in _tally_rows("user", self._people) if self._user in ("", row["user"])]

    def pages(self) -> list[InsightsTableRow]:
        """Pages sent, by person, channel and urgency."""
        return [
            {"user": user, "channel": channel, "urgency": urgency, "pages": times.total(), **{time: times[time] for time in DAYTIMES}}
            for (user, channel, urgency), times in sorted(self._pages.items())
            if self._user in ("", user)
        ]

    def alerts(self) -> list[InsightsTableRow]:
        """The noisiest first, by alertname and by group labels."""
        rows = [{"by": by, "name": name, **tally.view()} for (by, name), tally in self._alerts.items()]
        return sorted(rows, key=lambda row: (-row["incidents"], -row["pages"], row["by"], row["name"]))

    def hours(self) -> list[InsightsTableRow]:
        """Incidents that began in each hour of the week, in the zone that was asked for: a row a day."""
        return [{"weekday": day, **{f"{hour:02}": n for hour, n in enumerate(row)}} for day, row in zip(WEEKDAYS, self._hours, strict=True)]

    def days(self) -> list[InsightsTableRow]:
        """Incidents that began on each day, in the zone that was asked for, and the pages that people got of them; only days with any."""
        return [{"day": day.isoformat(), "incidents": n["incidents"], "pages": n["pages"]} for day, n in sorted(self._days.items())]

    def _add_answers(self, incident: Incident) -> None:
        if incident.acknowledged_at is not None:
            self._people[incident.acknowledged_by].acknowledged.add(incident.acknowledged_at - incident.started_at)
        if incident.state == "resolved" and incident.resolved_at is not None and not ended_by_itself(incident):
            self._people[incident.resolved_by].resolved.add(incident.resolved_at - incident.started_at)

    def _add_page(self, incident: Incident, page: Page) -> None:
        at, zone = utc(page.due if page.sent_at is None else page.sent_at), self._zones.get(page.user, self._utc)
        time, person = classify_daytime(at, zone), self._people[page.user]
        person.pages[time] += 1
        if begun := night_start_date(at, zone):
            person.nights.add(begun)
        self._pages[page.user, page.channel, urgency_of_page(incident, page)][time] += 1

    def _alert(self, by: str, name: str) -> AlertTally:
        known = (by, name) in self._alerts or len(self._alerts) < MAX_ALERT_KINDS
        return self._alerts[by, name if known else OTHER_ALERTS]


def concerns_user(incident: Incident, user: str) -> bool:
    """Whether a person was paged or asked for, or answered."""
    answered = (incident.acknowledged_by, incident.resolved_by, incident.snoozed_by)
    return user in answered or user in incident.responders or any(page.user == user for page in incident.pages)


def urgency_of_page(incident: Incident, page: Page) -> Urgency:
    """With which urgency a page went out: the incident's own, or that of the step that asked for it."""
    plan = incident.plan if page.policy == incident.policy else incident.forwards.get(page.policy)
    step = plan.steps[page.step - 1] if plan and 0 < page.step <= len(plan.steps) else None
    important = incident.urgency == "important" or (isinstance(step, NotifyStep) and step.urgency == "important")
    return "important" if important else "default"


def _tally_rows(key: str, tallies: Mapping[str, IncidentTally] | Mapping[str, PersonTally]) -> list[InsightsTableRow]:
    return [{key: name, **tallies[name].view()} for name in sorted(tallies)]


# Every table, and the shape of its rows.
TABLES: dict[str, InsightsTableRow] = {
    "teams": {"team": "", **IncidentTally().view()},
    "policies": {"policy": "", **IncidentTally().view()},
    "people": {"user": "", **PersonTally().view()},
    "pages": {"user": "", "channel": "", "urgency": "", "pages": 0, **dict.fromkeys(DAYTIMES, 0)},
    "alerts": {"by": "", "name": "", "incidents": 0, "pages": 0, "acknowledged": 0, "probably_noise": 0, "median_time_to_resolve": None},
    "hours": {"weekday": "", **{f"{hour:02}": 0 for hour in range(24)}},
    "days": {"day": "", "incidents": 0, "pages": 0},
}


MIN_NIGHTS = 2  # disturbed nights of one person from which they are worth a word
MIN_PAGE_SHARE = 0.2  # of all pages, for one alert
MIN_COUNT = 5  # pages below which no share means anything
MIN_NOISE_SHARE = 0.5  # share of an alert's incidents that were probably noise
MIN_UNANSWERED_SHARE = 0.3  # share of incidents that nobody acknowledged


class NightsFinding(NamedTuple):
    """Somebody was woken more often than anybody else."""

    user: str
    nights: int
    kind: Literal["nights"] = "nights"


class LoudAlertFinding(NamedTuple):
    """One alert makes for much of what people are paged for."""

    alert: str
    percent: int  # of all pages
    itself: bool  # most of the time it ends by itself at once
    kind: Literal["loud"] = "loud"


class UnansweredFinding(NamedTuple):
    """Many incidents ended, or stand, without an acknowledgement."""

    incidents: int
    of: int
    kind: Literal["unanswered"] = "unanswered"


Finding = NightsFinding | LoudAlertFinding | UnansweredFinding


def find_highlights(found: Insights) -> list[Finding]:
    """At most three, the gravest first; [] = nothing stands out."""
    people, alerts, summary = found.people(), found.alerts(), found.summary()
    result: list[Finding] = []
    woken = max(people, key=lambda row: row["nights_disturbed"], default=None)
    if woken and woken["nights_disturbed"] >= MIN_NIGHTS:
        result.append(NightsFinding(woken["user"], woken["nights_disturbed"]))
    pages = sum(row["pages"] for row in people)
    named = [row for row in alerts if row["by"] == "alertname" and row["name"] not in ("", OTHER_ALERTS)]
    loudest = max(named, key=lambda row: row["pages"], default=None)
    if loudest and pages >= MIN_COUNT and loudest["pages"] >= MIN_PAGE_SHARE * pages:
        percent = min(100, round(100 * loudest["pages"] / pages))
        result.append(LoudAlertFinding(loudest["name"], percent, loudest["probably_noise"] >= MIN_NOISE_SHARE))
    if summary["incidents"] >= MIN_COUNT and summary["never_acknowledged"] >= MIN_UNANSWERED_SHARE * summary["incidents"]:
        result.append(UnansweredFinding(summary["never_acknowledged"], summary["incidents"]))
    return result
