"""What Alertmanager's server does around each call: the Accept header, browsers' preflights, untidy paths, the API v1 that is gone."""

from __future__ import annotations

import posixpath
import re
from urllib.parse import quote

import msgspec

from amproxy.accept.body import Scope, header
from amproxy.web.alertmanager.answers import Answer, Headers, coded

PREFIX = "/api/v2/"
NOT_ACCEPTABLE = coded(406, "unsupported media type requested, only [application/json] are available")
GONE = Answer(
    410, msgspec.json.encode({"status": "deprecated", "error": "Alertmanager's API v1 is gone; use the same call of /api/v2."}) + b"\n"
)

_KINDS = frozenset(("application/json", "application/*", "*/*"))
_NEVER = re.compile(r"0(\.0*)?")
_V1 = re.compile("/api/v1/(status|receivers|alerts(/groups)?|silences|silence/[^/]*)/?")
_FOREIGN_METHODS = frozenset(("GET", "POST", "HEAD"))
_FOREIGN_HEADERS = frozenset(("accept", "content-type", "origin", "x-requested-with"))


def acceptable(scope: Scope) -> bool:
    """Whether the client takes JSON; one that says nothing does."""
    accept = header(scope, b"accept")
    return not accept or any(_takes_json(kind) for kind in accept.split(","))


def _takes_json(kind: str) -> bool:
    name, *parameters = (part.strip() for part in kind.split(";"))
    refused = any(_NEVER.fullmatch(parameter.removeprefix("q=").strip()) for parameter in parameters if parameter.startswith("q="))
    return name in _KINDS and not refused


def cors(method: str) -> Headers:
    """Any page may read the API, as Alertmanager has it. No page of another site may write (see api.py)."""
    allowed = (("Access-Control-Allow-Origin", "*"),) if method != "DELETE" else ()
    return (("Vary", "Origin"), ("Cache-Control", "no-store"), *allowed)


def preflight(scope: Scope) -> Answer | None:
    """The answer to a browser that asks beforehand what a page of another site may do; None where it does not ask.

    As Alertmanager's, but for POST /alerts, which is not granted: a page that somebody looks at must not page anybody.
    """
    method = header(scope, b"access-control-request-method").upper()
    if scope["method"] != "OPTIONS" or not method:
        return None
    vary: Headers = (("Vary", "Origin"), ("Vary", "Access-Control-Request-Method"), ("Vary", "Access-Control-Request-Headers"))
    wanted = [name for text in header(scope, b"access-control-request-headers").split(",") if (name := text.strip().lower())]
    pushes = method == "POST" and scope["path"].removesuffix("/") == PREFIX + "alerts"
    if not header(scope, b"origin") or method not in _FOREIGN_METHODS or pushes or not _FOREIGN_HEADERS.issuperset(wanted):
        return Answer(headers=vary)
    granted: Headers = (("Access-Control-Allow-Origin", "*"), ("Access-Control-Allow-Methods", method))
    if wanted:
        granted += (("Access-Control-Allow-Headers", ", ".join(name.title() for name in wanted)),)
    return Answer(headers=(*vary, *granted))


def tidied(scope: Scope) -> Answer | None:
    """A redirect from a path of the API with double slashes, or from /api/v2 itself; None for all other paths."""
    path = str(scope["path"])
    if path + "/" == PREFIX:
        return _moved(PREFIX, scope)
    if "//" not in path:
        return None
    clean = "/" + posixpath.normpath(path).strip("/") + ("/" if path.endswith("/") else "")
    return _moved(clean, scope) if f"{clean}/".startswith(PREFIX) else None


def _moved(path: str, scope: Scope) -> Answer:
    query = scope["query_string"].decode("latin-1")
    return Answer(301, headers=(("Location", quote(path) + (f"?{query}" if query else "")),))


def is_v1(path: str) -> bool:
    """Whether a path was one of Alertmanager's API v1. Everything else under /api/v1/ is amproxy's own."""
    return _V1.fullmatch(path) is not None
