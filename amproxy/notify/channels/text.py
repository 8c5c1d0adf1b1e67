"""Plain text of a card for chats, before a channel escapes it: states, labels, alerts, links.

Everything returned is one line, cleaned and clipped, unless a docstring says otherwise.
"""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import urlsplit

from amproxy.model import Alert
from amproxy.notify.message import Card

EMOJI = {
    "triggered": "🔴",
    "acknowledged": "🟡",
    "snoozed": "💤",
    "resolved": "✅",
    "firing": "🔥",
    "notice": "ℹ️",
}
PRIORITY_LABELS = ("severity", "team", "cluster", "namespace", "service", "job", "instance")
MAX_LABELS = 8
MAX_LINKS = 8
# Characters of the line that names one incident of a bundle, its number included.
LONGEST_ENTRY, SHORTEST_ENTRY = 160, 24
LONGEST_URL = 1000  # characters; a longer link is left out, since a clipped one leads nowhere

# Control characters, lone surrogates, and the bidi embeddings that would reverse the rest of a
# message.
_UNWANTED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u202a-\u202e\u2066-\u2069\ufeff]")
_BREAKS = re.compile("\r\n|\r|\x85|\u2028|\u2029")


def clean_text(text: str) -> str:
    """Text from outside without what no message should carry, in several lines.

    At most two line breaks follow each other.
    """
    text = _UNWANTED.sub("", _BREAKS.sub("\n", text)).replace("\t", " ")
    return re.sub(r"\n\s*\n\s*", "\n\n", text).strip()


def one_line(text: str, limit: int) -> str:
    """Text from outside as one line of at most `limit` characters."""
    # Cut first: a huge text is not cleaned whole for the sake of one line.
    return clip_text(" ".join(clean_text(text[: limit * 8]).split()), limit)


def clip_text(text: str, limit: int) -> str:
    """At most `limit` characters (code points), "…" where some are missing; "" for no room."""
    if len(text) <= limit:
        return text
    return text[: limit - 1].rstrip() + "…" if limit > 0 else ""


def card_heading(card: Card) -> tuple[str, str, str]:
    """The emoji of the state, the number ("#42" or "") and the title."""
    number = f"#{card.number}" if card.number else ""
    return EMOJI[card.state], number, one_line(card.title, 250) or "(no title)"


def describe_state(card: Card) -> str:
    """The present state: "Resolved by Bob Birch at 14:03 UTC · 2 firing, 1 resolved".

    "" for a notice without a state.
    """
    text = one_line(card.state_text, 200)
    if card.state != "notice" and card.state not in text.lower():
        text = f"{card.state.capitalize()} · {text}" if text else card.state.capitalize()
    counts = [f"{card.firing} firing"] if card.firing else []
    counts += [f"{card.resolved} resolved"] if card.resolved else []
    shown = ", ".join(counts) if card.firing + card.resolved > 1 else ""
    return " · ".join(filter(None, (text, shown)))


def shared_labels(card: Card) -> list[tuple[str, str]]:
    """The common labels, those of PRIORITY_LABELS first, without what the title has already."""
    rank = {name: place for place, name in enumerate(PRIORITY_LABELS)}
    wanted = [
        (name, value)
        for name, value in card.labels.items()
        if value and not name.startswith("__") and not (name == "alertname" and value in card.title)
    ]
    wanted.sort(key=lambda label: (rank.get(label[0], len(rank)), label[0]))
    return [(one_line(name, 60), one_line(value, 100)) for name, value in wanted[:MAX_LABELS]]


def describe_alerts(card: Card) -> list[str]:
    """One or two lines for each alert that differs from the common labels, firing ones first.

    Nothing for a bundle, which names its incidents instead.
    """
    if card.kind == "bundle":
        return []
    now = int(card.at * 1e9)
    described = []
    for alert in sorted(card.alerts, key=lambda alert: alert.resolved(now)):
        if text := _describe_alert(alert, card):
            described.append(f"{EMOJI['resolved' if alert.resolved(now) else 'firing']} {text}")
    hidden = card.firing + card.resolved - len(card.alerts)
    if described and hidden > 0:
        described.append(f"… and {hidden} more")
    return described


def _describe_alert(alert: Alert, card: Card) -> str:
    own = [
        f"{name}={value}"
        for name, value in sorted(alert.labels.items())
        if card.labels.get(name) != value and not name.startswith("__")
    ]
    summary = alert.annotations.get("summary") or alert.annotations.get("description") or ""
    if summary in card.text:
        summary = ""
    return "\n".join(filter(None, (one_line(", ".join(own), 160), one_line(summary, 160))))


class EntryLine(NamedTuple):
    """One incident of a bundle: "#42 HighCPU on eu1"; without a number, the count of the rest."""

    number: str  # "#42"
    title: str
    url: str

    @property
    def text(self) -> str:
        return f"{self.number} {self.title}" if self.number else self.title


def entry_lines(card: Card, room: int | None = None) -> list[EntryLine]:
    """The incidents of a bundle, each in up to LONGEST_ENTRY characters.

    room: characters for all of them, line ends included; None = no limit. Where it is short, long
    titles are shortened; where that is not enough, the last incidents are counted only.
    """
    lines = [
        EntryLine(f"#{entry.number}", one_line(entry.title, 250) or "(no title)", entry.url)
        for entry in card.entries
    ]
    limit = LONGEST_ENTRY if room is None else _entry_limit(lines, room)
    if room is None or limit:
        return [_shorten_entry(one, limit) for one in lines]
    # The last line, for which 20 characters are left, counts the rest.
    named = max(0, room - 20) // (SHORTEST_ENTRY + 1)
    rest = EntryLine("", f"… and {len(lines) - named} more", card.url)
    return [*(_shorten_entry(one, SHORTEST_ENTRY) for one in lines[:named]), rest]


def _entry_limit(lines: list[EntryLine], room: int) -> int:
    """The greatest length of a line for which all fit; 0 = there is none."""
    sizes = [len(one.text) + 1 for one in lines]
    limits = range(LONGEST_ENTRY, SHORTEST_ENTRY - 1, -1)
    return next(
        (limit for limit in limits if sum(min(size, limit + 1) for size in sizes) <= room), 0
    )


def _shorten_entry(one: EntryLine, limit: int) -> EntryLine:
    return one._replace(title=clip_text(one.title, limit - len(one.number) - 1))


def card_links(card: Card) -> list[tuple[str, str]]:
    """Text and address of each link, the incident's page first; only http and https, none overlong.

    An address is as it was given: not clipped.
    """
    wanted = [("Open in amproxy", card.url), *((link.text, link.url) for link in card.links)]
    links = [(one_line(text, 60) or "Link", url) for text, url in wanted if is_link_url(url)]
    return links[:MAX_LINKS]


def is_link_url(url: str) -> bool:
    """True for an http(s) address that may be shown as a link."""
    try:
        parts = urlsplit(url)
        has_host = parts.scheme in {"http", "https"} and bool(parts.hostname)
        return has_host and len(url) <= LONGEST_URL and url.isprintable() and " " not in url
    except ValueError:
        return False
