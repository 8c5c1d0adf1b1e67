"""Values as text on a page: durations, times, foreign texts, people and their contacts. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple
from urllib.parse import quote

from amproxy.config.structs import User
from amproxy.model import Alert
from amproxy.notify import grafana
from amproxy.notify.channels.text import clean_text, is_link_url, one_line
from amproxy.notify.compose import LINK_ANNOTATIONS, LINK_EXTRAS, alert_picture
from amproxy.notify.content import rank_labels
from amproxy.oncall.reachable import PersonReachability
from amproxy.text import Texts

MAX_VALUE_LENGTH = 300  # characters
MAX_TEXT_LENGTH = 4000
MAX_FOREIGN_LENGTH = 2000  # of a text from outside within a sentence
MAX_FILTER_VALUE = 500  # of a label's value in a filter: a longer one does not fit into an address
TONE_COUNT = 12  # colours in static/people.css
VALUE_ANNOTATIONS = ("value", "current_value")  # usual in rules of Prometheus and vmalert
_NOT_DIALLED = re.compile(r"[^0-9+*#]")


def shorten_line(text: str, limit: int, t: Texts) -> str:
    """Return one line of text from outside, with its full length if it was cut."""
    line = one_line(text, limit)
    is_cut = len(text) > limit and line.endswith("…")
    return f"{line} ({t.plain('page.characters', n=len(text))})" if is_cut else line


def shorten_text(text: str, limit: int, t: Texts) -> str:
    """Return text from outside with its line breaks, and with its full length if it was cut."""
    shown = clean_text(text[: limit * 2])  # twice the limit: cleaning removes characters
    if len(shown) <= limit:
        return shown
    return f"{shown[:limit].rstrip()}… ({t.plain('page.characters', n=len(text))})"


def duration_text(seconds: float, t: Texts) -> str:
    """A short duration: "4:59" below an hour, then "2 h 13 min", then "3 d 4 h"."""
    left = max(0, round(seconds))
    if left < 3600:
        return f"{left // 60}:{left % 60:02}"
    if left < 86400:
        return t.plain("time.hours", h=left // 3600, m=left % 3600 // 60)
    return t.plain("time.days", d=left // 86400, h=left % 86400 // 3600)


def age_text(seconds: float, t: Texts) -> str:
    """A rough age: "just now", "5 min ago", "2 h ago", "3 d ago"."""
    left = max(0, int(seconds))
    if left < 60:
        return t.plain("time.just_now")
    if left < 3600:
        return t.plain("time.minutes_ago", m=left // 60)
    if left < 86400:
        return t.plain("time.hours_ago", h=left // 3600)
    return t.plain("time.days_ago", d=left // 86400)


def zone_name(zone: str) -> str:
    """The city of a zone: "Europe/Berlin" → "Berlin"."""
    return zone.rpartition("/")[2].replace("_", " ")


def initials(name: str) -> str:
    """For a badge: "Alice Ash" → "AA", "bob" → "B"."""
    return "".join(word[0] for word in clean_text(name).split()[:2]).upper()


def order_labels(labels: dict[str, str], title: str = "") -> list[tuple[str, str]]:
    """Labels, the most useful ones first, without an alertname that the title already contains.

    Those that are for Grafana itself are left out.
    """
    return [
        (name, value)
        for name, value in rank_labels(labels)
        if not (name == "alertname" and value and value in title) and not grafana.is_private(name)
    ]


def alert_links(alert: Alert) -> list[tuple[str, str]]:
    """The links of an alert: (X of the text incident.link_X, http or https URL), each URL once."""
    candidates = [
        (_link_key(text), alert.annotations.get(name)) for name, text in LINK_ANNOTATIONS.items()
    ]
    candidates += [
        (_link_key(text), grafana.read_link(alert, name)) for name, text in LINK_EXTRAS.items()
    ]
    candidates += [("source", alert.generator_url), ("picture", alert_picture(alert))]
    key_of_url: dict[str, str] = {}
    for key, url in candidates:
        if isinstance(url, str) and is_link_url(url):
            key_of_url.setdefault(url, key)
    return [(key, url) for url, key in key_of_url.items()]


def alert_values(alert: Alert) -> list[grafana.AlertValue]:
    """The values of an alert: those of Grafana's rule, else what its annotations call values."""
    if found := grafana.read_values(alert):
        return found
    told = ((name, alert.annotations.get(name)) for name in VALUE_ANNOTATIONS)
    return [
        grafana.AlertValue("" if name == "value" else name, text) for name, text in told if text
    ]


def _link_key(text: str) -> str:
    """The first word: "Silence in Grafana" → "silence"."""
    return text.partition(" ")[0].lower()


def assign_tones(names: Iterable[str]) -> dict[str, str]:
    """Name of a user → CSS class of their colour, the same everywhere.

    names: all users in the order of the file, so that a new one changes nobody's colour.
    """
    return {name: f"tone{place % TONE_COUNT}" for place, name in enumerate(names)}


def assign_marks(people: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Name of a user → their unique mark: initials, with more letters where those are in use.

    people: (name, full name or "").
    """
    marks: dict[str, str] = {}
    used: set[str] = set()
    for name, full_name in people:
        mark = next(mark for mark in _mark_candidates(full_name or name) if mark not in used)
        used.add(mark)
        marks[name] = mark
    return marks


def _mark_candidates(full_name: str) -> Iterator[str]:
    words = re.findall(r"\w+", full_name)
    first = initials(" ".join(words)) or "?"
    yield first
    last = words[-1] if words else ""
    for length in range(2, min(4, len(last)) + 1):
        yield f"{first[0]}{last[:length]}" if len(words) > 1 else last[:length].capitalize()
    number = 2
    while True:
        yield f"{first}{number}"
        number += 1


class ContactLink(NamedTuple):
    """A person's contact on a page: phone and mail as links, of other channels the name alone."""

    channel: str
    text: str  # the address; "" = not shown
    url: str  # "tel:…", "mailto:…" or ""
    broken: bool  # the last delivery failed for good


def contact_links(
    user: User, reached: PersonReachability, *, addresses: bool
) -> Iterator[ContactLink]:
    """A user's contacts, phone and mail first. addresses: the reader may see them."""
    failed = {contact.channel for contact in reached.contacts if contact.state == "failed"}
    for channel, address in sorted(
        user.contacts.items(),
        key=lambda contact: ("phone", "email").index(contact[0]) if _contact_url(*contact) else 2,
    ):
        url = _contact_url(channel, address) if addresses else ""
        yield ContactLink(channel, address if url else "", url, channel in failed)


def _contact_url(channel: str, address: str) -> str:
    number = _NOT_DIALLED.sub("", address)
    if channel == "phone" and number:
        return f"tel:{quote(number, safe='+*')}"
    return f"mailto:{quote(address, safe='@+')}" if channel == "email" and "@" in address else ""
