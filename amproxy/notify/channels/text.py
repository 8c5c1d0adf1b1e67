"""Plain text of a card for chats, before a channel escapes it: states, labels, alerts, links.

Everything returned is one line, cleaned and clipped, unless a docstring says otherwise.
"""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import urlsplit

from amproxy.notify.content import rank_labels, says
from amproxy.notify.message import BundleEntry, Card, Picture

EMOJI = {
    "triggered": "🔴",
    "acknowledged": "🟡",
    "snoozed": "💤",
    "resolved": "✅",
    "firing": "🔥",
    "notice": "ℹ️",
}
MAX_LABELS = 8
MAX_LINKS = 8
# Characters of the line that names one incident of a bundle, its number included.
LONGEST_ENTRY, SHORTEST_ENTRY = 160, 24
LONGEST_HEADING = 250  # characters of a title with severity and place
LONGEST_PLACE = 70
LONGEST_URL = 1000  # characters; a longer link is left out, since a clipped one leads nowhere

# Sequences that colour or move a terminal's text: CSI, then OSC and other strings, then the rest.
_ESCAPES = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]?"
    r"|(?:\x1b[]PX^_]|[\x9d\x90\x98\x9e\x9f])[^\x07\x1b\x9c\n]*(?:\x07|\x1b\\|\x9c)?"
    r"|\x1b[ -/]*[0-~]?"
)
# Control characters, lone surrogates, and the bidi embeddings that would reverse the rest of a
# message.
_UNWANTED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u202a-\u202e\u2066-\u2069\ufeff]")
_BREAKS = re.compile("\r\n|\r|\x85|\u2028|\u2029")


def clean_text(text: str) -> str:
    """Text from outside without what no message should carry, in several lines.

    At most two line breaks follow each other.
    """
    text = _UNWANTED.sub("", _BREAKS.sub("\n", _ESCAPES.sub("", text))).replace("\t", " ")
    return re.sub(r"\n\s*\n\s*", "\n\n", text).strip()


def visible_text(text: str) -> str:
    """Text from outside with all its spaces; what no page should carry is shown as "�"."""
    return _UNWANTED.sub("\ufffd", _BREAKS.sub("\n", text))


def one_line(text: str, limit: int) -> str:
    """Text from outside as one line of at most `limit` characters."""
    # Cut first: a huge text is not cleaned whole for the sake of one line.
    return clip_text(" ".join(clean_text(text[: limit * 8]).split()), limit)


def clip_text(text: str, limit: int) -> str:
    """At most `limit` characters (code points), "…" where some are missing; "" for no room."""
    if len(text) <= limit:
        return text
    return text[: limit - 1].rstrip() + "…" if limit > 0 else ""


def card_heading(card: Card, limit: int = LONGEST_HEADING) -> tuple[str, str, str]:
    """The emoji of the state, the number ("#42" or "") and the title.

    The title says what, how bad and where, "HighCPU · critical · web-1", in `limit` characters at
    most; where it is too long the place and the severity stay.
    """
    number = f"#{card.number}" if card.number else ""
    return EMOJI[card.state], number, heading_title(card, limit)


def heading_title(card: Card, limit: int = LONGEST_HEADING) -> str:
    """The title with severity and place, where it does not say them, in one line."""
    title = one_line(card.title, limit)
    severity, place = one_line(card.severity, 20), one_line(card.place, LONGEST_PLACE)
    if says(title, severity):
        severity = ""
    rest = "".join(f" · {one}" for one in (severity, place) if one)
    return (clip_text(title, limit - len(rest)) or "(no title)") + rest


def describe_state(card: Card) -> str:
    """The present state: "Resolved by Bob Birch at 14:03 UTC · 2 firing, 1 resolved".

    "" for a notice without a state.
    """
    text = one_line(card.state_text, 200)
    since = f" {since}" if (since := one_line(card.since, 60)) else ""
    if card.state != "notice" and card.state not in text.lower():
        text = f"{card.state.capitalize()} · {text}" if text else card.state.capitalize()
    several = card.firing + card.resolved > 1
    if text == f"{card.firing} firing":  # of a group: said once
        text = "" if several else f"{text}{since}"
    elif not several and card.firing and since:
        text += f" · firing{since}"
    counts = [f"{card.firing} firing{since}"] if card.firing else []
    counts += [f"{card.resolved} resolved"] if card.resolved else []
    return " · ".join(filter(None, (text, ", ".join(counts) if several else "")))


def shared_labels(card: Card) -> list[tuple[str, str]]:
    """The common labels, the most telling first, without what the title has already."""
    wanted = _wanted_labels(card)[:MAX_LABELS]
    return [(one_line(name, 60), one_line(value, 100)) for name, value in wanted]


def hidden_labels(card: Card) -> str:
    """The number of common labels that are not shown: "… and 3 more labels"; "" = all are."""
    hidden = len(_wanted_labels(card)) - MAX_LABELS
    return f"… and {hidden} more label{'s' if hidden > 1 else ''}" if hidden > 0 else ""


def _wanted_labels(card: Card) -> list[tuple[str, str]]:
    return [
        (name, value)
        for name, value in rank_labels(card.labels)
        if value and not name.startswith("__") and not (name == "alertname" and value in card.title)
    ]


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
        EntryLine(f"#{entry.number}", _entry_title(entry), entry.url) for entry in card.entries
    ]
    limit = LONGEST_ENTRY if room is None else _entry_limit(lines, room)
    if room is None or limit:
        return [_shorten_entry(one, limit) for one in lines]
    # The last line, for which 20 characters are left, counts the rest.
    named = max(0, room - 20) // (SHORTEST_ENTRY + 1)
    rest = EntryLine("", f"… and {len(lines) - named} more", card.url)
    return [*(_shorten_entry(one, SHORTEST_ENTRY) for one in lines[:named]), rest]


def _entry_title(entry: BundleEntry) -> str:
    title, severity = one_line(entry.title, 250) or "(no title)", one_line(entry.severity, 20)
    return title if says(title, severity) else f"{title} · {severity}"


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
    if len(links) > MAX_LINKS:
        hidden, links = len(links) - MAX_LINKS, links[:MAX_LINKS]
        if is_link_url(card.url):
            links.append((f"… and {hidden} more", card.url))
    return links


def card_pictures(card: Card) -> list[Picture]:
    """The pictures of a card, with texts of one line; only http and https, none overlong."""
    return [
        Picture(url=one.url, text=one_line(one.text, 100) or "Picture")
        for one in card.pictures
        if is_link_url(one.url)
    ]


def is_link_url(url: str) -> bool:
    """True for an http(s) address that may be shown as a link."""
    try:
        parts = urlsplit(url)
        has_host = parts.scheme in {"http", "https"} and bool(parts.hostname)
        return has_host and len(url) <= LONGEST_URL and url.isprintable() and " " not in url
    except ValueError:
        return False
