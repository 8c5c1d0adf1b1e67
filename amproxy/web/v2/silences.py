"""GET and POST /silences, GET and DELETE /silence/{id}."""

from __future__ import annotations

from uuid import uuid4

from amproxy.context import Context
from amproxy.correlate import silencing
from amproxy.correlate.silencing import BadSilence
from amproxy.errors import NotFound, StoreUnavailable
from amproxy.model import Silence
from amproxy.store import silences
from amproxy.store.commit import Operations, commit
from amproxy.web.principal import say
from amproxy.web.v2 import posted_silence, shown
from amproxy.web.v2.answers import Answer, Refusal, bare, value
from amproxy.web.v2.asked import Asked

TRIES = 20  # somebody else changed the same silence meanwhile: ask again


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
            for silence in (await self._known(now_ns)).values()
            if silencing.shown_state(silence, now_ns) in states and silencing.has_all(silence, filters)
        ]
        return value([shown.silence(silence, now_ns) for silence in silencing.ordered(found, now_ns)])

    async def one(self, asked: Asked) -> Answer:
        now_ns = self._now_ns()
        silence = (await self._known(now_ns)).get(asked.silence_id())
        return value(shown.silence(silence, now_ns)) if silence else Answer(404)

    async def post(self, asked: Asked) -> Answer:
        """Create a silence, or change one; answers the id that holds now."""
        wanted = posted_silence.read(await asked.json())
        for _ in range(TRIES):
            operations, now_ns = Operations(), self._now_ns()
            old = await self._expect(operations, wanted.id, now_ns)
            try:
                changed = silencing.put({old.id: old} if old else {}, wanted, now_ns, str(uuid4()))
            except NotFound as error:
                raise Refusal(bare(404, str(error))) from None
            except BadSilence as error:
                raise Refusal(bare(400, str(error))) from None
            if await self._commit(operations, now_ns, *changed):
                matchers = " or ".join("{" + ", ".join(map(str, one)) + "}" for one in changed[0].matcher_sets)
                say(asked, f"silenced {matchers}, silence {changed[0].id}")
                return value({"silenceID": changed[0].id})
        raise StoreUnavailable("the same silence keeps changing")

    async def delete(self, asked: Asked) -> Answer:
        """End a silence now; one that is over stays as it is."""
        silence_id = asked.silence_id()
        for _ in range(TRIES):
            operations, now_ns = Operations(), self._now_ns()
            old = await self._expect(operations, silence_id, now_ns)
            if old is None:
                return Answer(404)
            if silencing.state(old, now_ns) == "expired" or await self._commit(operations, now_ns, silencing.expired(old, now_ns)):
                return Answer()
        raise StoreUnavailable("the same silence keeps changing")

    async def _expect(self, operations: Operations, silence_id: str, now_ns: int) -> Silence | None:
        """A silence as it is stored at this moment, and the condition that it still is when the operations are committed."""
        stored = await silences.load(self._context.wire, silence_id) if silence_id else None
        if stored is None or silencing.forgotten(stored.silence, now_ns):
            return None
        silences.expect(operations, stored)
        return stored.silence

    async def _commit(self, operations: Operations, now_ns: int, *changed: Silence) -> bool:
        """Store silences, and forget those that ended long ago."""
        silences.save(operations, *changed)
        known = await self._context.silences.all(self._context.wire)
        over = [silence.id for silence in known.values() if silencing.forgotten(silence, now_ns)]
        if over:
            silences.forget(operations, *over)
        return await commit(self._context.wire, operations)

    async def _known(self, now_ns: int) -> dict[str, Silence]:
        known = await self._context.silences.all(self._context.wire)
        return {silence.id: silence for silence in known.values() if not silencing.forgotten(silence, now_ns)}

    def _now_ns(self) -> int:
        return int(self._context.now() * 10**9)
