"""What matters most of a span of time, for somebody who reads one sentence. Pure: it chooses and says no words."""

from __future__ import annotations

from typing import Literal, NamedTuple

from amproxy.reports.insights import OTHER, Insights

NIGHTS = 2  # disturbed nights of one person from which they are worth a word
SHARE = 0.2  # of all pages, for one alert
FEW = 5  # pages below which no share means anything
ITSELF = 0.5  # share of an alert's incidents that were probably noise
UNANSWERED = 0.3  # share of incidents that nobody acknowledged


class Nights(NamedTuple):
    """Somebody was woken more often than anybody else."""

    user: str
    nights: int
    kind: Literal["nights"] = "nights"


class Loud(NamedTuple):
    """One alert makes for much of what people are paged for."""

    alert: str
    percent: int  # of all pages
    itself: bool  # most of the time it ends by itself at once
    kind: Literal["loud"] = "loud"


class Unanswered(NamedTuple):
    """Many incidents ended, or stand, without an acknowledgement."""

    incidents: int
    of: int
    kind: Literal["unanswered"] = "unanswered"


Finding = Nights | Loud | Unanswered


def findings(found: Insights) -> list[Finding]:
    """At most three, the gravest first; [] = nothing stands out."""
    people, alerts, summary = found.people(), found.alerts(), found.summary()
    result: list[Finding] = []
    woken = max(people, key=lambda row: row["nights_disturbed"], default=None)
    if woken and woken["nights_disturbed"] >= NIGHTS:
        result.append(Nights(woken["user"], woken["nights_disturbed"]))
    pages = sum(row["pages"] for row in people)
    named = [row for row in alerts if row["by"] == "alertname" and row["name"] not in ("", OTHER)]
    loudest = max(named, key=lambda row: row["pages"], default=None)
    if loudest and pages >= FEW and loudest["pages"] >= SHARE * pages:
        percent = min(100, round(100 * loudest["pages"] / pages))
        result.append(Loud(loudest["name"], percent, loudest["probably_noise"] >= ITSELF))
    if summary["incidents"] >= FEW and summary["never_acknowledged"] >= UNANSWERED * summary["incidents"]:
        result.append(Unanswered(summary["never_acknowledged"], summary["incidents"]))
    return result
