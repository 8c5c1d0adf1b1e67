"""Alertmanager's API v2 as one ASGI application: which call a request is for, and every error's shape.

Any page may read it, as Alertmanager has it (Access-Control-Allow-Origin: *), so it stands outside of web/guard.py. Writing
is another matter: Alertmanager lets a page of any site create silences through the browser of whoever looks at it. Here a
write that comes from a browser passes the same guard as a button of amproxy's own pages. Programs are not concerned.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

from starlette.types import ASGIApp, Receive, Scope, Send

from amproxy import metrics
from amproxy.accept.body import Gone, header
from amproxy.context import Context
from amproxy.errors import StoreUnavailable
from amproxy.web.alertmanager import transport
from amproxy.web.alertmanager.alerts import Alerts
from amproxy.web.alertmanager.answers import Answer, Refusal, coded
from amproxy.web.alertmanager.http import Asked
from amproxy.web.alertmanager.silences import Silences
from amproxy.web.alertmanager.status import Status
from amproxy.web.http.guard import Guard

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
        elif moved := transport.tidied(scope):
            await moved.send(send)
        elif transport.is_v1(scope["path"]):
            await transport.GONE.send(send)
        elif not scope["path"].startswith(transport.PREFIX):
            await self._rest(scope, receive, send)
        elif asked := transport.preflight(scope):
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
        await answer.send(send, transport.cors(scope["method"]))

    async def _call(self, scope: Scope, receive: Receive) -> Answer:
        path, method = scope["path"].removeprefix(transport.PREFIX).removesuffix("/"), scope["method"]
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
        if method != "POST" and not transport.acceptable(scope):
            raise Refusal(transport.NOT_ACCEPTABLE)
        return await handler(Asked(scope, receive, rest))


def _is_write_of_browser(scope: Scope) -> bool:
    return scope["method"] in ("POST", "DELETE") and bool(header(scope, b"origin") or header(scope, b"sec-fetch-site"))
