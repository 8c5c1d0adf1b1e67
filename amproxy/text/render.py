"""Phrases in words: in the reader's language, on the reader's clock, on pages with links. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, tzinfo
from typing import Any, Final, Literal, overload

from markupsafe import Markup

from amproxy.clock import rfc3339, utc
from amproxy.text import (
    DEFAULT_LANGUAGE,
    IncidentNumber,
    Length,
    Moment,
    PeopleNames,
    Phrase,
    PhraseValue,
    ScheduleName,
    Texts,
    Words,
    load_texts,
)
from amproxy.text.formats import clock_text, date_text

LinkKind = Literal["person", "schedule", "incident"]
# What a page has for a thing with a page of its own: kind, name or number → the text as a link.
MakeLink = Callable[[LinkKind, str, Markup], Markup]

_UNITS: Final = (("days", 86400), ("hours", 3600), ("minutes", 60), ("seconds", 1))


class _ForeignText(Markup):
    """A text from outside; `{name!r}` of a phrase shows it in quotes."""

    quoted: Markup

    def __repr__(self) -> str:
        return self.quoted


class PhraseRenderer:
    """Puts phrases into words for one reader."""

    def __init__(
        self,
        t: Texts,
        *,
        full_name: Callable[[str], str] = str,
        zone: tzinfo = UTC,
        now: float | None = None,
        names_zone: bool = True,
        link: MakeLink | None = None,
        clean: Callable[[str], str] = str,
    ) -> None:
        """full_name: of a user, the name itself where the file has none.

        now: Unix seconds, so that the day of a time is left out where it is today; None = times
        are written in full. names_zone: times carry the name of their zone. link, clean: of a page,
        for texts from outside.
        """
        self.t, self._full_name, self._link = t, full_name, link
        self._zone, self._now, self._names_zone, self._clean = zone, now, names_zone, clean

    def text(self, words: Words) -> str:
        """Text without markup; of a text as it is stored that text."""
        if isinstance(words, str):
            return words
        return self.t.plain(
            words.key, **{name: self._text(value) for name, value in words.values.items()}
        )

    def markup(self, words: Words) -> Markup:
        """The same as markup, with links; what comes from outside is escaped."""
        if isinstance(words, str):
            return self._foreign(words)
        return self.t(
            words.key, **{name: self._markup(value) for name, value in words.values.items()}
        )

    def _text(self, value: PhraseValue) -> str | int:
        match value:
            case int() | str():
                return value  # a number not as text: it may choose a plural form
            case PeopleNames():
                names = (name for _, name in self._people(value))
                return ", ".join(names) or self.t.plain("forecast.nobody")
            case Phrase():
                return self.text(value)
            case tuple():
                return ", ".join(map(self.text, value))
            case _:
                return self._simple(value)

    def _markup(self, value: PhraseValue) -> Markup | int:
        match value:
            case int():
                return value
            case str():
                return self._foreign(value)
            case PeopleNames():
                links = [self._linked("person", *person) for person in self._people(value)]
                return Markup(", ").join(links) or self.t("forecast.nobody")
            case ScheduleName():
                return self._linked("schedule", value.name, value.name)
            case IncidentNumber():
                return self._linked("incident", str(value.number), f"#{value.number}")
            case Phrase():
                return self.markup(value)
            case tuple():
                return Markup(", ").join(map(self.markup, value))
            case _:
                return Markup.escape(self._simple(value))

    def _simple(self, value: Moment | Length | ScheduleName | IncidentNumber) -> str:
        match value:
            case Moment():
                return self._time(value.at)
            case Length():
                return length_text(value.seconds, self.t)
            case ScheduleName():
                return value.name
            case IncidentNumber():
                return f"#{value.number}"

    def _people(self, value: PeopleNames) -> Iterable[tuple[str, str]]:
        """Each name with the full one: that of now, else the one that was stored."""
        stored = value.full_names or value.names
        for name, then in zip(value.names, stored, strict=False):
            now = self._full_name(name) if name else self.t.plain("page.somebody")
            yield name, then if now == name else now

    def _time(self, at: float) -> str:
        local = utc(at).astimezone(self._zone)
        if self._now is None:
            text = f"{local:%Y-%m-%d %H:%M}"
        else:
            text = time_text(local, self._zone, self._now, self.t)
        return f"{text} {local.tzname()}" if self._names_zone else text

    def _linked(self, kind: LinkKind, name: str, text: str) -> Markup:
        if self._link is None or not name:
            return self._foreign(text)
        return self._link(kind, name, self._foreign(text))

    def _foreign(self, text: str) -> Markup:
        # Apart from the text around it: a name in Hebrew must not turn the sentence around.
        found = _ForeignText(Markup("<bdi>{}</bdi>").format(self._clean(text)))
        found.quoted = Markup("<bdi>{}</bdi>").format(repr(self._clean(text)))
        return found


def render_phrase(words: Words, t: Texts, full_name: Callable[[str], str] = str) -> str:
    """A phrase as text without markup, for a reader without a clock: times are in UTC."""
    return PhraseRenderer(t, full_name=full_name).text(words)


def english(full_name: Callable[[str], str] = str, zone: tzinfo = UTC) -> PhraseRenderer:
    """The renderer for programs, logs and terminals."""
    return PhraseRenderer(load_texts(DEFAULT_LANGUAGE), full_name=full_name, zone=zone)


def in_english(words: Words) -> str:
    """A phrase as it stands in logs, in terminals, and in answers of the API."""
    return english().text(words)


@overload
def code_of(words: Phrase, *, alone: bool = False) -> str: ...
@overload
def code_of(words: Words | None, *, alone: bool = False) -> str | None: ...
def code_of(words: Words | None, *, alone: bool = False) -> str | None:
    """The code of a phrase, for programs; None of a text.

    alone: without its section, as `code` of an error, a refusal or a problem of the file has it,
    where the field says the section.
    """
    if not isinstance(words, Phrase):
        return None
    return words.key.partition(".")[2] if alone else words.key


@overload
def arguments_of(words: Phrase) -> dict[str, Any]: ...
@overload
def arguments_of(words: Words | None) -> dict[str, Any] | None: ...
def arguments_of(words: Words | None) -> dict[str, Any] | None:
    """The values of a phrase for JSON; None of a text.

    A time is RFC 3339, a duration seconds, people are their names in the file, and a phrase is its
    code and arguments.
    """
    if not isinstance(words, Phrase):
        return None
    return {name: _plain_value(value) for name, value in words.values.items()}


def _plain_value(value: PhraseValue) -> Any:
    match value:
        case Phrase():
            return {"code": code_of(value), "arguments": arguments_of(value)}
        case PeopleNames():
            return list(value.names)
        case Moment():
            return rfc3339(value.at)
        case Length():
            return value.seconds
        case ScheduleName():
            return value.name
        case IncidentNumber():
            return value.number
        case tuple():
            return [_plain_value(inner) for inner in value]
        case _:
            return value


def length_text(seconds: float, t: Texts) -> str:
    """A duration in words, by its two largest units: "1 h 30 min"."""
    left, counts = round(seconds), []
    for unit, size in _UNITS:
        count, left = divmod(left, size)
        if count:
            counts.append(t.plain(f"step.{unit}", n=str(count)))
    if len(counts) > 1:
        return t.plain("step.and", first=counts[0], rest=counts[1])
    return counts[0] if counts else t.plain("step.seconds", n="0")


def time_text(at: float | datetime, zone: tzinfo, now: float, t: Texts) -> str:
    """A time in `zone`: "14:03", with the day unless it is today's, with the year unless this one.

    now: Unix seconds.
    """
    local = (at if isinstance(at, datetime) else utc(at)).astimezone(zone)
    today = utc(now).astimezone(zone)
    clock = clock_text(local, t.times)
    if local.date() == today.date():
        return clock
    is_this_year = local.year == today.year
    day = full_day_text(local, t) if is_this_year else dated_text(local, t)
    return t.plain(f"time.at{_order(t)}", day=day, clock=clock)


def full_time_text(at: float | datetime, zone: tzinfo, now: float, t: Texts) -> str:
    """A time with its day: "Mon 5 Jan 09:00"; with the year unless it is this one."""
    local = (at if isinstance(at, datetime) else utc(at)).astimezone(zone)
    is_this_year = local.year == utc(now).astimezone(zone).year
    day = full_day_text(local, t) if is_this_year else full_date_text(local, t)
    return t.plain(f"time.at{_order(t)}", day=day, clock=clock_text(local, t.times))


def end_text(
    start: float | datetime, end: float | datetime, zone: tzinfo, now: float, t: Texts
) -> str:
    """The end of a period beside its beginning: without the day where both have the same."""
    begin, until = (
        (at if isinstance(at, datetime) else utc(at)).astimezone(zone) for at in (start, end)
    )
    if begin.date() == until.date():
        return clock_text(until, t.times)
    return time_text(end, zone, now, t)


def weekday_text(day: date, t: Texts) -> str:
    """A short weekday: "Mon"."""
    return t.plain("time.weekdays").split()[day.weekday()]


def day_text(day: date, t: Texts) -> str:
    """A day of the year: "5 Jan"."""
    return date_text(day, t.plain("time.months").split()[day.month - 1], t.times)


def full_day_text(day: date, t: Texts) -> str:
    """A day with its weekday: "Mon 5 Jan"."""
    values = {"weekday": weekday_text(day, t), "day": day_text(day, t)}
    return t.plain(f"time.weekday_day{_order(t)}", **values)


def full_date_text(day: date, t: Texts) -> str:
    """A day with its weekday and year: "Mon 5 Jan 2027"."""
    return t.plain(f"time.year{_order(t)}", day=full_day_text(day, t), year=day.year)


def dated_text(day: date, t: Texts) -> str:
    """A day with its year: "5 Jan 2027"."""
    return t.plain(f"time.year{_order(t)}", day=day_text(day, t), year=day.year)


def _order(t: Texts) -> str:
    """The end of a key whose text depends on what of a date comes first."""
    return "_month_first" if t.times.month_first else ""
