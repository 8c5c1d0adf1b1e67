"""The API of amproxy itself: its health, Redis, the processes, and the heartbeats it waits for."""

from __future__ import annotations

import contextlib

import msgspec
from starlette.requests import Request

from amproxy.clock import Timestamp, rfc3339
from amproxy.context import Context
from amproxy.correlate import heartbeats
from amproxy.correlate.heartbeats import HeartbeatState
from amproxy.engine import dead_mans_switch
from amproxy.errors import StoreUnavailable
from amproxy.store import health, outbox
from amproxy.store.heartbeats import HeartbeatSource
from amproxy.store.replicas import Replica, load_replicas
from amproxy.text import load_texts
from amproxy.text.render import in_english, render_phrase
from amproxy.times import format_duration
from amproxy.web.http.api import operation
from amproxy.web.http.deps import Deps
from amproxy.web.incidents.views import ReasonView, reason_view
from amproxy.web.reports.sources import find_sources, source_problems


class OperatorWarningView(msgspec.Struct, kw_only=True):
    kind: health.WarningKind
    text: str
    arguments: dict[str, str]


class RedisView(msgspec.Struct, kw_only=True):
    """Sizes are bytes, `uptime` and `clock_difference` seconds; null = Redis does not say."""

    version: str | None
    role: str | None
    uptime: int | None
    ping_ms: float
    memory: int | None
    memory_limit: int | None
    eviction: str | None
    clients: int | None
    aof: bool | None
    aof_ok: bool
    saved_at: Timestamp | None
    save_ok: bool
    unsaved_changes: int | None
    keys: int
    all_keys_counted: bool
    clock_difference: float | None
    warnings: list[OperatorWarningView]


class ReplicaView(msgspec.Struct, kw_only=True):
    """A process; null is what is not known of one that is gone."""

    name: str
    alive: bool
    pending: int
    idle: float  # seconds
    host: str | None
    pid: int | None
    version: str | None
    started_at: Timestamp | None
    config_digest: str | None
    config_since: Timestamp | None
    loaded_at: Timestamp | None


class HealthView(msgspec.Struct, kw_only=True):
    well: bool
    reasons: list[str]
    reason_codes: list[ReasonView]


class HeartbeatView(msgspec.Struct, kw_only=True):
    name: str
    every: str
    matchers: list[str]
    last_beat: Timestamp | None
    age: float  # seconds
    source: HeartbeatSource | None
    missing: bool
    missing_since: Timestamp | None
    next_due: Timestamp | None


class ServiceApi:
    def __init__(self, deps: Deps) -> None:
        self._deps, self._context = deps, deps.context

    @operation("push", "GET /api/v1/redis", "showRedis", "What Redis says of itself")
    async def redis(self, request: Request) -> RedisView:
        info, texts = await health.load_redis_info(self._context.wire), load_texts("en")
        return RedisView(
            version=info.version or None,
            role=info.role or None,
            uptime=info.uptime,
            ping_ms=round(info.ping * 1000, 3),
            memory=info.memory,
            memory_limit=info.memory_limit,
            eviction=info.policy or None,
            clients=info.clients,
            aof=info.aof,
            aof_ok=info.aof_ok,
            saved_at=rfc3339(info.saved_at),
            save_ok=info.save_ok,
            unsaved_changes=info.unsaved,
            keys=info.keys,
            all_keys_counted=info.all_counted,
            clock_difference=self._context.clock_difference,
            warnings=[
                OperatorWarningView(
                    kind=one.kind,
                    text=render_phrase(one.phrase, texts),
                    arguments=dict(one.values),
                )
                for one in self._context.warnings
            ],
        )

    @operation(
        "push",
        "GET /api/v1/replicas",
        "listReplicas",
        "The processes that deliver, what each has in hand, and the file that it has loaded",
    )
    async def replicas(self, request: Request) -> list[ReplicaView]:
        return [_replica_view(*each) for each in await load_processes(self._context)]

    @operation(
        "push",
        "GET /api/v1/heartbeats",
        "listHeartbeats",
        "What is waited for, and when it was heard of",
    )
    async def heartbeats(self, request: Request) -> list[HeartbeatView]:
        now = self._context.now()
        states = await heartbeats.list_heartbeats(self._context)
        return [_heartbeat_view(state, now) for state in states]

    @operation(
        "service", "GET /api/v1/health", "showHealth", "Whether amproxy is well, and why not"
    )
    async def health(self, request: Request) -> HealthView:
        """Always 200: problems are part of the answer."""
        found = await dead_mans_switch.find_problem_phrases(
            self._context, ready=self._deps.ready(), stopped=self._deps.stopped
        )
        with contextlib.suppress(StoreUnavailable):  # that is a reason by now
            found += source_problems(await find_sources(self._context), self._context.now())
        return HealthView(
            well=not found,
            reasons=[in_english(one) for one in found],
            reason_codes=[reason_view(one) for one in found],
        )


async def load_processes(context: Context) -> list[tuple[outbox.Consumer, Replica | None]]:
    """The living processes, and those that are gone and have left messages, by name.

    Each with what it has loaded, None of one that is gone. Raises StoreUnavailable.
    """
    loaded = {replica.name: replica for replica in await load_replicas(context.wire)}
    # Older versions of Redis know a consumer only once it has been given a message.
    unknown = {name: outbox.Consumer(name, alive=True, pending=0, idle=0.0) for name in loaded}
    consumers = unknown | {one.name: one for one in await outbox.load_consumers(context.wire)}
    return [(one, loaded.get(name)) for name, one in sorted(consumers.items())]


def _replica_view(one: outbox.Consumer, loaded: Replica | None) -> ReplicaView:
    return ReplicaView(
        name=one.name,
        alive=one.alive,
        pending=one.pending,
        idle=round(one.idle, 3),
        host=loaded.host if loaded else None,
        pid=loaded.pid if loaded else None,
        version=loaded.version if loaded else None,
        started_at=rfc3339(loaded.started) if loaded else None,
        config_digest=loaded.digest if loaded else None,
        config_since=rfc3339(loaded.since) if loaded else None,
        loaded_at=rfc3339(loaded.loaded) if loaded else None,
    )


def _heartbeat_view(state: HeartbeatState, now: float) -> HeartbeatView:
    return HeartbeatView(
        name=state.heartbeat.name,
        every=format_duration(state.heartbeat.every),
        matchers=[str(matcher) for matcher in state.heartbeat.matchers],
        last_beat=rfc3339(state.last),
        age=round(max(0.0, now - state.since), 3),
        source=state.source,
        missing=state.missing_since is not None,
        missing_since=rfc3339(state.missing_since),
        next_due=rfc3339(state.next_due),
    )
