"""Reachability of people: contacts with their last deliveries, and quiet hours. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Literal

import msgspec
from msgspec.structs import replace

from amproxy.config.channels import (
    address_digest,
    contact_address,
    contact_channels,
    own_channels,
    why_undeliverable,
)
from amproxy.config.structs import Config, User
from amproxy.labels.intervals import TimeInterval
from amproxy.model import Outcome
from amproxy.oncall.piecewise import cached_interval
from amproxy.text import Phrase, Words
from amproxy.times import to_utc

# (user, channel) → the result of the last delivery
OutcomesByContact = Mapping[tuple[str, str], Outcome]

# works: the last delivery arrived. failed: it failed for good. untried: none is known.
# undeliverable: amproxy cannot send to it, as the file is. missing: a rule uses the channel, but
# there is no address for it.
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


def find_common_quiet(
    users: Sequence[User], intervals: Mapping[str, TimeInterval]
) -> datetime | None:
    """The first half hour of a week (UTC) at which all of these people have quiet hours.

    None = there is none, or there are no people.
    """
    if not users or not all(user.quiet_hours for user in users):
        return None
    moments = (_ANY_TIME + timedelta(minutes=30 * nth) for nth in range(7 * 48))
    return next(
        (at for at in moments if all(quiet_until(user, intervals, at) for user in users)), None
    )


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
    error: Words = ""
    reason: Phrase | None = None  # of undeliverable
    used: bool  # by the person's notification rules


class PersonReachability(msgspec.Struct, frozen=True, kw_only=True):
    """The contacts of a person, and whether a page can arrive over any."""

    contacts: tuple[ContactReachability, ...]  # those of the rules first
    reachable: bool  # at least one contact that the rules use may work
    why_not: Phrase | None = None


def assess_reachability(
    config: Config, outcomes: OutcomesByContact
) -> Mapping[str, PersonReachability]:
    """User → reachability. An outcome of an address that is not in the file any more is ignored."""
    return _ReachabilityByUser(config, outcomes)


class _ReachabilityByUser(Mapping[str, PersonReachability]):
    """Reachability found when it is asked for: most pages show few people."""

    def __init__(self, config: Config, outcomes: OutcomesByContact) -> None:
        self._config, self._outcomes = config, outcomes
        self._found: dict[str, PersonReachability] = {}

    def __getitem__(self, name: str) -> PersonReachability:
        if name not in self._found:
            user = self._config.users[name]
            self._found[name] = person_reachability(self._config, user, self._outcomes)
        return self._found[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._config.users)

    def __len__(self) -> int:
        return len(self._config.users)


def person_reachability(
    config: Config, user: User, outcomes: OutcomesByContact
) -> PersonReachability:
    """The same of one person."""
    used = contact_channels(user)
    unused = [name for name in own_channels(user) if name not in used]
    contacts = tuple(
        _contact_reachability(config, user, channel, outcomes, used=channel in used)
        for channel in (*used, *unused)
    )
    # An untried contact may work: without any news nobody counts as unreachable.
    broken = [one for one in contacts if one.used and one.state not in ("works", "untried")]
    if len(broken) < len(used):
        return PersonReachability(contacts=contacts, reachable=True)
    return PersonReachability(contacts=contacts, reachable=False, why_not=_why_not(broken))


def _why_not(broken: Sequence[ContactReachability]) -> Phrase:
    """The problems of all contacts that the rules use."""
    if not broken:
        return Phrase("reach.no_contact")
    problem, *rest = (
        Phrase("reach.contact", {"channel": one.channel, "problem": _problem(one)})
        for one in broken
    )
    for another in rest:
        problem = Phrase("reach.and", {"first": problem, "rest": another})
    return problem


def _contact_reachability(
    config: Config, user: User, channel: str, outcomes: OutcomesByContact, *, used: bool
) -> ContactReachability:
    address = contact_address(user, channel)
    if address is None:
        return ContactReachability(channel=channel, state="missing", used=used)
    if reason := why_undeliverable(config, channel, address):
        return ContactReachability(channel=channel, state="undeliverable", reason=reason, used=used)
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


def _problem(contact: ContactReachability) -> Words:
    if contact.state == "missing":
        return Phrase("reach.missing")
    return contact.reason or contact.error or Phrase("reach.failed")
