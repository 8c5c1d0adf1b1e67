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
from amproxy.accept.body import ClientDisconnected, Receive, Scope, Send, header
from amproxy.context import Context
from amproxy.errors import StoreUnavailable
from amproxy.labels.matchers import all_match
from amproxy.web.alertmanager.alerts import AlertmanagerAlertsApi, format_time, receiver_labels
from amproxy.web.alertmanager.http import (
    AlertmanagerApiError,
    AlertmanagerRequest,
    AlertmanagerResponse,
    HeaderPairs,
    coded_error,
    value_response,
)
from amproxy.web.alertmanager.silences import AlertmanagerSilencesApi
from amproxy.web.http.guard import CrossSiteGuard

PREFIX = "/api/v2/"
NOT_ACCEPTABLE = coded_error(406, "unsupported media type requested, only [application/json] are available")
GONE = AlertmanagerResponse(
    410, msgspec.json.encode({"status": "deprecated", "error": "Alertmanager's API v1 is gone; use the same call of /api/v2."}) + b"\n"
)

_JSON_MEDIA = frozenset(("application/json", "application/*", "*/*"))
_ZERO_QUALITY = re.compile(r"0(\.0*)?")
_V1_PATH = re.compile("/api/v1/(status|receivers|alerts(/groups)?|silences|silence/[^/]*)/?")
_CROSS_ORIGIN_METHODS = frozenset(("GET", "POST", "HEAD"))
_CROSS_ORIGIN_HEADERS = frozenset(("accept", "content-type", "origin", "x-requested-with"))


def accepts_json(scope: Scope) -> bool:
    """Whether the client takes JSON; one that says nothing does."""
    accept = header(scope, b"accept")
    return not accept or any(_is_json_media(kind) for kind in accept.split(","))


def _is_json_media(kind: str) -> bool:
    name, *parameters = (part.strip() for part in kind.split(";"))
    refused = any(_ZERO_QUALITY.fullmatch(parameter.removeprefix("q=").strip()) for parameter in parameters if parameter.startswith("q="))
    return name in _JSON_MEDIA and not refused


def cors_headers(method: str) -> HeaderPairs:
    """Any page may read the API, as Alertmanager has it. No page of another site may write (see api.py)."""
    allowed = (("Access-Control-Allow-Origin", "*"),) if method != "DELETE" else ()
    return (("Vary", "Origin"), ("Cache-Control", "no-store"), *allowed)


def preflight_response(scope: Scope) -> AlertmanagerResponse | None:
    """The answer to a browser that asks beforehand what a page of another site may do; None where it does not ask.

    As Alertmanager's, but for POST /alerts, which is not granted: a page that somebody looks at must not page anybody.
    """
    method = header(scope, b"access-control-request-method").upper()
    if scope["method"] != "OPTIONS" or not method:
        return None
    vary: HeaderPairs = (("Vary", "Origin"), ("Vary", "Access-Control-Request-Method"), ("Vary", "Access-Control-Request-Headers"))
    wanted = [name for text in header(scope, b"access-control-request-headers").split(",") if (name := text.strip().lower())]
    pushes = method == "POST" and scope["path"].removesuffix("/") == PREFIX + "alerts"
    if not header(scope, b"origin") or method not in _CROSS_ORIGIN_METHODS or pushes or not _CROSS_ORIGIN_HEADERS.issuperset(wanted):
        return AlertmanagerResponse(headers=vary)
    granted: HeaderPairs = (("Access-Control-Allow-Origin", "*"), ("Access-Control-Allow-Methods", method))
    if wanted:
        granted += (("Access-Control-Allow-Headers", ", ".join(name.title() for name in wanted)),)
    return AlertmanagerResponse(headers=(*vary, *granted))


def tidy_redirect(scope: Scope) -> AlertmanagerResponse | None:
    """A redirect from a path of the API with double slashes, or from /api/v2 itself; None for all other paths."""
    path = str(scope["path"])
    if path + "/" == PREFIX:
        return _redirect_to(PREFIX, scope)
    if "//" not in path:
        return None
    clean = "/" + posixpath.normpath(path).strip("/") + ("/" if path.endswith("/") else "")
    return _redirect_to(clean, scope) if f"{clean}/".startswith(PREFIX) else None


