"""How the people and the reasons of a schedule read on a page. Pure.

A bar of a timeline as SVG. There are hundreds on a page, which is why Python draws them and no template. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from functools import cache
from typing import Final
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from markupsafe import Markup, escape

from amproxy.clock import utc
from amproxy.config.structs import User
from amproxy.text import Texts
from amproxy.web.http import format
from amproxy.web.http.format import assign_marks, assign_tones
from amproxy.web.schedules.timeline import ScheduleTimelineEntry, TimelineBar

MAX_NAME_LENGTH = 60
_GONE_CLASS: Final = "gone"  # class of people who are not in the file any more

_SWAP_REASON = re.compile(r"(\S+) for (\S+) \(swap\)")
_ABSENCE_REASON = re.compile(r"(?<=, )(\S+) absent")
_REASON_PREFIXES: Final = (  # of reasons, as decide.roster gives them → key of the text that stands for them
    ("nobody: no layer is active", "schedules.why_no_layer"),
    ("nobody: calendar not loaded", "schedules.why_not_loaded"),
    ("nobody: no event in the calendar", "schedules.why_no_event"),
    ("nobody: the calendar names nobody who is known", "schedules.why_names_nobody"),
    ("overrides calendar", "schedules.why_overrides_calendar"),
    ("calendar", "schedules.why_calendar"),
    ("override by hand", "schedules.why_by_hand"),
    ("override", "schedules.why_override"),
    ("nobody: ", "schedules.why_nobody"),
)
_ALL_ABSENT_REASON = re.compile(r"everyone in layer (.*) is absent")


class ScheduleFormLinks:
    """Addresses of the page with the times, and the person, of a shift in its forms."""

    def __init__(self, page: str, speaker: ScheduleFormatter) -> None:
        self._page, self._speaker = page, speaker

    def __call__(self, entry: ScheduleTimelineEntry) -> str:
        return self.at(entry.start, entry.end, entry.people[0] if entry.people else "")

    def at(self, start: datetime, end: datetime, user: str = "") -> str:
        filled = {"start": self._speaker.field(start), "end": self._speaker.field(end), "user": user}
        return f"{self._page}&{urlencode(filled)}#change"


class ScheduleFormatter:
    """Says who, when and why for one reader: in their language, on the clock of the page."""

    def __init__(self, users: Mapping[str, User], t: Texts, zone: ZoneInfo, now: float, former: Mapping[str, str] = {}) -> None:
        """former: people of the past → how they were called then. now: Unix seconds."""
        self._users, self._t, self._zone, self._now, self._former = users, t, zone, now, former
        self._tones = assign_tones(users)
        self._marks = assign_marks((user.name, user.full_name) for user in users.values())
        # A page says the same again and again.
        self._tips: dict[ScheduleTimelineEntry, str] = {}
        self.name = cache(self._name)
        self.mark = cache(self._mark)
        self.at = cache(self._at)
        self.why = cache(self._why)

    def _name(self, user: str) -> str:
        known = self._users.get(user)
        return format.shorten_line((known.full_name if known else self._former.get(user, "")) or user, MAX_NAME_LENGTH)

    def names(self, users: Sequence[str]) -> str:
        return ", ".join(map(self.name, users)) or self._t.plain("schedules.nobody")

    def _mark(self, user: str) -> str:
        """A few letters for somebody, where a name has no room."""
        return self._marks.get(user) or format.initials(self.name(user))

    def tone(self, user: str) -> str:
        """The class of a person's colour."""
        return self._tones.get(user, _GONE_CLASS)

    def soon(self, at: datetime) -> str:
        """A moment at a glance: "14:03" today, "Mon 5 Jan 09:00" on another day."""
        return format.time_text(at, self._zone, self._now, self._t)

    def _at(self, at: datetime | float) -> str:
        """A moment always with its day: "Mon 5 Jan 09:00", with the year where that is another one."""
        local = (at if isinstance(at, datetime) else utc(at)).astimezone(self._zone)
        year = "" if local.year == utc(self._now).astimezone(self._zone).year else f" {local.year}"
        return f"{format.weekday_text(local, self._t)} {format.day_text(local, self._t)}{year} {local:%H:%M}"

    def span(self, start: datetime | float, end: datetime | float) -> str:
        """ "Mon 5 Jan 09:00 – Tue 6 Jan 18:00", "Mon 5 Jan 09:00 – 18:00" """
        begin, until = ((at if isinstance(at, datetime) else utc(at)).astimezone(self._zone) for at in (start, end))
        return f"{self.at(begin)} – {until:%H:%M}" if begin.date() == until.date() else f"{self.at(begin)} – {self.at(until)}"

    def day(self, at: datetime) -> date:
        """The day that the clock of the page shows."""
        return at.astimezone(self._zone).date()

    def range(self, first: date, after: date) -> str:
        """The days from `first` up to the one before `after`: "5 Jan – 18 Jan 2026"; a whole month by its name."""
        last = after - timedelta(days=1)
        if first == last:
            return f"{format.weekday_text(first, self._t)} {format.day_text(first, self._t)} {first.year}"
        if first.day == 1 and after.day == 1:
            return f"{self._t.plain('schedules.months').split()[first.month - 1]} {first.year}"
        return f"{format.day_text(first, self._t)} – {format.day_text(last, self._t)} {last.year}"

    def hours(self, seconds: float) -> str:
        """ "168 h", "7.5 h" """
        return self._t.plain("schedules.hours", n=f"{seconds / 3600:.1f}".rstrip("0").rstrip("."))

    def links(self, page: str) -> ScheduleFormLinks:
        """Makes the addresses that fill in the forms. page: with its query."""
        return ScheduleFormLinks(page, self)

    def field(self, at: datetime) -> str:
        """A moment as a form's field has it: the clock of the page, to the minute."""
        return at.astimezone(self._zone).strftime("%Y-%m-%dT%H:%M")

    def tip(self, entry: ScheduleTimelineEntry) -> str:
        """Who, from when to when, and why."""
        if entry not in self._tips:
            what, state = self.names(entry.people), entry.state
            if entry.kind == "swap":
                what = self._t.plain(f"schedules.swap_{state}", user=what)
            parts = [what, self.span(entry.start, entry.end), self.why(entry.why)]
            self._tips[entry] = " · ".join(part for part in parts if part)
        return self._tips[entry]

    def _why(self, reason: str) -> str:
        """A reason of the roster's in the reader's language; parts that are names or were written by people stay as they are."""
        t, text = self._t, format.shorten_line(reason)
        if text.startswith("layer "):
            text = t.plain("schedules.why_layer", name=text.removeprefix("layer "))
        else:
            for beginning, key in _REASON_PREFIXES:
                if text.startswith(beginning):
                    text = t.plain(key) + text.removeprefix(beginning)
                    break
        text = _ALL_ABSENT_REASON.sub(lambda found: t.plain("schedules.why_absent", name=found[1]), text)
        text = _SWAP_REASON.sub(lambda found: t.plain("schedules.why_swap", taker=self.name(found[1]), user=self.name(found[2])), text)
        return _ABSENCE_REASON.sub(lambda found: t.plain("schedules.is_absent", user=self.name(found[1])), text)


