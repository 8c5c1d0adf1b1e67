"""The text of a schedule's pages for one reader, and the bars of its timelines as SVG. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from functools import cache
from typing import Final
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from markupsafe import Markup, escape

from amproxy.clock import utc
from amproxy.config.structs import User
from amproxy.oncall.roster import gap_reason
from amproxy.text import Texts, Words
from amproxy.text.formats import clock_text
from amproxy.text.render import (
    PhraseRenderer,
    dated_text,
    day_text,
    full_date_text,
    full_time_text,
    time_text,
)
from amproxy.web.http import format
from amproxy.web.http.format import assign_marks, assign_tones
from amproxy.web.schedules.timeline import ScheduleTimelineEntry, TimelineBar

MAX_NAME_LENGTH = 60  # characters
MAX_NAMES_IN_BAR: Final = 3  # people whose marks have room in one bar
_GONE_CLASS: Final = "gone"  # CSS class of people who are no longer in the file


class ScheduleFormatter:
    """Formats people, times and reasons in the reader's language, on the clock of the page."""

    def __init__(
        self,
        users: Mapping[str, User],
        t: Texts,
        zone: ZoneInfo,
        now: float,
        former: Mapping[str, str] = {},
    ) -> None:
        """former: people of the past → their full names then. now: Unix seconds."""
        self._users, self._t, self._zone, self._now, self._former = (users, t, zone, now, former)
        self._tones = assign_tones(users)
        self._marks = assign_marks((user.name, user.full_name) for user in users.values())
        self._words = PhraseRenderer(t, full_name=self._name, zone=zone, now=now, names_zone=False)
        # A page shows the same people, times and reasons hundreds of times.
        self.name = cache(self._name)
        self.mark = cache(self._mark)
        self.full_time = cache(self._full_time)
        self.reason = cache(self._reason)
        self.tooltip = cache(self._tooltip)

    def _name(self, user: str) -> str:
        known = self._users.get(user)
        full_name = known.full_name if known else self._former.get(user, "")
        return format.shorten_line(full_name or user, MAX_NAME_LENGTH, self._t)

    def names(self, users: Sequence[str]) -> str:
        return ", ".join(map(self.name, users)) or self._t.plain("schedules.nobody")

    def _mark(self, user: str) -> str:
        """A few letters for a person, where a name has no room."""
        return self._marks.get(user) or format.initials(self.name(user))

    def tone(self, user: str) -> str:
        """The CSS class of a person's colour."""
        return self._tones.get(user, _GONE_CLASS)

    def short_time(self, at: datetime) -> str:
        """A time at a glance: "14:03" today, "Mon 5 Jan 09:00" on another day."""
        return time_text(at, self._zone, self._now, self._t)

    def _full_time(self, at: datetime | float) -> str:
        """A time with its day: "Mon 5 Jan 09:00"; with the year unless it is this one."""
        return full_time_text(at, self._zone, self._now, self._t)

    def period(self, start: datetime | float, end: datetime | float) -> str:
        """ "Mon 5 Jan 09:00 – Tue 6 Jan 18:00", "Mon 5 Jan 09:00 – 18:00" """
        begin, until = self._local(start), self._local(end)
        same_day = begin.date() == until.date()
        end_text = clock_text(until, self._t.times) if same_day else self.full_time(until)
        return f"{self.full_time(begin)} – {end_text}"

    def _local(self, at: datetime | float) -> datetime:
        return (at if isinstance(at, datetime) else utc(at)).astimezone(self._zone)

    def day(self, at: datetime) -> date:
        """The day of a time on the clock of the page."""
        return at.astimezone(self._zone).date()

    def date_range(self, first: date, after: date) -> str:
        """The days before `after`: "5 Jan – 18 Jan 2026"; a whole month by its name."""
        last = after - timedelta(days=1)
        if first == last:
            return full_date_text(first, self._t)
        if first.day == 1 and after.day == 1:
            return f"{self._t.plain('schedules.months').split()[first.month - 1]} {first.year}"
        return f"{day_text(first, self._t)} – {dated_text(last, self._t)}"

    def hours(self, seconds: float) -> str:
        """ "168 h", "7.5 h" """
        return self._t.plain("schedules.hours", n=f"{seconds / 3600:.1f}".rstrip("0").rstrip("."))

    def form_links(self, page: str) -> ScheduleFormLinks:
        """The addresses that fill in the page's forms. page: with its query."""
        return ScheduleFormLinks(page, self)

    def form_value(self, at: datetime) -> str:
        """A time as the value of a form field: the clock of the page, to the minute."""
        return at.astimezone(self._zone).strftime("%Y-%m-%dT%H:%M")

    def _tooltip(self, entry: ScheduleTimelineEntry) -> str:
        """People, period and reason of an entry."""
        people, state = self.names(entry.people), entry.state
        if entry.kind == "swap":
            people = self._t.plain(f"schedules.swap_{state}", user=people)
        if entry.kind == "holiday":
            people = f"{state}: {people}"
        texts = (people, self.period(entry.start, entry.end), self.reason(entry.reason))
        return " · ".join(text for text in texts if text)

    def _reason(self, reason: Words) -> str:
        """A reason of the roster, of a gap why nobody is on call."""
        return format.shorten_line(
            self._words.text(gap_reason(reason)), format.MAX_VALUE_LENGTH, self._t
        )


