"""What chat messages say, before a channel escapes it: states, labels that matter, a line for each alert.

Everything that comes out is one line of plain text, cleaned and clipped, unless it says otherwise.
"""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import urlsplit

from amproxy.model import Alert
from amproxy.notify.message import Card

EMOJI = {"triggered": "🔴", "acknowledged": "🟡", "snoozed": "💤", "resolved": "✅", "firing": "🔥", "notice": "ℹ️"}
PRIORITY_LABELS = ("severity", "team", "cluster", "namespace", "service", "job", "instance")
MAX_LABELS = 8
LONGEST_ENTRY, SHORTEST_ENTRY = 160, 24  # characters that name one incident of a bundle, its number included
LONGEST_URL = 1000  # characters; a longer link is left out, since a clipped one leads nowhere

# Control characters, lone surrogates, and the bidi embeddings that would turn the rest of a message around.
_UNWANTED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u202a-\u202e\u2066-\u2069\ufeff]")
_BREAKS = re.compile("\r\n|\r|\x85|\u2028|\u2029")


def clean_text(text: str) -> str:
    """Text from outside without what no message should carry; line breaks stay, at most two in a row."""
    text = _UNWANTED.sub("", _BREAKS.sub("\n", text)).replace("\t", " ")
    return re.sub(r"\n\s*\n\s*", "\n\n", text).strip()


def one_line(text: str, limit: int) -> str:
    """Text from outside as one line of at most `limit` characters."""
    return clip_text(" ".join(clean_text(text[: limit * 8]).split()), limit)


def clip_text(text: str, limit: int) -> str:
    """At most `limit` characters (code points), with "…" where something is missing; "" for no room."""
    if len(text) <= limit:
        return text
    return text[: limit - 1].rstrip() + "…" if limit > 0 else ""


def card_heading(card: Card) -> tuple[str, str, str]:
    """The emoji of the state, the number ("#42" or "") and the title."""
    return EMOJI[card.state], f"#{card.number}" if card.number else "", one_line(card.title, 250) or "(no title)"


def describe_state(card: Card) -> str:
    """What holds now: "Resolved by Bob Birch at 14:03 UTC · 2 firing, 1 resolved"; "" where a notice has nothing to say."""
    text = one_line(card.state_text, 200)
    if card.state != "notice" and card.state not in text.lower():
        text = f"{card.state.capitalize()} · {text}" if text else card.state.capitalize()
    counts = [f"{count} {word}" for count, word in ((card.firing, "firing"), (card.resolved, "resolved")) if count]
    return " · ".join(part for part in (text, ", ".join(counts) if card.firing + card.resolved > 1 else "") if part)


def shared_labels(card: Card) -> list[tuple[str, str]]:
    """The shared labels that matter, the most telling ones first; what the title says already is left out."""
    rank = {name: place for place, name in enumerate(PRIORITY_LABELS)}
    wanted = [(name, value) for name, value in card.labels.items() if not name.startswith("__") and value]
    wanted = [(name, value) for name, value in wanted if name != "alertname" or value not in card.title]
    wanted.sort(key=lambda label: (rank.get(label[0], len(rank)), label[0]))
    return [(one_line(name, 60), one_line(value, 100)) for name, value in wanted[:MAX_LABELS]]


def describe_alerts(card: Card) -> list[str]:
    """One or two lines for each alert that differs from what all share, firing ones first. A bundle names its incidents instead."""
    if card.kind == "bundle":
        return []
    now = int(card.at * 1e9)
    ordered = sorted(card.alerts, key=lambda alert: alert.resolved(now))
    told = [(alert.resolved(now), _describe_alert(alert, card)) for alert in ordered]
    lines = [f"{EMOJI['resolved' if over else 'firing']} {text}" for over, text in told if text]
    hidden = card.firing + card.resolved - len(card.alerts)
    return [*lines, f"… and {hidden} more"] if lines and hidden > 0 else lines


def _describe_alert(alert: Alert, card: Card) -> str:
    own = [
        f"{name}={value}" for name, value in sorted(alert.labels.items()) if card.labels.get(name) != value and not name.startswith("__")
    ]
    summary = alert.annotations.get("summary") or alert.annotations.get("description") or ""
    if summary in card.text:
        summary = ""
    return "\n".join(part for part in (one_line(", ".join(own), 160), one_line(summary, 160)) if part)


class EntryLine(NamedTuple):
    """One incident of a bundle in one line: "#42 HighCPU on eu1"; without a number it says how many more there are."""

    number: str  # "#42"
    title: str
    url: str

    @property
    def text(self) -> str:
        return f"{self.number} {self.title}" if self.number else self.title


def entry_lines(card: Card, room: int | None = None) -> list[EntryLine]:
    """The incidents of a bundle in at most `room` characters, line ends included; None = each in up to LONGEST_ENTRY of them.

    Where the room is short, long titles are shortened; where that is not enough, the last incidents are counted only.
    """
    named = [EntryLine(f"#{entry.number}", one_line(entry.title, 250) or "(no title)", entry.url) for entry in card.entries]
    limit = LONGEST_ENTRY if room is None else _entry_limit(named, room)
    if room is None or limit:
        return [_shorten_entry(one, limit) for one in named]
    kept = max(0, room - 20) // (SHORTEST_ENTRY + 1)  # the last line says how many more
    rest = EntryLine("", f"… and {len(named) - kept} more", card.url)
    return [*(_shorten_entry(one, SHORTEST_ENTRY) for one in named[:kept]), rest]


def _entry_limit(named: list[EntryLine], room: int) -> int:
    """The longest that each may be, so that there is room for all; 0 = there is not."""
    sizes = [len(one.text) + 1 for one in named]
    limits = range(LONGEST_ENTRY, SHORTEST_ENTRY - 1, -1)
    return next((limit for limit in limits if sum(min(size, limit + 1) for size in sizes) <= room), 0)


def _shorten_entry(one: EntryLine, limit: int) -> EntryLine:
    return one._replace(title=clip_text(one.title, limit - len(one.number) - 1))


def card_links(card: Card) -> list[tuple[str, str]]:
    """Text and address of what the message leads to, the incident's page first; only http and https, nothing overlong."""
    wanted = [("Open in amproxy", card.url), *((link.text, link.url) for link in card.links)]
    return [(one_line(text, 60) or "Link", url) for text, url in wanted if is_link_url(url)][:8]


def is_link_url(url: str) -> bool:
    """Whether a text is an http(s) address that may be shown as a link."""
    try:
        parts = urlsplit(url)
        return (
            parts.scheme in {"http", "https"} and bool(parts.hostname) and len(url) <= LONGEST_URL and url.isprintable() and " " not in url
        )
    except ValueError:
        return False
