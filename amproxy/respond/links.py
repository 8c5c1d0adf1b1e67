"""Signed links: a button as a URL, for channels that cannot carry presses.

A link names the incident, the action, the epoch that it was made for, and the person. Opening it
shows a page; only the button on that page acts, because mail filters and previews open every link.
"""

from __future__ import annotations

import hashlib
from typing import get_args

import msgspec
from itsdangerous import BadData, TimestampSigner, URLSafeTimedSerializer

from amproxy import clock
from amproxy.errors import AmproxyError
from amproxy.notify.message import Action
from amproxy.text import Phrase

_ACTIONS = frozenset(get_args(Action))


class BadLink(AmproxyError):
    """A token that this service did not sign, or not with this key; the text is for people."""


class ExpiredLink(BadLink):
    """A token that was good once."""


class SignedAction(msgspec.Struct, frozen=True, array_like=True):
    """The action of a link; in the token it is a list, in this order."""

    incident: str
    action: Action
    epoch: int  # Incident.epoch when the link was made
    user: str  # the person who acts; "" = the page asks for them
    arg: str = ""  # of snooze: seconds


class _Signer(TimestampSigner):
    """Stamps with amproxy's clock."""

    def get_timestamp(self) -> int:
        return int(clock.now())


class SignedLinks:
    """Makes and checks tokens with one secret key, which all replicas share."""

    def __init__(self, key: str) -> None:
        """key: a secret. Raises ValueError where it is shorter than 16 characters."""
        if len(key) < 16:
            raise ValueError("the key for signed links is shorter than 16 characters")
        self._serializer = URLSafeTimedSerializer(
            key,
            salt="amproxy.links",
            signer=_Signer,
            signer_kwargs={"key_derivation": "hmac", "digest_method": hashlib.sha256},
        )

    def sign(self, incident: str, action: Action, epoch: int, user: str, arg: str = "") -> str:
        """A token of ASCII that is safe in the path of a URL."""
        if action not in _ACTIONS:
            raise ValueError(f"{action!r} is no action")
        token = self._serializer.dumps([incident, action, epoch, user, arg])
        return token if isinstance(token, str) else token.decode("ascii")

    def verify(self, token: str, max_age: float) -> SignedAction:
        """The action of a token that was signed at most `max_age` seconds ago.

        A stamp from the future is fine: it is of a replica whose clock is ahead. Raises
        ExpiredLink, BadLink.
        """
        try:
            fields, stamp = self._serializer.loads(token, return_timestamp=True)
            action = msgspec.convert(fields, SignedAction)
        except (BadData, UnicodeError, msgspec.ValidationError):
            raise BadLink(Phrase("refusal.bad_link")) from None
        # Compared here, not by itsdangerous, whose age of a stamp from the future is an error.
        if clock.now() - stamp.timestamp() > max_age:
            raise ExpiredLink(Phrase("refusal.expired_link"))
        return action
