"""Quiet hours: when a person's ordinary pages wait, and until when.

Who can be reached: what is known of each person's contacts, by the file and by the last deliveries. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Literal

import msgspec
from msgspec.structs import replace

from amproxy.config import contacts as config_contacts
from amproxy.config.contacts import CHANNELS
from amproxy.config.structs import Config, User
from amproxy.labels.intervals import TimeInterval
from amproxy.model import Outcome
from amproxy.oncall.piecewise import cached_interval
from amproxy.times import to_utc

_ANY_TIME = datetime(2025, 1, 1, tzinfo=UTC)


def quiet_until(user: User, intervals: Mapping[str, TimeInterval], at: datetime) -> datetime | None:
    """The moment (UTC) at which the quiet hours that hold at `at` are over; None = there is none to wait for.

    A person's quiet hours are on the person's own clock: an entry of a time interval without `location` is read there, not in
    UTC. Of several that overlap or touch, the end is when none holds any more. Quiet hours that do not end within four years
    count as none, because a page must not wait for ever. `at` must have a zone (ValueError).
    """
    if not user.quiet_hours:
        return None
    hours = _combine_intervals(tuple(intervals[name] for name in user.quiet_hours), user.timezone)
    holds, end = cached_interval(hours).at(to_utc(at))
    # A spell that was found without an end is good for some time and holds after that too.
    return None if not holds or hours.holds(end) else end


def is_always_quiet(user: User, intervals: Mapping[str, TimeInterval]) -> bool:
    """Whether a person's quiet hours hold at every moment of four years. Which four does not matter, unless an interval names years."""
    hours = _combine_intervals(tuple(intervals[name] for name in user.quiet_hours), user.timezone)
    return hours.holds(_ANY_TIME) and hours.changes(_ANY_TIME) is None


@lru_cache(maxsize=1024)
def _combine_intervals(intervals: tuple[TimeInterval, ...], zone: str) -> TimeInterval:
    """One interval that holds while any of these does, on the clock of a zone where they name no place of their own."""
    entries = (entry if entry.location else replace(entry, location=zone) for interval in intervals for entry in interval.entries)
    return TimeInterval("quiet hours", tuple(entries))


OutcomesByContact = Mapping[tuple[str, str], Outcome]  # (user, channel) → what became of the last delivery

# works: the last delivery arrived. failed: it failed for good. untried: none is known. undeliverable: amproxy cannot send over the
# channel. missing: a rule names the channel, but there is no address for it.
ContactState = Literal["works", "failed", "untried", "undeliverable", "missing"]


class ContactReachability(msgspec.Struct, frozen=True, kw_only=True):
    """One channel of a person."""

    channel: str
    state: ContactState
    at: float | None = None  # of the last delivery, Unix seconds
    error: str = ""
    used: bool  # by the person's rules


class PersonReachability(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a page can arrive at a person."""

    contacts: tuple[ContactReachability, ...]  # those of the rules first
    reachable: bool  # at least one contact that the rules use may work
    why_not: str = ""


def assess_reachability(config: Config, outcomes: OutcomesByContact) -> dict[str, PersonReachability]:
    """User → whether they can be reached. An outcome of another address than the one in force says nothing."""
    return {name: _person_reachability(user, outcomes) for name, user in config.users.items()}


def _person_reachability(user: User, outcomes: OutcomesByContact) -> PersonReachability:
    used = config_contacts.contact_channels(user)
    spare = tuple(channel for channel in user.contacts if channel not in used and channel != "phone")
    contacts = tuple(_contact_reachability(user, channel, outcomes, used=channel in used) for channel in (*used, *spare))
    broken = [contact for contact in contacts if contact.used and contact.state not in ("works", "untried")]
    reachable = len(broken) < len(used)
    why_not = "" if reachable else "; ".join(f"{contact.channel}: {_problem_text(contact)}" for contact in broken) or "no contact"
    return PersonReachability(contacts=contacts, reachable=reachable, why_not=why_not)


def _contact_reachability(user: User, channel: str, outcomes: OutcomesByContact, *, used: bool) -> ContactReachability:
    address = config_contacts.contact_address(user, channel)
    if address is None:
        return ContactReachability(channel=channel, state="missing", used=used)
    if channel not in CHANNELS:
        return ContactReachability(channel=channel, state="undeliverable", used=used)
    last = outcomes.get((user.name, channel))
    if last is None or last.address != config_contacts.address_digest(address):
        return ContactReachability(channel=channel, state="untried", used=used)
    return ContactReachability(channel=channel, state="works" if last.ok else "failed", at=last.at, error=last.error, used=used)


def _problem_text(contact: ContactReachability) -> str:
    match contact.state:
        case "missing":
            return "no such contact"
        case "undeliverable":
            return "amproxy cannot deliver over it yet"
        case _:
            return contact.error or "the last delivery failed"
