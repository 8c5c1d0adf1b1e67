"""Insights into a period: how quickly people answered, who was woken, which alerts are noise. Pure.

One pass over the incidents. The memory that it takes grows with the number of people, policies and
kinds of alerts, not with the number of incidents.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Final, Literal, NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from amproxy.clock import utc
from amproxy.config.structs import NotifyStep, Urgency
from amproxy.model import Incident, Page
from amproxy.oncall.hours import Daytime, classify_daytime, night_start_date
from amproxy.reports.insights_rows import (
    AlertKey,
    AlertRowView,
    DayRowView,
    HoursRowView,
    IncidentTallyView,
    InsightsTable,
    PagesRowView,
    PersonRowView,
    PolicyRowView,
    SpreadView,
    TeamRowView,
)
from amproxy.simulation.terminal import labels_text

NOISE_SECONDS: Final = 300.0  # an incident that ends by itself within them was probably noise
MAX_ALERT_KINDS: Final = 5000  # kinds of alerts; those after them count as OTHER_ALERTS
OTHER_ALERTS: Final = "(others)"
NO_TEAM: Final = "none"
WEEKDAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")

# From here on something is worth a sentence on the page; shares are of 1.
MIN_NIGHTS: Final = 2  # disturbed nights of one person
MIN_PAGE_SHARE: Final = 0.2  # of all pages, for one alert
MIN_COUNT: Final = 5  # pages or incidents: below it no share means anything
MIN_NOISE_SHARE: Final = 0.5  # of an alert's incidents that were probably noise
MIN_UNANSWERED_SHARE: Final = 0.3  # of incidents that nobody acknowledged


class Insights:
    """Counts of the incidents of a period: `add` every one of them, then read the tables.

    zones: user → time zone, for pages by the person's own clock (UTC for others). zone: of the days
    and hours. user: only this person's rows among people and pages; "" = everybody's.
    """

    def __init__(self, zones: Mapping[str, str], zone: str = "UTC", user: str = "") -> None:
        self._zones = {name: ZoneInfo(zone) for name, zone in zones.items()}
        self._zone, self._utc = ZoneInfo(zone), ZoneInfo("UTC")
        self._user = user
        self._all = IncidentTally()
        self._teams: dict[str, IncidentTally] = defaultdict(IncidentTally)
        self._policies: dict[str, IncidentTally] = defaultdict(IncidentTally)
        self._people: dict[str, PersonTally] = defaultdict(PersonTally)
        self._pages: dict[tuple[str, str, Urgency], Counter[Daytime]] = defaultdict(Counter)
        self._alerts: dict[tuple[AlertKey, str], AlertTally] = defaultdict(AlertTally)
        self._hours = [[0] * 24 for _ in WEEKDAYS]
        self._days: dict[date, Counter[str]] = defaultdict(Counter)

    def add(self, incident: Incident) -> None:
        """Count one incident."""
        self._all.add(incident)
        self._teams[incident.team or NO_TEAM].add(incident)
        self._policies[incident.policy].add(incident)
        self._add_answers(incident)
        sent = [page for page in incident.pages if _reached_person(page)]
        for page in sent:
            self._add_page(incident, page)
        if incident.group:  # not opened by hand
            named = incident.group_labels.get("alertname")
            name = named or incident.common_labels.get("alertname", "")
            self._alert("alertname", name).add(incident, len(sent))
            self._alert("group_labels", labels_text(incident.group_labels)).add(incident, len(sent))
        started = utc(incident.started_at).astimezone(self._zone)
        self._hours[started.weekday()][started.hour] += 1
        self._days[started.date()].update(incidents=1, pages=len(sent))

    def table(self, name: InsightsTable) -> Sequence[msgspec.Struct]:
        """Return the rows of one of TABLES."""
        tables: dict[InsightsTable, Callable[[], Sequence[msgspec.Struct]]] = {
            "teams": self.teams,
            "policies": self.policies,
            "people": self.people,
            "pages": self.pages,
            "alerts": self.alerts,
            "hours": self.hours,
            "days": self.days,
        }
        return tables[name]()

    def summary(self) -> IncidentTallyView:
        """Return the tally of all incidents together."""
        return self._all.view()

    def teams(self) -> list[TeamRowView]:
        return [
            TeamRowView(team=name, **msgspec.structs.asdict(tally.view()))
            for name, tally in sorted(self._teams.items())
        ]

    def policies(self) -> list[PolicyRowView]:
        return [
            PolicyRowView(policy=name, **msgspec.structs.asdict(tally.view()))
            for name, tally in sorted(self._policies.items())
        ]

    def people(self) -> list[PersonRowView]:
        return [
            tally.view(name)
            for name, tally in sorted(self._people.items())
            if self._user in ("", name)
        ]

    def pages(self) -> list[PagesRowView]:
        """Pages that were sent, by person, channel and urgency."""
        return [
            PagesRowView(
                user=user,
                channel=channel,
                urgency=urgency,
                pages=times.total(),
                day=times["day"],
                night=times["night"],
                weekend=times["weekend"],
            )
            for (user, channel, urgency), times in sorted(self._pages.items())
            if self._user in ("", user)
        ]

    def alerts(self) -> list[AlertRowView]:
        """The noisiest first, by alertname and by group labels."""
        rows = [tally.view(by, name) for (by, name), tally in self._alerts.items()]
        return sorted(rows, key=lambda row: (-row.incidents, -row.pages, row.by, row.name))

    def hours(self) -> list[HoursRowView]:
        """Incidents that began in each hour of the week, a row a day."""
        return [
            HoursRowView(weekday=day, **{f"h{hour:02}": n for hour, n in enumerate(row)})
            for day, row in zip(WEEKDAYS, self._hours, strict=True)
        ]

    def days(self) -> list[DayRowView]:
        """Days with incidents that began on them, and the pages that people got of those."""
        return [
            DayRowView(day=day, incidents=n["incidents"], pages=n["pages"])
            for day, n in sorted(self._days.items())
        ]

    def _add_answers(self, incident: Incident) -> None:
        if incident.acknowledged_at is not None:
            person = self._people[incident.acknowledged_by]
            person.acknowledged.add(incident.acknowledged_at - incident.started_at)
        resolved_after = _seconds_to_resolve(incident)
        if resolved_after is not None and not ended_by_itself(incident):
            self._people[incident.resolved_by].resolved.add(resolved_after)

    def _add_page(self, incident: Incident, page: Page) -> None:
        at = utc(page.due if page.sent_at is None else page.sent_at)
        zone = self._zones.get(page.user, self._utc)
        time, person = classify_daytime(at, zone), self._people[page.user]
        person.pages[time] += 1
        if begun := night_start_date(at, zone):
            person.nights.add(begun)
        self._pages[page.user, page.channel, urgency_of_page(incident, page)][time] += 1

    def _alert(self, by: AlertKey, name: str) -> AlertTally:
        # Names come from alerts: a label that changes with every one must not fill the memory.
        known = (by, name) in self._alerts or len(self._alerts) < MAX_ALERT_KINDS
        return self._alerts[by, name if known else OTHER_ALERTS]


def urgency_of_page(incident: Incident, page: Page) -> Urgency:
    """Return the urgency of a page: the incident's own, or that of the step that paged."""
    plan = incident.plan if page.policy == incident.policy else incident.forwards.get(page.policy)
    step = plan.steps[page.step - 1] if plan and 0 < page.step <= len(plan.steps) else None
    important = incident.urgency == "important" or (
        isinstance(step, NotifyStep) and step.urgency == "important"
    )
    return "important" if important else "default"