class ScheduleFormLinks:
    """Addresses of a schedule's page that fill in its forms with a period and a person."""

    def __init__(self, page: str, formatter: ScheduleFormatter) -> None:
        self._page, self._formatter = page, formatter

    def __call__(self, entry: ScheduleTimelineEntry) -> str:
        return self.at(entry.start, entry.end, entry.people[0] if entry.people else "")

    def at(self, start: datetime, end: datetime, user: str = "") -> str:
        value = self._formatter.form_value
        query = urlencode({"start": value(start), "end": value(end), "user": user})
        return f"{self._page}&{query}#change"


# A page has hundreds of bars, and a template takes far longer to draw them: hence Python.
def render_bar(
    bar: TimelineBar, formatter: ScheduleFormatter, links: ScheduleFormLinks | None = None
) -> Markup:
    """One bar as SVG; with links it leads to the forms, filled in."""
    entry, users = bar.entry, bar.entry.people
    shapes = _bar_shapes(entry, formatter)
    edge = '<rect class="edge" width="100%" height="100%"/>'
    texts = "" if bar.size == "tiny" else _bar_texts(entry, formatter)
    body = (
        f"<title>{escape(formatter.tooltip(entry))}</title>"
        f'<svg x="{bar.x:g}%" width="{bar.width:g}%" height="100%">{shapes}{edge}{texts}</svg>'
    )
    state = entry.state if entry.kind == "swap" else ""
    classes = f"bar {bar.size} {entry.kind} {state}".rstrip()
    # Markup is safe (S704): whatever comes from outside has been escaped.
    if links is None:
        return Markup(f'<g class="{classes}">{body}</g>')  # noqa: S704
    data = (
        f'data-user="{escape(users[0] if users else "")}" '
        f'data-start="{formatter.form_value(entry.start)}" '
        f'data-end="{formatter.form_value(entry.end)}" '
        f'data-from="{entry.start.timestamp():.0f}" data-to="{entry.end.timestamp():.0f}"'
    )
    return Markup(f'<a href="{escape(links(entry))}" class="{classes}" {data}>{body}</a>')  # noqa: S704


def _bar_shapes(entry: ScheduleTimelineEntry, formatter: ScheduleFormatter) -> str:
    """A strip of colour for each person, from top to bottom; hatched for nobody."""
    users = entry.people
    if entry.kind == "holiday":
        return '<rect class="day-off" width="100%" height="100%"/>'
    if not users:
        return (
            '<rect class="nobody" width="100%" height="100%"/>'
            '<rect fill="url(#hatch)" width="100%" height="100%"/>'
        )
    share = 100 / len(users)
    return "".join(
        f'<rect class="{formatter.tone(user)}" y="{share * n:.4g}%" '
        f'width="100%" height="{share:.4g}%"/>'
        for n, user in enumerate(users)
    )


def _bar_texts(entry: ScheduleTimelineEntry, formatter: ScheduleFormatter) -> str:
    """The names of an entry, and the marks of its people: the style shows what has room."""
    users = entry.people
    if entry.kind == "holiday":
        return (
            f'<text class="name" x="7" y="50%">{escape(formatter.reason(entry.reason))}</text>'
            f'<text class="mark" x="50%" y="50%">{escape(entry.state)}</text>'
        )
    name = f"{formatter.names(users)}{' ?' if entry.state == 'open' else ''}"
    if users:
        share = 100 / len(users)
        several = " of-several" if len(users) > 1 else ""
        marks = "".join(
            f'<text class="mark{several}" x="50%" y="{share * (n + 0.5):.4g}%">'
            f"{escape(formatter.mark(user))}</text>"
            for n, user in enumerate(users[:MAX_NAMES_IN_BAR])
        )
    else:
        marks = '<text class="mark" x="50%" y="50%">!</text>'
    return f'<text class="name" x="7" y="50%">{escape(name)}</text>{marks}'
