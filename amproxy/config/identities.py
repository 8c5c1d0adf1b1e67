"""Identities: by what a person is recognised at the sign-in and when pressing a button in a chat.

No two people share one, or the one would act as the other, or keep the other out. Contacts that
only receive, such as a webhook or a chat of several people, may be shared.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Final, NamedTuple

from amproxy.config.channels import REGISTRY, channel_kind
from amproxy.config.read.cursor import Cursor
from amproxy.config.structs import User
from amproxy.config.yaml import MappingNode, SequenceNode

SIGN_IN: Final = "sign-in"


class Identity(NamedTuple):
    """SIGN_IN or a channel, and the name or account there in its one normal form."""

    kind: str
    value: str


class SharedIdentity(NamedTuple):
    """An identity of two people. key: of the later one's entry, "name" or a channel."""

    first: User
    later: User
    key: str


@lru_cache(maxsize=8192)
def fold_name(text: str) -> str:
    """The normal form of a name or address: without case, forms of letters, invisible marks.

    Equal for all that `find_sign_in` takes to be the same, and for more.
    """
    # Folding may undo the normal form, so that it is needed before and after.
    folded = unicodedata.normalize(
        "NFKC", unicodedata.normalize("NFKC", _fold_case(text)).casefold()
    )
    if folded.isascii():
        return folded.strip()
    return "".join(char for char in folded if unicodedata.category(char) != "Cf").strip()


def identities(user: User, *, with_sign_in: bool) -> dict[Identity, str]:
    """All identities of a person → the key that gives it: "name" or a channel.

    with_sign_in: people sign in, so that what signs them in counts besides their names.
    """
    found = {Identity(SIGN_IN, fold_name(user.name)): "name"}
    for channel, address in user.contacts.items():
        kind = channel_kind(channel) if channel in REGISTRY else None
        account = kind.account(address) if kind else ""
        if kind and account and (with_sign_in or not kind.signs_in):
            found.setdefault(Identity(SIGN_IN if kind.signs_in else channel, account), channel)
    return found


def find_sign_in(users: Iterable[User], text: str) -> User | None:
    """The person who signs in by this name or address; None if nobody does, or several do.

    Compared without case only, which is narrower than what makes identities differ: at a provider
    somebody else may go by a name that merely looks like a person's.
    """
    wanted = _fold_case(text)
    found = [user for user in users if wanted and wanted in map(_fold_case, _sign_in_names(user))]
    return found[0] if len(found) == 1 else None


def _sign_in_names(user: User) -> Iterator[str]:
    yield user.name
    for channel, address in user.contacts.items():
        if channel in REGISTRY and channel_kind(channel).signs_in:
            yield address


def _fold_case(text: str) -> str:
    return text.strip().casefold()


def find_account(users: Iterable[User], channel: str, account: str) -> User | None:
    """The person whose account in a chat this is."""
    normal = channel_kind(channel).account if channel in REGISTRY else str.strip
    if not (wanted := normal(account)):
        return None
    owners = (one for one in users if normal(one.contacts.get(channel, "")) == wanted)
    return next(owners, None)


def shared_identities(users: Iterable[User], *, with_sign_in: bool) -> Iterator[SharedIdentity]:
    """Each identity that a person shares with one before them."""
    owners: dict[Identity, User] = {}
    for user in users:
        for identity, key in identities(user, with_sign_in=with_sign_in).items():
            owner = owners.setdefault(identity, user)
            if owner is not user:
                yield SharedIdentity(owner, user, key)


def check_identities(at: Cursor, users: Iterable[User], *, with_sign_in: bool) -> None:
    """Record an error for each shared identity of `users`, the section at `at`, at its place."""
    for first, later, key in shared_identities(users, with_sign_in=with_sign_in):
        if first.name != later.name:  # the same name twice is an error already
            _place_of(at, later, key).error(
                _shared_key(key),
                later=later.name,
                first=first.name,
                line=first.place.line,
                channel=key,
            )


def _shared_key(key: str) -> str:
    if key == "name":
        return "problem.same_name"
    return "problem.same_address" if channel_kind(key).signs_in else "problem.same_account"


def _place_of(at: Cursor, user: User, key: str) -> Cursor:
    """The cursor of the value that gives an identity, else of the person's entry."""
    items = at.node.items if isinstance(at.node, SequenceNode) else ()
    for position, item in enumerate(items):
        if (item.line, item.column) != (user.place.line, user.place.column):
            continue
        found = at.child(item, position)
        for name in ("name",) if key == "name" else ("contacts", key):
            if isinstance(found.node, MappingNode) and name in found.node.pairs:
                found = found.child(found.node.pairs[name][1], name)
        return found
    return at