class IncidentTally:
    """Incidents of a team, of a policy, or all of them."""

    def __init__(self) -> None:
        self.states: Counter[str] = Counter()
        self.never_acknowledged = self.reopened = 0
        self.acknowledged, self.resolved = DurationSpread(), DurationSpread()
        self.ended = DurationSpread()  # by themselves

    def add(self, incident: Incident) -> None:
        self.states[incident.state] += 1
        self.reopened += incident.epoch > 1
        if incident.acknowledged_at is None:
            self.never_acknowledged += 1
        else:
            self.acknowledged.add(incident.acknowledged_at - incident.started_at)
        lasted = _seconds_to_resolve(incident)
        if lasted is not None:
            spread = self.ended if ended_by_itself(incident) else self.resolved
            spread.add(lasted)

    def view(self) -> IncidentTallyView:
        return IncidentTallyView(
            incidents=self.states.total(),
            triggered=self.states["triggered"],
            acknowledged=self.states["acknowledged"],
            snoozed=self.states["snoozed"],
            resolved=self.states["resolved"],
            never_acknowledged=self.never_acknowledged,
            reopened=self.reopened,
            time_to_acknowledge=self.acknowledged.view(),
            time_to_resolve=self.resolved.view(),
            time_to_end_by_itself=self.ended.view(),
        )


