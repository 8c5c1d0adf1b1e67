"""The alerts of a card as lines of plain text, before a channel escapes them.

What is cut is counted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from amproxy.labels.severity import severity_of, severity_rank
from amproxy.model import Alert
from amproxy.notify import grafana
from amproxy.notify.channels.text import EMOJI, clean_text, clip_text, one_line
from amproxy.notify.content import own_texts, rank_labels
from amproxy.notify.message import Card

MOST_ALERTS = 20  # of one message, unless its channel has more room
LONGEST_LABELS = 160  # characters of the labels that an alert does not share
FEW_ALERTS = 5  # of more of them each has half as much text: what fires counts more than its words
LONGEST_TEXT = 240  # of one of its texts
MOST_TEXTS = 6  # lines of one alert's texts


class AlertLines(NamedTuple):
    """The alerts of a card that it does not say all of already, firing and graver ones first."""

    shown: list[str]  # of each alert one line or more
    hidden: int  # alerts besides: not in the card, or more than are shown
    left_out: int  # alerts that the sender itself cut off

    def fit(self, room: int | None = None) -> list[str]:
        """As many whole alerts as there is room for, and how many are not among them.

        room: characters, a line end after each entry included; None = no limit.
        """
        if room is None or self._size(self.shown) + self._size(self._rest(self.hidden)) <= room:
            return [*self.shown, *self._rest(self.hidden)]
        for number in range(len(self.shown) - 1, -1, -1):
            rest = self._rest(self.hidden + len(self.shown) - number)
            if self._size(self.shown[:number]) + self._size(rest) <= room:
                return [*self.shown[:number], *rest]
        return []

    def _rest(self, hidden: int) -> list[str]:
        rest = [f"… and {hidden} more"] if hidden > 0 else []
        if self.left_out > 0:
            rest.append(f"… and {self.left_out} more that the sender left out")
        return rest

    @staticmethod
    def _size(lines: Iterable[str]) -> int:
        return sum(len(line) + 1 for line in lines)


def alert_lines(card: Card, most: int = MOST_ALERTS) -> AlertLines:
    """Labels, texts and values of each alert that the card does not say of all of them.

    None of a bundle, which names its incidents instead.
    """
    if card.kind == "bundle":
        return AlertLines([], 0, 0)
    now = int(card.at * 1e9)
    in_order = sorted(
        card.alerts,
        key=lambda alert: (alert.resolved(now), -severity_rank(severity_of(alert.labels))),
    )[:most]
    longest = LONGEST_TEXT if len(in_order) <= FEW_ALERTS else LONGEST_TEXT // 2
    shown = []
    for alert in in_order:
        if text := _describe_alert(alert, card, longest):
            shown.append(f"{EMOJI['resolved' if alert.resolved(now) else 'firing']} {text}")
    hidden = max(card.firing + card.resolved, len(card.alerts)) - len(in_order)
    return AlertLines(shown, hidden if shown else 0, card.left_out)


def describe_alerts(card: Card, room: int | None = None, most: int = MOST_ALERTS) -> list[str]:
    """The alerts of a card, each a line or more, as far as there is room; and how many are cut."""
    return alert_lines(card, most).fit(room)


def _describe_alert(alert: Alert, card: Card, longest: int) -> str:
    own = {
        name: value
        for name, value in alert.labels.items()
        if card.labels.get(name) != value and not name.startswith("__")
    }
    head = [_own_labels(own), card.began.get(alert.fingerprint, "")]
    texts = own_texts(alert, card.common_annotations, card.text)
    lines = [line for text in texts for line in clean_text(text[: longest * 4]).split("\n")]
    shown = [one_line(line, longest) for line in lines if line.strip()]
    if len(shown) > MOST_TEXTS:
        shown = [*shown[: MOST_TEXTS - 1], f"… and {len(shown) - MOST_TEXTS + 1} more lines"]
    values = one_line(grafana.values_text(alert), LONGEST_LABELS)
    return "\n".join(filter(None, (" · ".join(filter(None, head)), *shown, values)))


def _own_labels(own: Mapping[str, str]) -> str:
    """Labels in one line, the most telling first: "pod=web-1, reason=OOM, … and 3 more labels"."""
    pairs = [f"{one_line(name, 60)}={one_line(value, 100)}" for name, value in rank_labels(own)]
    if len(text := ", ".join(pairs)) <= LONGEST_LABELS:
        return text
    for number in range(len(pairs) - 1, 0, -1):
        text = ", ".join((*pairs[:number], f"… and {len(pairs) - number} more labels"))
        if len(text) <= LONGEST_LABELS:
            return text
    return clip_text(pairs[0], LONGEST_LABELS)
