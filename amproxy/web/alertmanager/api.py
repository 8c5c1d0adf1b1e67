"""Alertmanager's API v2 as one ASGI application, with GET /status and GET /receivers.

A page of any site may read it, as it may Alertmanager's (Access-Control-Allow-Origin: *).
Alertmanager also lets a foreign page create silences through its reader's browser; here a write
passes the rule of web/http/guard.py like a form of our own pages.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Awaitable, Callable
from urllib.parse import quote, urlsplit

import msgspec
from msgspec import UNSET, UnsetType
from starlette.types import ASGIApp

from amproxy import ALERTMANAGER_VERSION, __version__, metrics
from amproxy.accept.body import ClientDisconnected, Receive, Scope, Send, header
from amproxy.context import Context
from amproxy.errors import StoreUnavailable
from amproxy.labels.matchers import all_match
from amproxy.log import EventLog
from amproxy.store.replicas import load_replicas
from amproxy.text import as_sentence
from amproxy.web.alertmanager.alerts import AlertmanagerAlertsApi
from amproxy.web.alertmanager.http import (
    AlertmanagerApiError,
    AlertmanagerRequest,
    AlertmanagerResponse,
    AlertmanagerStream,
    HeaderPairs,
    coded_error,
    value_response,
)
from amproxy.web.alertmanager.silences import AlertmanagerSilencesApi
from amproxy.web.alertmanager.views import format_time, receiver_labels
from amproxy.web.http.guard import refusal_reason

log = EventLog(__name__)

PREFIX = "/api/v2/"
NOT_ACCEPTABLE = coded_error(
    406, "unsupported media type requested, only [application/json] are available"
)
_GONE_ERROR = "Alertmanager's API v1 is gone; use the same call of /api/v2."
GONE = AlertmanagerResponse(
    410, msgspec.json.encode({"status": "deprecated", "error": _GONE_ERROR}) + b"\n"
)

_SILENCE_PATH = "silence/"  # the one path with a parameter
_INTAKE_METHODS = {"alerts": ("POST",)}  # served by server/service.py before a request gets here
_JSON_MEDIA = frozenset(("application/json", "application/*", "*/*"))
_ZERO_QUALITY = re.compile(r"0(\.0*)?")
_V1_PATH = re.compile("/api/v1/(status|receivers|alerts(/groups)?|silences|silence/[^/]*)/?")
_CROSS_ORIGIN_METHODS = frozenset(("GET", "POST", "HEAD"))
_CROSS_ORIGIN_HEADERS = frozenset(("accept", "content-type", "origin", "x-requested-with"))
_PREFLIGHT_VARY: HeaderPairs = (
    ("Vary", "Origin"),
    ("Vary", "Access-Control-Request-Method"),
    ("Vary", "Access-Control-Request-Headers"),
)

CallHandler = Callable[[AlertmanagerRequest], Awaitable[AlertmanagerResponse | AlertmanagerStream]]


class AlertmanagerApi:
    """Serve /api/v2/, refuse Alertmanager's API v1, pass everything else on to `rest`."""

    def __init__(self, context: Context, rest: ASGIApp) -> None:
        self._rest = rest
        self._context = context
        alerts, silences = AlertmanagerAlertsApi(context), AlertmanagerSilencesApi(context)
        status = AlertmanagerStatusApi(context)
        self._calls: dict[str, dict[str, CallHandler]] = {
            "status": {"GET": status.status},
            "receivers": {"GET": status.receivers},
            "alerts": {"GET": alerts.all},
            "alerts/groups": {"GET": alerts.groups},
            "silences": {"POST": silences.post, "GET": silences.all},
            _SILENCE_PATH: {"DELETE": silences.delete, "GET": silences.one},
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._rest(scope, receive, send)
        elif moved := tidy_redirect(scope):
            await moved.send(send)
        elif is_v1(scope["path"]):
            await GONE.send(send)
        elif not scope["path"].startswith(PREFIX):
            await self._rest(scope, receive, send)
        elif preflight := preflight_response(scope):
            await preflight.send(send)
        else:
            await self._serve(scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        response: AlertmanagerResponse | AlertmanagerStream
        try:
            response = await self._call(scope, receive)
        except ClientDisconnected:
            return
        except AlertmanagerApiError as refusal:
            response = refusal.response
        except StoreUnavailable:
            message = "Redis is away; nothing was changed, try again in a moment"
            response = coded_error(503, message, headers=(("Retry-After", "1"),))
        except Exception:
            # the outermost handler: a defect must neither end the connection without a response nor
            # reveal its cause to the client
            metrics.unexpected_errors.labels("web").inc()
            log.exception("a call of the API v2 failed")
            response = coded_error(500, "this is a defect of amproxy; its log says more")
        try:
            await response.send(send, cors_headers(scope["method"]))
        except StoreUnavailable as error:
            # in the midst of a stream: without its end, the client knows that it is not whole
            log.warning("a list of alerts broke off", reason=error)

    async def _call(
        self, scope: Scope, receive: Receive
    ) -> AlertmanagerResponse | AlertmanagerStream:
        if reason := refusal_reason(scope, self._context):
            raise AlertmanagerApiError(coded_error(403, as_sentence(str(reason))))
        path, method = scope["path"].removeprefix(PREFIX).removesuffix("/"), scope["method"]
        name, rest = path, ""
        if path.startswith(_SILENCE_PATH):
            name, rest = _SILENCE_PATH, path.removeprefix(_SILENCE_PATH)
        calls = self._calls.get(name)
        if calls is None or "/" in rest:
            raise AlertmanagerApiError(coded_error(404, f"path {scope['path']} was not found"))
        handler = calls.get(method)
        if handler is None:
            allowed = ",".join((*_INTAKE_METHODS.get(name, ()), *calls))
            message = f"method {method} is not allowed, but [{allowed}] are"
            raise AlertmanagerApiError(coded_error(405, message, headers=(("Allow", allowed),)))
        if method != "POST" and not accepts_json(scope):
            raise AlertmanagerApiError(NOT_ACCEPTABLE)
        return await handler(AlertmanagerRequest(scope, receive, rest))


def accepts_json(scope: Scope) -> bool:
    """Check the Accept header; without one, a client takes JSON."""
    accept = header(scope, b"accept")
    return not accept or any(_is_json_media(media) for media in accept.split(","))


def _is_json_media(media: str) -> bool:
    name, *parameters = (text.strip() for text in media.split(";"))
    refused = any(
        _ZERO_QUALITY.fullmatch(parameter.removeprefix("q=").strip())
        for parameter in parameters
        if parameter.startswith("q=")
    )
    return name in _JSON_MEDIA and not refused


def cors_headers(method: str) -> HeaderPairs:
    """The cross-origin headers of a response: any page may read the API, as Alertmanager's."""
    allowed = (("Access-Control-Allow-Origin", "*"),) if method != "DELETE" else ()
    return (("Vary", "Origin"), ("Cache-Control", "no-store"), *allowed)


def preflight_response(scope: Scope) -> AlertmanagerResponse | None:
    """The response to a browser's CORS preflight; None for other requests.

    As Alertmanager's, except that POST /alerts is not granted: a page on some site must not page
    anybody through its reader's browser.
    """
    method = header(scope, b"access-control-request-method").upper()
    if scope["method"] != "OPTIONS" or not method:
        return None
    names = header(scope, b"access-control-request-headers").split(",")
    wanted = [name for text in names if (name := text.strip().lower())]
    pushes = method == "POST" and scope["path"].removesuffix("/") == PREFIX + "alerts"
    if (
        not header(scope, b"origin")
        or method not in _CROSS_ORIGIN_METHODS
        or pushes
        or not _CROSS_ORIGIN_HEADERS.issuperset(wanted)
    ):
        return AlertmanagerResponse(headers=_PREFLIGHT_VARY)
    granted: HeaderPairs = (
        ("Access-Control-Allow-Origin", "*"),
        ("Access-Control-Allow-Methods", method),
    )
    if wanted:
        granted += (("Access-Control-Allow-Headers", ", ".join(name.title() for name in wanted)),)
    return AlertmanagerResponse(headers=(*_PREFLIGHT_VARY, *granted))


def tidy_redirect(scope: Scope) -> AlertmanagerResponse | None:
    """A redirect from an API path with double slashes, or from /api/v2; None for other paths."""
    path = str(scope["path"])
    if path + "/" == PREFIX:
        return _redirect_to(PREFIX, scope)
    if "//" not in path:
        return None
    clean = "/" + posixpath.normpath(path).strip("/") + ("/" if path.endswith("/") else "")
    return _redirect_to(clean, scope) if f"{clean}/".startswith(PREFIX) else None


def _redirect_to(path: str, scope: Scope) -> AlertmanagerResponse:
    query = scope["query_string"].decode("latin-1")
    return AlertmanagerResponse(
        301, headers=(("Location", quote(path) + (f"?{query}" if query else "")),)
    )


def is_v1(path: str) -> bool:
    """Check for a path of Alertmanager's API v1; all others under /api/v1/ are amproxy's own."""
    return _V1_PATH.fullmatch(path) is not None


class PeerStatus(msgspec.Struct):
    address: str
    name: str


class ClusterStatus(msgspec.Struct):
    name: str
    peers: list[PeerStatus]
    status: str


class ConfigOriginal(msgspec.Struct):
    original: str


class VersionInfo(msgspec.Struct):
    """The build; all of these keys must be there, or amtool rejects the response."""

    branch: str = ""
    buildDate: str = ""
    buildUser: str = ""
    goVersion: str = ""
    revision: str = ""
    version: str = ""


class AlertmanagerStatus(msgspec.Struct):
    cluster: ClusterStatus
    config: ConfigOriginal
    uptime: str
    versionInfo: VersionInfo


class ReceiverWithLabels(msgspec.Struct):
    labels: dict[str, str] | UnsetType
    name: str


class AlertmanagerStatusApi:
    def __init__(self, context: Context) -> None:
        self._context = context
        self._started_ns = int(context.now() * 10**9)

    async def status(self, request: AlertmanagerRequest) -> AlertmanagerResponse:
        """The start time, and Alertmanager's part of the configuration, secrets hidden."""
        context = self._context
        own = urlsplit(context.external_url).netloc or context.config.web.listen
        peers = {context.replica: own, **await self._load_peers()}
        status = AlertmanagerStatus(
            cluster=ClusterStatus(
                name=context.replica,
                peers=[PeerStatus(address, name) for name, address in sorted(peers.items())],
                status="ready",
            ),
            config=ConfigOriginal(context.config.original),
            uptime=format_time(self._started_ns),
            versionInfo=VersionInfo(
                version=ALERTMANAGER_VERSION,
                # free words for people: the version of the program itself
                revision=f"amproxy {__version__}",
            ),
        )
        return value_response(status)

    async def _load_peers(self) -> dict[str, str]:
        """The replicas that live: name → host and port; {} while Redis is away."""
        try:
            replicas = await load_replicas(self._context.wire)
        except StoreUnavailable:
            return {}
        return {one.name: f"{one.host}:{one.listen.rpartition(':')[2]}" for one in replicas}

    async def receivers(self, request: AlertmanagerRequest) -> AlertmanagerResponse:
        """All receivers that match `receiver_matchers`, in the order of the file."""
        matchers = request.query.matchers("receiver_matchers")
        listed = [
            ReceiverWithLabels(labels=receiver.labels or UNSET, name=receiver.name)
            for receiver in self._context.config.receivers.values()
            if all_match(matchers, receiver_labels(receiver))
        ]
        return value_response(listed)