def _redirect_to(path: str, scope: Scope) -> AlertmanagerResponse:
    query = scope["query_string"].decode("latin-1")
    return AlertmanagerResponse(301, headers=(("Location", quote(path) + (f"?{query}" if query else "")),))


def is_v1(path: str) -> bool:
    """Whether a path was one of Alertmanager's API v1. Everything else under /api/v1/ is amproxy's own."""
    return _V1_PATH.fullmatch(path) is not None


CLUSTER_NAME = "amproxy"  # of the cluster's one peer: replicas share a store and do not talk to each other


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
    """All of these must be there, or amtool refuses the answer."""

    branch: str
    buildDate: str
    buildUser: str
    goVersion: str
    revision: str
    version: str


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

    async def status(self, asked: AlertmanagerRequest) -> AlertmanagerResponse:
        """Since when it runs, and Alertmanager's part of the configuration, secrets hidden."""
        context = self._context
        address = urlsplit(context.external_url).netloc or context.config.web.listen
        return value_response(
            AlertmanagerStatus(
                cluster=ClusterStatus(name=CLUSTER_NAME, peers=[PeerStatus(address=address, name=CLUSTER_NAME)], status="ready"),
                config=ConfigOriginal(context.config.original),
                uptime=format_time(self._started_ns),
                versionInfo=VersionInfo(branch="", buildDate="", buildUser="", goVersion="", revision="", version=__version__),
            )
        )

    async def receivers(self, asked: AlertmanagerRequest) -> AlertmanagerResponse:
        """All receivers, or those that `receiver_matchers` leaves, in the order of the file."""
        wanted = asked.query.matchers("receiver_matchers")
        found = [receiver for receiver in self._context.config.receivers.values() if all_match(wanted, receiver_labels(receiver))]
        return value_response([ReceiverWithLabels(labels=receiver.labels or UNSET, name=receiver.name) for receiver in found])


log = logging.getLogger(__name__)

CallHandler = Callable[[AlertmanagerRequest], Awaitable[AlertmanagerResponse]]

_SILENCE_PATH = "silence/"  # the one path with a parameter
_INTAKE_METHODS = {"alerts": ("POST",)}  # taken by app.App before a request comes here


class AlertmanagerApi:
    """Answers under /api/v2/, and where Alertmanager's API v1 was; everything else goes to `rest`."""

    def __init__(self, context: Context, rest: ASGIApp) -> None:
        self._rest = rest
        self._guarded = CrossSiteGuard(self._serve, context)
        alerts, silences, status = AlertmanagerAlertsApi(context), AlertmanagerSilencesApi(context), AlertmanagerStatusApi(context)
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
        elif asked := preflight_response(scope):
            await asked.send(send)
        elif _is_write_of_browser(scope):
            await self._guarded(scope, receive, send)
        else:
            await self._serve(scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            answer = await self._call(scope, receive)
        except ClientDisconnected:
            return
        except AlertmanagerApiError as refusal:
            answer = refusal.answer
        except StoreUnavailable:
            message = "Redis is away; nothing was changed, try again in a moment"
            answer = coded_error(503, message, headers=(("Retry-After", "1"),))
        except Exception:
            # the rim: a defect must not end the connection without a word, nor tell its cause to whoever asked
            metrics.unexpected_errors.labels("web").inc()
            log.exception("a call of the API v2 failed")
            answer = coded_error(500, "this is a defect of amproxy; its log says more")
        await answer.send(send, cors_headers(scope["method"]))

    async def _call(self, scope: Scope, receive: Receive) -> AlertmanagerResponse:
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
            raise AlertmanagerApiError(
                coded_error(405, f"method {method} is not allowed, but [{allowed}] are", headers=(("Allow", allowed),))
            )
        if method != "POST" and not accepts_json(scope):
            raise AlertmanagerApiError(NOT_ACCEPTABLE)
        return await handler(AlertmanagerRequest(scope, receive, rest))


def _is_write_of_browser(scope: Scope) -> bool:
    return scope["method"] in ("POST", "DELETE") and bool(header(scope, b"origin") or header(scope, b"sec-fetch-site"))
