"""Check who pushes: the token of a source or heartbeat, and Grafana's signature where demanded."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import ipaddress
from functools import lru_cache

from amproxy.accept.body import PushRefused, Scope, header
from amproxy.accept.origin import AUTHENTICATED
from amproxy.config.structs import Config, Heartbeat, Source
from amproxy.secret import Secret, reveal

LOGIN = "amproxy.login"  # key of a scope: the name given at AUTHENTICATED, "" = by certificate
_PLACES = "as Bearer, as Basic password or as last path element"
SIGNATURE_HEADERS = (b"x-grafana-alerting-signature", b"x-grafana-alert-signature")


def webhook_source(config: Config, scope: Scope, name: str, last_element: str) -> Source:
    """Return the source that a webhook's path names, its token checked.

    Raises PushRefused: 404, 401, 403; 503 where the file of the token cannot be read.
    """
    if not config.sources:
        _require_loopback(scope)
        return Source(name=name)
    source = config.sources.get(name)
    if source is None:
        raise PushRefused(404, f"there is no source {name!r}")
    if not _credential_matches(source, last_element or parse_credential(scope)):
        raise PushRefused(401, f"source {name!r} needs its token: {_PLACES}")
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
    raise PushRefused(403, "there is no source with this key")


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
    raise PushRefused(403, "there is no heartbeat with this key")


def _is_key_of(sender: Source | Heartbeat, key: str) -> bool:
    if sender.token or sender.token_file:
        return _credential_matches(sender, key)
    return is_open(sender) and sender.name == key


def check_heartbeat(heartbeat: Heartbeat, scope: Scope, last_element: str) -> None:
    """Check the token of a beat. Raises PushRefused: 401; 503 where its file cannot be read."""
    if not _credential_matches(heartbeat, last_element or parse_credential(scope)):
        raise PushRefused(401, f"heartbeat {heartbeat.name!r} needs its token: {_PLACES}")


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
    raise PushRefused(401, "a source's token is needed: as Bearer or as Basic password")


def check_signature(source: Source, scope: Scope, body: bytes) -> None:
    """Check Grafana's HMAC over the body as sent. Raises PushRefused: 401, 503."""
    if not _is_signed(source):
        return
    secret = _read_secret(source, source.hmac_secret, source.hmac_secret_file)
    if not secret:  # an empty file is a mistake, which must not open the source to everybody
        raise PushRefused(401, f"the secret file of source {source.name!r} is empty")
    given = next((found for name in SIGNATURE_HEADERS if (found := header(scope, name))), "")
    if not given:
        raise PushRefused(401, f"source {source.name!r} needs Grafana's signature header")
    # With a timestamp Grafana signs "unixseconds:body"; its header has the name the user gave it.
    stamps = [
        value + b":"
        for name, value in scope["headers"]
        if name.endswith(b"timestamp") and value.isdigit()
    ]
    for prefix in (b"", *stamps):
        expected = hmac.new(secret.encode(), prefix + body, hashlib.sha256).hexdigest()
        if hmac.compare_digest(expected, given.strip().lower()):
            return
    raise PushRefused(401, f"the signature does not fit source {source.name!r}")


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
        kind = "source" if isinstance(sender, Source) else "heartbeat"
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise PushRefused(
            503, f"the secret of {kind} {sender.name!r} cannot be read: {reason}"
        ) from None


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
        raise PushRefused(
            403, "without `sources` in the file, pushes are taken from this machine only"
        )


@lru_cache(maxsize=1024)
def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
