"""What Alertmanager's server does around each call: the Accept header, browsers' preflights, untidy paths, the API v1 that is gone.

GET /status and GET /receivers.

Alertmanager's API v2 as one ASGI application: which call a request is for, and every error's shape.

Any page may read it, as Alertmanager has it (Access-Control-Allow-Origin: *), so it stands outside of web/guard.py. Writing
is another matter: Alertmanager lets a page of any site create silences through the browser of whoever looks at it. Here a
write that comes from a browser passes the same guard as a button of amproxy's own pages. Programs are not concerned.
"""

from __future__ import annotations

import logging
import posixpath
import re
from collections.abc import Awaitable, Callable
from urllib.parse import quote, urlsplit

import msgspec
from msgspec import UNSET, UnsetType
from starlette.types import ASGIApp

from amproxy import __version__, metrics
from amproxy.accept.body import Gone, Receive, Scope, Send, header
from amproxy.context import Context
from amproxy.errors import StoreUnavailable
from amproxy.labels.matchers import all_match
from amproxy.web.alertmanager.alerts import Alerts, labels_of, time
from amproxy.web.alertmanager.http import Answer, Asked, Headers, Refusal, coded, value
from amproxy.web.alertmanager.silences import Silences
from amproxy.web.http.guard import Guard

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


NAME = "amproxy"  # of the cluster's one peer: replicas share a store and do not talk to each other


class Peer(msgspec.Struct):
    address: str
    name: str


class Cluster(msgspec.Struct):
    name: str
    peers: list[Peer]
    status: str


class Original(msgspec.Struct):
    original: str


class VersionInfo(msgspec.Struct):
    """All of these must be there, or amtool refuses the answer."""

    branch: str
    buildDate: str
    buildUser: str
    goVersion: str
    revision: str
    version: str


class ShownStatus(msgspec.Struct):
    cluster: Cluster
    config: Original
    uptime: str
    versionInfo: VersionInfo


class ReceiverWithLabels(msgspec.Struct):
    labels: dict[str, str] | UnsetType
    name: str


class Status:
    def __init__(self, context: Context) -> None:
        self._context = context
        self._started_ns = int(context.now() * 10**9)

    async def status(self, asked: Asked) -> Answer:
        """Since when it runs, and Alertmanager's part of the configuration, secrets hidden."""
        context = self._context
        address = urlsplit(context.external_url).netloc or context.config.web.listen
        return value(
            ShownStatus(
                cluster=Cluster(name=NAME, peers=[Peer(address=address, name=NAME)], status="ready"),
                config=Original(context.config.original),
                uptime=time(self._started_ns),
                versionInfo=VersionInfo(branch="", buildDate="", buildUser="", goVersion="", revision="", version=__version__),
            )
        )

    async def receivers(self, asked: Asked) -> Answer:
        """All receivers, or those that `receiver_matchers` leaves, in the order of the file."""
        wanted = asked.query.matchers("receiver_matchers")
        found = [receiver for receiver in self._context.config.receivers.values() if all_match(wanted, labels_of(receiver))]
        return value([ReceiverWithLabels(labels=receiver.labels or UNSET, name=receiver.name) for receiver in found])


log = logging.getLogger(__name__)

Handler = Callable[[Asked], Awaitable[Answer]]

_SILENCE = "silence/"  # the one path with a parameter
_DOORS = {"alerts": ("POST",)}  # taken by app.App before a request comes here


class V2:
    """Answers under /api/v2/, and where Alertmanager's API v1 was; everything else goes to `rest`."""

    def __init__(self, context: Context, rest: ASGIApp) -> None:
        self._rest = rest
        self._guarded = Guard(self._serve, context)
        alerts, silences, status = Alerts(context), Silences(context), Status(context)
        self._calls: dict[str, dict[str, Handler]] = {
            "status": {"GET": status.status},
            "receivers": {"GET": status.receivers},
            "alerts": {"GET": alerts.all},
            "alerts/groups": {"GET": alerts.groups},
            "silences": {"POST": silences.post, "GET": silences.all},
            _SILENCE: {"DELETE": silences.delete, "GET": silences.one},
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._rest(scope, receive, send)
        elif moved := tidied(scope):
            await moved.send(send)
        elif is_v1(scope["path"]):
            await GONE.send(send)
        elif not scope["path"].startswith(PREFIX):
            await self._rest(scope, receive, send)
        elif asked := preflight(scope):
            await asked.send(send)
        elif _is_write_of_browser(scope):
            await self._guarded(scope, receive, send)
        else:
            await self._serve(scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            answer = await self._call(scope, receive)
        except Gone:
            return
        except Refusal as refusal:
            answer = refusal.answer
        except StoreUnavailable:
            message = "Redis is away; nothing was changed, try again in a moment"
            answer = coded(503, message, headers=(("Retry-After", "1"),))
        except Exception:
            # the rim: a defect must not end the connection without a word, nor tell its cause to whoever asked
            metrics.unexpected_errors.labels("web").inc()
            log.exception("a call of the API v2 failed")
            answer = coded(500, "this is a defect of amproxy; its log says more")
        await answer.send(send, cors(scope["method"]))

    async def _call(self, scope: Scope, receive: Receive) -> Answer:
        path, method = scope["path"].removeprefix(PREFIX).removesuffix("/"), scope["method"]
        name, rest = path, ""
        if path.startswith(_SILENCE):
            name, rest = _SILENCE, path.removeprefix(_SILENCE)
        calls = self._calls.get(name)
        if calls is None or "/" in rest:
            raise Refusal(coded(404, f"path {scope['path']} was not found"))
        handler = calls.get(method)
        if handler is None:
            allowed = ",".join((*_DOORS.get(name, ()), *calls))
            raise Refusal(coded(405, f"method {method} is not allowed, but [{allowed}] are", headers=(("Allow", allowed),)))
        if method != "POST" and not acceptable(scope):
            raise Refusal(NOT_ACCEPTABLE)
        return await handler(Asked(scope, receive, rest))


def _is_write_of_browser(scope: Scope) -> bool:
    return scope["method"] in ("POST", "DELETE") and bool(header(scope, b"origin") or header(scope, b"sec-fetch-site"))
