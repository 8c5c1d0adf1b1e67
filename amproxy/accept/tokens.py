"""Check who pushes: the token of a source or heartbeat, and Grafana's signature where demanded."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import ipaddress
import re
from functools import lru_cache
from typing import Final

from amproxy.accept.body import PushRefused, Scope, header
from amproxy.accept.origin import AUTHENTICATED
from amproxy.config.structs import Config, Heartbeat, Source
from amproxy.secret import Secret, reveal
from amproxy.text import Words, phrase

LOGIN = "amproxy.login"  # key of a scope: the name given at AUTHENTICATED, "" = by certificate
SIGNATURE_HEADERS = (b"x-grafana-alerting-signature", b"x-grafana-alert-signature")
MAX_SIGNATURE_AGE: Final = 300  # seconds, into the future too: of a signature that tells its time
MAX_STAMPS: Final = 3  # headers that are tried as its time: each costs a hash of the body
_STAMP = re.compile(rb"\d{9,11}")  # Unix seconds
_SIGNATURE = re.compile(rb"[0-9A-Fa-f]{64}")
_STAMP_BEFORE = re.compile(rb"\d+:")


def webhook_source(config: Config, scope: Scope, name: str, last_element: str) -> Source:
    """Return the source that a webhook's path names, its token checked.

    Raises PushRefused: 404, 401, 403; 503 where the file of the token cannot be read.
    """
    if not config.sources:
        _require_loopback(scope)
        return Source(name=name)
    source = config.sources.get(name)
    if source is None:
        raise PushRefused(404, phrase("refusal.no_source", source=name))
    if not _credential_matches(source, last_element or parse_credential(scope)):
        raise PushRefused(401, phrase("refusal.source_token", source=name))
    return source


def source_by_key(config: Config, scope: Scope, key: str, otherwise: str) -> Source:
    """Return the source whose token is all that its sender shows; an open one shows its name.

    otherwise: the name of the source where the file has none. Raises PushRefused: 403; 503 where
    the file of a token cannot be read.
    """
    if not config.sources:
        _require_loopback(scope)
        return Source(name=otherwise)
    for source in config.sources.values():
        if _is_key_of(source, key):
            return source
    raise PushRefused(403, phrase("refusal.no_source_key"))


def heartbeat_by_key(config: Config, key: str) -> Heartbeat:
    """Return the heartbeat whose token a sender shows, or that has the name of such a source.

    Raises PushRefused: 403; 503 where the file of a token cannot be read.
    """
    for heartbeat in config.heartbeats.values():
        if _is_key_of(heartbeat, key):
            return heartbeat
    for source in config.sources.values():
        # the name of an open source would open the heartbeat, which may have a token of its own
        if source.name in config.heartbeats and not is_open(source) and _is_key_of(source, key):
            return config.heartbeats[source.name]
    raise PushRefused(403, phrase("refusal.no_heartbeat_key"))


def _is_key_of(sender: Source | Heartbeat, key: str) -> bool:
    if sender.token or sender.token_file:
        return _credential_matches(sender, key)
    return is_open(sender) and sender.name == key


def check_heartbeat(heartbeat: Heartbeat, scope: Scope, last_element: str) -> None:
    """Check the token of a beat. Raises PushRefused: 401; 503 where its file cannot be read."""
    if not _credential_matches(heartbeat, last_element or parse_credential(scope)):
        raise PushRefused(401, phrase("refusal.heartbeat_token", heartbeat=heartbeat.name))


def is_open(sender: Source | Heartbeat | None) -> bool:
    """Check for a sender that shows nothing: no token and no signature. None: not of the file."""
    if sender is None:
        return True
    return not (sender.token or sender.token_file or _is_signed(sender))


def source_by_token(config: Config, scope: Scope) -> str:
    """Return the name of the source whose token came with a push to the alerts API.

    Raises PushRefused: 401, 403; 503 where the file of a token cannot be read.
    """
    if not config.sources:
        _require_loopback(scope)
        return "api"
    sources = config.sources.values()
    if all(map(is_open, sources)):
        return next(iter(config.sources))
    credential = parse_credential(scope)
    for source in sources:
        # A source that signs its webhooks cannot push here: nothing would check a signature. Nor
        # can an open one beside others: it would let everybody in without their tokens.
        if not (is_open(source) or _is_signed(source)) and _credential_matches(source, credential):
            return source.name
    raise PushRefused(401, phrase("refusal.any_source_token"))


def check_signature(source: Source, scope: Scope, body: bytes, now: float) -> None:
    """Check Grafana's HMAC over the body as sent; now: Unix seconds. Raises PushRefused: 401, 503.

    Where Grafana signs the time too, the signature is good for MAX_SIGNATURE_AGE: whoever has read
    a push on its way cannot send it again for ever.
    """
    if not _is_signed(source):
        return
    secret = _read_secret(source, source.hmac_secret, source.hmac_secret_file)
    if not secret:  # an empty file is a mistake, which must not open the source to everybody
        raise PushRefused(401, phrase("refusal.secret_empty", source=source.name))
    given = _given_signature(scope)
    if not given:
        raise PushRefused(401, phrase("refusal.no_signature", source=source.name))
    signed, key = given.strip().lower().encode(), secret.encode()
    # Without a time. What begins as a time does was signed with one, and lost its header.
    if not _STAMP_BEFORE.match(body) and _is_signature(signed, key, body):
        return
    # Grafana signs "unixseconds:body"; the header of the time has the name that the user gave it.
    for stamp in [value for _, value in scope["headers"] if _STAMP.fullmatch(value)][:MAX_STAMPS]:
        if _is_signature(signed, key, stamp + b":" + body):
            _check_age(source, int(stamp), now)
            return
    raise PushRefused(401, phrase("refusal.wrong_signature", source=source.name))


def _given_signature(scope: Scope) -> str:
    """The signature by the name of its header, else by its form: its user may have renamed it."""
    named = (header(scope, name) for name in SIGNATURE_HEADERS)
    formed = (value.decode() for _, value in scope["headers"] if _SIGNATURE.fullmatch(value))
    return next(filter(None, (*named, *formed)), "")


def _is_signature(given: bytes, key: bytes, content: bytes) -> bool:
    expected = hmac.new(key, content, hashlib.sha256).hexdigest().encode()
    return hmac.compare_digest(expected, given)


def _check_age(source: Source, stamp: int, now: float) -> None:
    age = now - stamp
    if abs(age) > MAX_SIGNATURE_AGE:
        words = phrase(
            "refusal.old_signature" if age > 0 else "refusal.early_signature",
            source=source.name,
            seconds=round(abs(age)),
            minutes=MAX_SIGNATURE_AGE // 60,
        )
        raise PushRefused(401, words)


def _credential_matches(sender: Source | Heartbeat, credential: str) -> bool:
    """Check whether a credential opens a source or heartbeat.

    One without token is open; its signature, where it has one, is checked with the body.
    """
    token = _read_secret(sender, sender.token, sender.token_file)
    if not token:
        # An empty token file is a mistake, which must not open the source to everybody.
        return not sender.token_file
    return hmac.compare_digest(token.encode(), credential.encode())


def _is_signed(sender: Source | Heartbeat) -> bool:
    return isinstance(sender, Source) and bool(sender.hmac_secret or sender.hmac_secret_file)


def _read_secret(sender: Source | Heartbeat, secret: Secret, file: str) -> str:
    """Return the secret; "" where none is set. Raises PushRefused(503)."""
    try:
        return reveal(secret, file)
    except (OSError, UnicodeDecodeError) as error:
        said: Words = phrase("refusal.not_utf")
        if isinstance(error, OSError):
            said = phrase("refusal.quoted", text=error.strerror or str(error))
        words = (
            phrase("refusal.secret_of_source", source=sender.name, said=said)
            if isinstance(sender, Source)
            else phrase("refusal.secret_of_heartbeat", heartbeat=sender.name, said=said)
        )
        raise PushRefused(503, words) from None


def parse_credential(scope: Scope) -> str:
    """Return the credential of any Authorization scheme; of Basic the password."""
    scheme, _, rest = header(scope, b"authorization").partition(" ")
    rest = rest.strip()
    if scheme.lower() != "basic":
        return rest
    try:
        return base64.b64decode(rest, validate=True).decode("utf-8").partition(":")[2]
    except (binascii.Error, UnicodeDecodeError):
        return rest


def _require_loopback(scope: Scope) -> None:
    """Refuse others than this machine and authenticated senders: the file has no sources.

    Raises PushRefused(403).
    """
    client = scope.get("client")
    if client is None or scope.get(AUTHENTICATED):  # a unix socket has no client
        return
    if not _is_loopback(client[0]):
        raise PushRefused(403, phrase("refusal.loopback"))


@lru_cache(maxsize=1024)
def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
