"""/api/v1/silences: made, changed, prolonged and ended as people put it, what one hides, and what one would.

The same silences are those of Alertmanager's API (web/v2), and its rules hold: a change that may not be made in place ends the old
silence and makes a new one, so that an answer's id may be another.
"""

from __future__ import annotations

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from amproxy.clock import rfc3339
from amproxy.correlate import silencing
from amproxy.errors import NotFound
from amproxy.model import Silence
from amproxy.respond import silences
from amproxy.web import asked_silence, hidden
from amproxy.web.api_incidents import json
from amproxy.web.asked_silence import SilenceBody
from amproxy.web.asked_window import ExtendBody
from amproxy.web.deps import Deps
from amproxy.web.principal import require, say
from amproxy.web.reading import json_body, known_user
from amproxy.web.views import View


class PreviewBody(msgspec.Struct, forbid_unknown_fields=True):
    """Each text holds one matcher or more; all must hold."""

    matchers: list[str]


class SilencesApi:
    def __init__(self, deps: Deps) -> None:
        self._context = deps.context

    def routes(self) -> list[Route]:
        return [
            Route("/api/v1/silences", self.index, methods=["GET"]),
            Route("/api/v1/silences", self.make, methods=["POST"]),
            Route("/api/v1/silences/preview", self.preview, methods=["POST"]),
            Route("/api/v1/silences/{id}", self.show, methods=["GET"]),
            Route("/api/v1/silences/{id}", self.change, methods=["PATCH"]),
            Route("/api/v1/silences/{id}", self.expire, methods=["DELETE"]),
            Route("/api/v1/silences/{id}/extend", self.extend, methods=["POST"]),
            Route("/api/v1/silences/{id}/hidden", self.hidden, methods=["GET"]),
        ]

    async def index(self, request: Request) -> Response:
        """Active ones first, then pending, then expired."""
        found = silencing.ordered((await silences.known(self._context)).values(), self._now_ns())
        return json(await self._views(*found))

    async def show(self, request: Request) -> Response:
        return json((await self._views(await silences.find(self._context, request.path_params["id"])))[0])

    async def make(self, request: Request) -> Response:
        require(request, "responder")
        body = await json_body(request, SilenceBody)
        made = await silences.put(self._context, asked_silence.wanted(self._context, None, body, known_user(self._context, body.user)))
        say(request, said("Made", made))
        return json((await self._views(made))[0], 201)

    async def change(self, request: Request) -> Response:
        require(request, "responder")
        body, old = await json_body(request, SilenceBody), await silences.find(self._context, request.path_params["id"])
        wanted = asked_silence.wanted(self._context, old, body, known_user(self._context, body.user))
        changed = await silences.put(self._context, wanted)
        say(request, said("Changed", changed))
        return json((await self._views(changed))[0])

    async def extend(self, request: Request) -> Response:
        require(request, "responder")
        body, old = await json_body(request, ExtendBody), await silences.find(self._context, request.path_params["id"])
        known_user(self._context, body.user)
        longer = await silences.extend(self._context, old.id, asked_silence.extended(old, body))
        say(request, said("Prolonged", longer))
        return json((await self._views(longer))[0])

    async def expire(self, request: Request) -> Response:
        require(request, "responder")
        say(request, said("Ended", await silences.expire(self._context, request.path_params["id"])))
        return Response(status_code=204)

    async def preview(self, request: Request) -> Response:
        """The alerts that fire now and that a silence with these matchers would hide, and the incidents that it concerns."""
        body = await json_body(request, PreviewBody)
        return json(await hidden.preview(self._context, hidden.matchers(body.matchers)))

    async def hidden(self, request: Request) -> Response:
        """What a silence has hidden; also after it is forgotten itself, as long as that is kept."""
        silence_id = request.path_params["id"]
        view = await hidden.record(self._context, f"silence:{silence_id}")
        if not view["alerts"] and silence_id not in await silences.known(self._context):
            raise NotFound(f"there is no silence {silence_id[:60]}")
        return json(view)

    async def _views(self, *found: Silence) -> list[View]:
        matching = await hidden.matching(self._context, {silence.id: silence.matcher_sets for silence in found})
        return [view(silence, self._now_ns(), len(matching[silence.id])) for silence in found]

    def _now_ns(self) -> int:
        return int(self._context.now() * 10**9)


def view(silence: Silence, now_ns: int, matching: int) -> View:
    """One silence as the API shows it. matching: alerts that fire now and match, whether or not it holds."""
    return {
        "id": silence.id,
        "state": silencing.shown_state(silence, now_ns),
        "matchers": [str(matcher) for matcher in silence.matcher_sets[0]],
        "start": rfc3339(silence.starts_ns / 10**9),
        "end": rfc3339(silence.ends_ns / 10**9),
        "created_by": silence.created_by or None,
        "comment": silence.comment or None,
        "matching": matching,
    }


def said(what: str, silence: Silence) -> str:
    """For the audit log."""
    return f"{what} the silence {silence.id} of {', '.join(map(str, silence.matcher_sets[0]))[:300]}."
