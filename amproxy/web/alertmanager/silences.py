"""GET and POST /silences, GET and DELETE /silence/{id}."""

from __future__ import annotations

from amproxy.context import Context
from amproxy.errors import NotFound
from amproxy.grouping import silences
from amproxy.grouping.silences import BadSilence
from amproxy.respond import muting
from amproxy.web.alertmanager import posted_silence, shown
from amproxy.web.alertmanager.answers import Answer, Refusal, bare, value
from amproxy.web.alertmanager.http import Asked
from amproxy.web.http.permissions import say


class Silences:
    def __init__(self, context: Context) -> None:
        self._context = context

    async def all(self, asked: Asked) -> Answer:
        """Those that `filter`, `active`, `pending` and `expired` leave. Filters are compared with the matchers letter by letter."""
        query = asked.query
        filters, states = query.matchers("filter"), {state for state in ("active", "pending", "expired") if query.flag(state)}
        now_ns = self._now_ns()
        found = [
            silence
            for silence in (await muting.known(self._context)).values()
            if silences.shown_state(silence, now_ns) in states and silences.has_all(silence, filters)
        ]
        return value([shown.silence(silence, now_ns) for silence in silences.ordered(found, now_ns)])

    async def one(self, asked: Asked) -> Answer:
        silence = (await muting.known(self._context)).get(asked.silence_id())
        return value(shown.silence(silence, self._now_ns())) if silence else Answer(404)

    async def post(self, asked: Asked) -> Answer:
        """Create a silence, or change one; answers the id that holds now."""
        wanted = posted_silence.read(await asked.json())
        try:
            made = await muting.put(self._context, wanted)
        except NotFound as error:
            raise Refusal(bare(404, str(error))) from None
        except BadSilence as error:
            raise Refusal(bare(400, str(error))) from None
        matchers = " or ".join("{" + ", ".join(map(str, one)) + "}" for one in made.matcher_sets)
        say(asked, f"silenced {matchers}, silence {made.id}")
        return value({"silenceID": made.id})

    async def delete(self, asked: Asked) -> Answer:
        """End a silence now; one that is over stays as it is."""
        silence_id = asked.silence_id()
        try:
            await muting.expire(self._context, silence_id)
        except NotFound:
            return Answer(404)
        say(asked, f"ended silence {silence_id}")
        return Answer()

    def _now_ns(self) -> int:
        return int(self._context.now() * 10**9)