MAX_NAMES_IN_BAR: Final = 3  # people of one bar whose marks have room


def render_bar(one: TimelineBar, speaker: ScheduleFormatter, links: ScheduleFormLinks | None = None) -> Markup:
    """One bar; with links it leads to the forms, filled in."""
    entry, users = one.entry, one.entry.people
    share = 100 / len(users) if users else 100.0
    if users:
        shapes = "".join(
            f'<rect class="{speaker.tone(user)}" y="{share * n:.4g}%" width="100%" height="{share:.4g}%"/>' for n, user in enumerate(users)
        )
        several = " of-several" if len(users) > 1 else ""
        marks = "".join(
            f'<text class="mark{several}" x="50%" y="{share * (n + 0.5):.4g}%">{escape(speaker.mark(user))}</text>'
            for n, user in enumerate(users[:MAX_NAMES_IN_BAR])
        )
    else:
        shapes = '<rect class="nobody" width="100%" height="100%"/><rect fill="url(#hatch)" width="100%" height="100%"/>'
        marks = '<text class="mark" x="50%" y="50%">!</text>'
    name = f"{speaker.names(users)}{' ?' if entry.state == 'open' else ''}"
    texts = f'<text class="name" x="7" y="50%">{escape(name)}</text>{marks}' if one.size != "tiny" else ""
    inside = f'{shapes}<rect class="edge" width="100%" height="100%"/>{texts}'
    kind = f"bar {one.size} {entry.kind} {entry.state}".rstrip()
    body = f'<title>{escape(speaker.tip(entry))}</title><svg x="{one.x:g}%" width="{one.width:g}%" height="100%">{inside}</svg>'
    if links is None:
        return Markup(f'<g class="{kind}">{body}</g>')  # noqa: S704  # what comes from outside is escaped above
    start, end = speaker.field(entry.start), speaker.field(entry.end)
    filled = f'data-user="{escape(users[0] if users else "")}" data-start="{start}" data-end="{end}"'
    return Markup(f'<a href="{escape(links(entry))}" class="{kind}" {filled}>{body}</a>')  # noqa: S704