class PersonTally:
    """The answers of one person, and the pages to them."""

    def __init__(self) -> None:
        self.acknowledged, self.resolved = DurationSpread(), DurationSpread()
        self.pages: Counter[Daytime] = Counter()
        self.nights: set[date] = set()

    def view(self, user: str) -> PersonRowView:
        return PersonRowView(
            user=user,
            pages=self.pages.total(),
            pages_day=self.pages["day"],
            pages_night=self.pages["night"],
            pages_weekend=self.pages["weekend"],
            nights_disturbed=len(self.nights),
            time_to_acknowledge=self.acknowledged.view(),
            time_to_resolve=self.resolved.view(),
        )


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
        lasted = _seconds_to_resolve(incident)
        if lasted is not None:
            self.resolved.add(lasted)
            self.noise += ended_by_itself(incident) and lasted <= NOISE_SECONDS

    def view(self, by: AlertKey, name: str) -> AlertRowView:
        return AlertRowView(
            by=by,
            name=name,
            incidents=self.incidents,
            pages=self.pages,
            acknowledged=round(self.acknowledged / self.incidents, 3),
            probably_noise=round(self.noise / self.incidents, 3),
            median_time_to_resolve=self.resolved.percentile(50),
        )


def ended_by_itself(incident: Incident) -> bool:
    """Check whether it ended without a person: its alerts were over, or its source fell silent."""
    return incident.state == "resolved" and incident.end_reason is not None


def _seconds_to_resolve(incident: Incident) -> float | None:
    if incident.state != "resolved" or incident.resolved_at is None:
        return None
    return incident.resolved_at - incident.started_at


def _reached_person(page: Page) -> bool:
    return bool(page.user) and page.kind == "page" and page.state == "sent"


class DurationSpread:
    """The spread of lengths in seconds. Count, mean and maximum are exact.

    Lengths are counted to three significant digits for the percentiles: so there are few different
    ones, and the memory does not grow with their number.
    """

    __slots__ = ("_counts", "_sum", "count", "max")

    def __init__(self) -> None:
        self.count, self.max, self._sum = 0, 0.0, 0.0
        self._counts: dict[float, int] = {}

    def add(self, seconds: float) -> None:
        """Count a length; a negative one, of a clock that was set back, as 0."""
        seconds = max(0.0, seconds)
        self.count += 1
        self.max = max(self.max, seconds)
        self._sum += seconds
        rounded = float(f"{seconds:.3g}")
        self._counts[rounded] = self._counts.get(rounded, 0) + 1

    def percentile(self, percent: int) -> float | None:
        """Return the least length that so many percent do not exceed; None = nothing was added."""
        passed = 0
        for seconds in sorted(self._counts):
            passed += self._counts[seconds]
            if passed * 100 >= percent * self.count:
                return seconds
        return None

    def view(self) -> SpreadView:
        return SpreadView(
            count=self.count,
            mean=round(self._sum / self.count, 3) if self.count else None,
            p50=self.percentile(50),
            p90=self.percentile(90),
            max=round(self.max, 3) if self.count else None,
        )


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


def find_highlights(insights: Insights) -> list[Finding]:
    """Return at most three findings, the gravest first; [] = nothing stands out.

    Pure choice: their words are for the page.
    """
    people, alerts, summary = insights.people(), insights.alerts(), insights.summary()
    result: list[Finding] = []
    woken = max(people, key=lambda row: row.nights_disturbed, default=None)
    if woken and woken.nights_disturbed >= MIN_NIGHTS:
        result.append(NightsFinding(woken.user, woken.nights_disturbed))
    pages = sum(row.pages for row in people)
    named = [row for row in alerts if row.by == "alertname" and row.name not in ("", OTHER_ALERTS)]
    loudest = max(named, key=lambda row: row.pages, default=None)
    if loudest and pages >= MIN_COUNT and loudest.pages >= MIN_PAGE_SHARE * pages:
        percent = min(100, round(100 * loudest.pages / pages))
        result.append(
            LoudAlertFinding(loudest.name, percent, loudest.probably_noise >= MIN_NOISE_SHARE)
        )
    incidents, unanswered = summary.incidents, summary.never_acknowledged
    if incidents >= MIN_COUNT and unanswered >= MIN_UNANSWERED_SHARE * incidents:
        result.append(UnansweredFinding(unanswered, incidents))
    return result
