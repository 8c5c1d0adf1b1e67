"""Reachability of people: contacts with their last deliveries, and quiet hours. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Literal

import msgspec
from msgspec.structs import replace

from amproxy.config.channels import (
    address_digest,
    contact_address,
    contact_channels,
    own_channels,
    paging_channels,
)
from amproxy.config.structs import Config, User
from amproxy.labels.intervals import TimeInterval
from amproxy.model import Outcome
from amproxy.oncall.piecewise import cached_interval
from amproxy.times import to_utc

# (user, channel) → the result of the last delivery
OutcomesByContact = Mapping[tuple[str, str], Outcome]

# works: the last delivery arrived. failed: it failed for good. untried: none is known.
# undeliverable: amproxy cannot send over the channel. missing: a rule uses the channel, but there
# is no address for it.
ContactState = Literal["works", "failed", "untried", "undeliverable", "missing"]

_ANY_TIME = datetime(2025, 1, 1, tzinfo=UTC)


def quiet_until(user: User, intervals: Mapping[str, TimeInterval], at: datetime) -> datetime | None:
    """The end (UTC) of the quiet hours at `at`; None = there are none to wait for.

    Quiet hours are on the person's own clock: an entry of a time interval without `location` is in
    the person's zone, not in UTC. Those that overlap or touch are one. Quiet hours that do not end
    within four years count as none, because a page must not wait for ever. `at` must have a zone
    (ValueError).
    """
    if not user.quiet_hours:
        return None
    hours = _combine_intervals(tuple(intervals[name] for name in user.quiet_hours), user.timezone)
    active, end = cached_interval(hours).at(to_utc(at))
    # Of a period without an end the cache knows the beginning only: it is active after that too.
    return None if not active or hours.holds(end) else end


def is_always_quiet(user: User, intervals: Mapping[str, TimeInterval]) -> bool:
    """True if a person has quiet hours at every time of four years.

    Any four years do, unless an interval names years.
    """
    hours = _combine_intervals(tuple(intervals[name] for name in user.quiet_hours), user.timezone)
    return hours.holds(_ANY_TIME) and hours.changes(_ANY_TIME) is None


@lru_cache(maxsize=1024)
def _combine_intervals(intervals: tuple[TimeInterval, ...], zone: str) -> TimeInterval:
    """One interval that is active while any of these is, in a zone unless they name another."""
    entries = (
        entry if entry.location else replace(entry, location=zone)
        for interval in intervals
        for entry in interval.entries
    )
    return TimeInterval("quiet hours", tuple(entries))


class ContactReachability(msgspec.Struct, frozen=True, kw_only=True):
    """One channel of a person."""

    channel: str
    state: ContactState
    at: float | None = None  # of the last delivery, Unix seconds
    error: str = ""
    used: bool  # by the person's notification rules


class PersonReachability(msgspec.Struct, frozen=True, kw_only=True):
    """The contacts of a person, and whether a page can arrive over any."""

    contacts: tuple[ContactReachability, ...]  # those of the rules first
    reachable: bool  # at least one contact that the rules use may work
    why_not: str = ""


def assess_reachability(
    config: Config, outcomes: OutcomesByContact
) -> dict[str, PersonReachability]:
    """User → reachability. An outcome of an address that is not in the file any more is ignored."""
    return {name: _person_reachability(user, outcomes) for name, user in config.users.items()}


def _person_reachability(user: User, outcomes: OutcomesByContact) -> PersonReachability:
    used = contact_channels(user)
    unused = [name for name in own_channels(user) if name not in used]
    contacts = tuple(
        _contact_reachability(user, channel, outcomes, used=channel in used)
        for channel in (*used, *unused)
    )
    # An untried contact may work: without any news nobody counts as unreachable.
    broken = [one for one in contacts if one.used and one.state not in ("works", "untried")]
    if len(broken) < len(used):
        return PersonReachability(contacts=contacts, reachable=True)
    problems = "; ".join(f"{one.channel}: {_problem_text(one)}" for one in broken)
    return PersonReachability(contacts=contacts, reachable=False, why_not=problems or "no contact")


def _contact_reachability(
    user: User, channel: str, outcomes: OutcomesByContact, *, used: bool
) -> ContactReachability:
    address = contact_address(user, channel)
    if address is None:
        return ContactReachability(channel=channel, state="missing", used=used)
    if channel not in paging_channels():
        return ContactReachability(channel=channel, state="undeliverable", used=used)
    last = outcomes.get((user.name, channel))
    if last is None or last.address != address_digest(address):
        return ContactReachability(channel=channel, state="untried", used=used)
    return ContactReachability(
        channel=channel,
        state="works" if last.ok else "failed",
        at=last.at,
        error=last.error,
        used=used,
    )


def _problem_text(contact: ContactReachability) -> str:
    match contact.state:
        case "missing":
            return "no such contact"
        case "undeliverable":
            return "amproxy cannot deliver over it yet"
        case _:
            return contact.error or "the last delivery failed"
