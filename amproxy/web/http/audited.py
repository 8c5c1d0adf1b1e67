"""Phrases of the audit log for changes that pages and API both make. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Literal

from amproxy.config.subscriptions import Subscription
from amproxy.labels.matchers import Matcher
from amproxy.model import Incident, Swap
from amproxy.respond.actions import ActionName
from amproxy.store.calendars import Feed
from amproxy.text import (
    IncidentNumber,
    Moment,
    PeopleNames,
    Phrase,
    PhraseValue,
    ScheduleName,
    phrase,
)

MAX_LISTED = 50  # incidents of one action; sets of matchers of one silence

MuteDone = Literal["saved", "prolonged", "ended"]


def one_incident_phrase(action: ActionName, incident: Incident) -> Phrase:
    return phrase(
        "audit.act",
        action=phrase(f"audit.do_{action}"),
        incident=IncidentNumber(incident.number),
        title=incident.title,
    )


def many_incidents_phrase(action: ActionName, numbers: Sequence[int], *, forbidden: int) -> Phrase:
    """numbers: of the incidents that changed. forbidden: the number of other teams' ones."""
    done = phrase(f"audit.do_{action}")
    if numbers:
        listed = [
            phrase("audit.incident", incident=IncidentNumber(number))
            for number in numbers[:MAX_LISTED]
        ]
        if len(numbers) > MAX_LISTED:
            listed.append(phrase("audit.more", n=len(numbers) - MAX_LISTED))
        what = phrase("audit.act_many", action=done, incidents=tuple(listed))
    else:
        what = phrase("audit.act_none", action=done)
    return phrase("audit.act_some", what=what, n=forbidden) if forbidden else what


def incident_deleted_phrase(incident: Incident) -> Phrase:
    number = IncidentNumber(incident.number)
    return phrase("audit.incident_deleted", incident=number, title=incident.title)


def paged_by_hand_phrase(incident: Incident) -> Phrase:
    number = IncidentNumber(incident.number)
    return phrase("audit.paged_by_hand", incident=number, title=incident.title)


def override_phrase(schedule: str, user: str | None, start: datetime, end: datetime) -> Phrase:
    """user: None = nobody, on purpose."""
    return phrase(
        "audit.override_added",
        schedule=ScheduleName(schedule),
        people=PeopleNames((user,) if user else ()),
        **_period(start, end),
    )


def override_deleted_phrase(schedule: str) -> Phrase:
    return phrase("audit.override_deleted", schedule=ScheduleName(schedule))


def swap_phrase(done: Literal["asked", "returned", "deleted"], swap: Swap) -> Phrase:
    return phrase(f"audit.swap_{done}", **_swap(swap))


def swap_taken_phrase(swap: Swap) -> Phrase:
    return phrase("audit.swap_taken", taker=PeopleNames((swap.taken_by,)), **_swap(swap))


def _swap(swap: Swap) -> dict[str, PhraseValue]:
    return {"schedule": ScheduleName(swap.schedule), "person": PeopleNames((swap.user,))}


def feed_phrase(done: Literal["asked", "revoked"], feed: Feed) -> Phrase:
    if feed.kind == "user":
        return phrase(f"audit.person_feed_{done}", person=PeopleNames((feed.name,)))
    return phrase(f"audit.feed_{done}", schedule=ScheduleName(feed.name))


def absence_phrase(user: str, start: datetime, end: datetime) -> Phrase:
    return phrase("audit.absence_added", person=PeopleNames((user,)), **_period(start, end))


def absence_deleted_phrase(user: str) -> Phrase:
    return phrase("audit.absence_deleted", person=PeopleNames((user,)))


def _period(start: datetime, end: datetime) -> dict[str, PhraseValue]:
    """Both are aware."""
    return {"start": Moment(start.timestamp()), "end": Moment(end.timestamp())}


def test_page_phrase(user: str, channels: Iterable[str]) -> Phrase:
    people = PeopleNames((user,))
    return phrase("audit.test_page", person=people, channels=", ".join(channels))


def silence_phrase(silence: str, matcher_sets: Sequence[Sequence[Matcher]]) -> Phrase:
    """Of one that is made or changed. silence: its id."""
    sets = ["{" + ", ".join(map(str, matchers)) + "}" for matchers in matcher_sets[:MAX_LISTED]]
    return phrase("audit.silence_saved", silence=silence, matchers=" ".join(sets))


def mute_phrase(kind: Literal["silence", "maintenance"], done: MuteDone, name: str) -> Phrase:
    """name: of a window its name, of a silence its id."""
    if kind == "silence":
        return phrase(f"audit.silence_{done}", silence=name)
    return phrase(f"audit.window_{done}", window=name)


def sessions_ended_phrase(user: str, count: int) -> Phrase:
    return phrase("audit.sessions_ended", person=PeopleNames((user,)), count=count)


def device_phrase(done: Literal["added", "removed"], device: Subscription) -> Phrase:
    people = PeopleNames((device.user,))
    return phrase(f"audit.device_{done}", person=people, device=device.name)


def session_ended_phrase(user: str) -> Phrase:
    return phrase("audit.session_ended", person=PeopleNames((user,)))
