"""Who can be reached: what is known of each person's contacts, by the file and by the last deliveries. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

from amproxy.check.lint import CHANNELS
from amproxy.config import contacts as config_contacts
from amproxy.config.structs import Config, User
from amproxy.model import Outcome

Outcomes = Mapping[tuple[str, str], Outcome]  # (user, channel) → what became of the last delivery

# works: the last delivery arrived. failed: it failed for good. untried: none is known. undeliverable: amproxy cannot send over the
# channel. missing: a rule names the channel, but there is no address for it.
ContactState = Literal["works", "failed", "untried", "undeliverable", "missing"]


class Contact(msgspec.Struct, frozen=True, kw_only=True):
    """One channel of a person."""

    channel: str
    state: ContactState
    at: float | None = None  # of the last delivery, Unix seconds
    error: str = ""
    used: bool  # by the person's rules


class Reach(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a page can arrive at a person."""

    contacts: tuple[Contact, ...]  # those of the rules first
    reachable: bool  # at least one contact that the rules use may work
    why_not: str = ""


def reach(config: Config, outcomes: Outcomes) -> dict[str, Reach]:
    """User → whether they can be reached. An outcome of another address than the one in force says nothing."""
    return {name: _reach(user, outcomes) for name, user in config.users.items()}


def _reach(user: User, outcomes: Outcomes) -> Reach:
    used = config_contacts.channels(user)
    spare = tuple(channel for channel in user.contacts if channel not in used and channel != "phone")
    contacts = tuple(_contact(user, channel, outcomes, used=channel in used) for channel in (*used, *spare))
    broken = [contact for contact in contacts if contact.used and contact.state not in ("works", "untried")]
    reachable = len(broken) < len(used)
    why_not = "" if reachable else "; ".join(f"{contact.channel}: {_why(contact)}" for contact in broken) or "no contact"
    return Reach(contacts=contacts, reachable=reachable, why_not=why_not)


def _contact(user: User, channel: str, outcomes: Outcomes, *, used: bool) -> Contact:
    address = config_contacts.address(user, channel)
    if address is None:
        return Contact(channel=channel, state="missing", used=used)
    if channel not in CHANNELS:
        return Contact(channel=channel, state="undeliverable", used=used)
    last = outcomes.get((user.name, channel))
    if last is None or last.address != config_contacts.digest(address):
        return Contact(channel=channel, state="untried", used=used)
    return Contact(channel=channel, state="works" if last.ok else "failed", at=last.at, error=last.error, used=used)


def _why(contact: Contact) -> str:
    match contact.state:
        case "missing":
            return "no such contact"
        case "undeliverable":
            return "amproxy cannot deliver over it yet"
        case _:
            return contact.error or "the last delivery failed"
