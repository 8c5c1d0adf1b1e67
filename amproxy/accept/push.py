"""The endpoints that alerts and heartbeats are pushed to, as plain ASGI: no framework per push.

A 200 means: it is stored in Redis.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Collection
from typing import Any, Final
from urllib.parse import unquote

import msgspec

from amproxy import clock, metrics, offload
from amproxy.accept import origin, sns, tokens
from amproxy.accept.answers import OK, alertmanager_error, error_body, send_answer
from amproxy.accept.big_bodies import BigBodies, BigBody
from amproxy.accept.body import (
    BIG_BODY,
    ClientDisconnected,
    PushRefused,
    Receive,
    Scope,
    Send,
    decompress_body,
    header,
    read_body,
)
from amproxy.accept.forms import to_json
from amproxy.accept.remembered import join_remembered
from amproxy.accept.senders import SENDER, PushTimes, SenderLog, keep_body
from amproxy.accept.v2_alerts import BadAlertsBody, parse_alerts
from amproxy.accept.webhook import WebhookPushRequest, parse_webhook, refused_phrase
from amproxy.clock import utc
from amproxy.config.structs import Heartbeat, Source
from amproxy.context import Context
from amproxy.correlate import heartbeats
from amproxy.correlate.incoming import IncomingAlert, StatedGroup
from amproxy.correlate.ingest import ingest
from amproxy.correlate.writes import IngestResult
from amproxy.errors import DeliveryError, StoreUnavailable
from amproxy.log import EventLog
from amproxy.notify.channels.sns.confirmation import fetch
from amproxy.repeats import Flood
from amproxy.store.pictures import save_pictures
from amproxy.store.told import load_told, save_told
from amproxy.text import Words, phrase

log = EventLog(__name__)

V2_ALERTS_PATH: Final = "/api/v2/alerts"
WEBHOOK_PATH: Final = "/webhook/"
HEARTBEAT_PATH: Final = "/heartbeat/"
BYTES_OF_ALERT: Final = 256  # bytes of a body that take as long as an alert
UNKNOWN_SOURCE: Final = "-"  # metrics' source of pushes that named no source of the file
# Metrics' source of webhooks where the file has no sources: their senders choose their names, and a
# series never goes.
UNNAMED_SOURCE: Final = "webhook"
HEARTBEAT_SOURCE: Final = "heartbeat"  # metrics' source of beats
TEST_ALERT_SOURCE: Final = Source(name="test", expire_after=3600.0)
FIXED_SOURCES: Final = frozenset(("api", TEST_ALERT_SOURCE.name))  # named by amproxy itself


class PushEndpoints:
    """Answer `POST /api/v2/alerts`, `POST /webhook/NAME[/TOKEN]` and `/heartbeat/NAME`."""

    def __init__(
        self,
        context: Context,
        stopped: Callable[[], Collection[str]] = lambda: (),
        fetch: sns.Fetch = fetch,
    ) -> None:
        """stopped: parts that telling needs and that do not run; with one, no 200 is said.

        fetch: what asks Amazon SNS.
        """
        self.context, self._stopped, self._fetch = context, stopped, fetch
        self._big_bodies = BigBodies()
        self._pushed, self._refused = Flood(log, "pushed"), Flood(log, "refused")
        self._unmapped = Flood(log, "mapping failed")
        self._senders = SenderLog(context)

    def close(self) -> None:
        """Write the lines of the log that wait for more of their kind."""
        self._pushed.close()
        self._refused.close()
        self._unmapped.close()
        self._senders.close()

    def new_body(self) -> BigBody:
        """The turn of one body among those of this process; whoever asks must end it."""
        return BigBody(self._big_bodies)

    async def v2_alerts(self, scope: Scope, receive: Receive, send: Send) -> None:
        """`POST /api/v2/alerts`."""
        started, source = time.perf_counter(), UNKNOWN_SOURCE
        big = self.new_body()
        try:
            origin.refuse_foreign_page(scope, self.context)
            self.check_running()
            source = scope[SENDER] = tokens.source_by_token(self.context.config, scope)
            self.check_name(scope, self.context.config.sources.get(source))
            status, answer = await self._receive_v2_alerts(scope, receive, source, big)
        except ClientDisconnected:
            return
        except PushRefused as error:
            status, answer = error.status, alertmanager_error(error.status, error.detail)
            self.log_refusal(scope, source, status, error.words)
        except BadAlertsBody as error:
            metrics.alertmanager_alerts_invalid.labels("v2").inc()
            status, answer = error.status, alertmanager_error(error.code, str(error))
            self.log_refusal(scope, source, status, error.words)
        except StoreUnavailable as error:
            status, answer = 503, alertmanager_error(503, str(error))
            self.log_refusal(scope, source, status, error.words)
        finally:
            big.end()
        await send_answer(send, status, answer, source, started)

    async def webhook(self, scope: Scope, receive: Receive, send: Send) -> None:
        """`POST /webhook/NAME` and `POST /webhook/NAME/TOKEN`."""
        started, source = time.perf_counter(), UNKNOWN_SOURCE
        big = self.new_body()
        try:
            origin.refuse_foreign_page(scope, self.context)
            self.check_running()
            name, _, token = scope["path"][len(WEBHOOK_PATH) :].rstrip("/").partition("/")
            config = self.context.config
            if unquote(name) in config.sources:
                scope[SENDER] = unquote(name)  # it is told of a wrong token too
            known = tokens.webhook_source(config, scope, unquote(name), unquote(token))
            self.check_name(scope, known)
            source = self.metrics_source(known)
            await self.take_webhook(scope, receive, known, big)
            status, answer = 200, OK
        except ClientDisconnected:
            return
        except PushRefused as error:
            status, answer = error.status, error_body(error.status, error.words)
            self.log_refusal(scope, source, status, error.words)
        except StoreUnavailable as error:
            status, answer = 503, error_body(503, error.words)
            self.log_refusal(scope, source, status, error.words)
        finally:
            big.end()
        await send_answer(send, status, answer, source, started)

    async def take_webhook(
        self, scope: Scope, receive: Receive, source: Source, big: BigBody
    ) -> None:
        """Read, open and store the body of a webhook from a source that may push.

        Raises PushRefused, StoreUnavailable, ClientDisconnected.
        """
        limit = self.context.config.web.max_body
        sent = await read_body(scope, receive, limit, big.begin)
        # A few bytes of gzip may be many when they are unpacked.
        size = len(sent) if header(scope, b"content-encoding") else len(sent) // BYTES_OF_ALERT
        keep_body(scope, sent)
        now = self.context.now()
        body = await offload.run(size, _open_body, source, scope, sent, limit, now)
        keep_body(scope, body)
        if len(body) > BIG_BODY:
            await big.process()
        await self.store_webhook(body, source)

    def check_running(self) -> None:
        """Raises StoreUnavailable, a 503, where an alert might be stored and nobody notified."""
        if stopped := ", ".join(self._stopped()):
            raise StoreUnavailable(phrase("refusal.not_running", parts=stopped))

    def check_name(self, scope: Scope, sender: Source | Heartbeat | None) -> None:
        """Raises PushRefused(403): a sender who shows nothing calls the service by its own name."""
        if isinstance(sender, Source):
            scope[SENDER] = sender.name
        if tokens.is_open(sender):
            origin.refuse_foreign_name(scope, self.context)

    def metrics_source(self, source: Source) -> str:
        """The label of a source in metrics: its name where the file has it."""
        is_known = source.name in self.context.config.sources or source.name in FIXED_SOURCES
        return source.name if is_known else UNNAMED_SOURCE

    async def heartbeat(self, scope: Scope, send: Send) -> None:
        """`GET` or `POST /heartbeat/NAME` and `/heartbeat/NAME/TOKEN`."""
        started = time.perf_counter()
        path = scope["path"][len(HEARTBEAT_PATH) :].rstrip("/")
        name, token = map(unquote, path.partition("/")[::2])
        status, answer = 200, OK
        try:
            origin.refuse_foreign_page(scope, self.context)
            heartbeat = self.context.config.heartbeats.get(name)
            if heartbeat is None:
                raise PushRefused(404, phrase("refusal.no_heartbeat", heartbeat=name))
            tokens.check_heartbeat(heartbeat, scope, token)
            self.check_name(scope, heartbeat)
            await heartbeats.record_heartbeat(self.context, name)
        except PushRefused as error:
            status, answer = error.status, error_body(error.status, error.words)
            self.log_refusal(scope, HEARTBEAT_SOURCE, status, error.words)
        except StoreUnavailable as error:
            status, answer = 503, error_body(503, error.words)
            self.log_refusal(scope, HEARTBEAT_SOURCE, status, error.words)
        await send_answer(send, status, answer, HEARTBEAT_SOURCE, started)

    async def send_test_alert(self) -> None:
        """Push a test alert as a webhook's sender would. Raises StoreUnavailable."""
        await self.store_webhook(build_test_alert(self.context.now()), TEST_ALERT_SOURCE)

    async def _receive_v2_alerts(
        self, scope: Scope, receive: Receive, source: str, big: BigBody
    ) -> tuple[int, bytes]:
        """Return status and body. Raises PushRefused, BadAlertsBody, StoreUnavailable."""
        sent_type = header(scope, b"content-type").partition(";")[0].strip().lower()
        kind = sent_type or "application/octet-stream"
        if kind != "application/json":
            raise PushRefused(415, phrase("refusal.posted_media", kind=kind))
        config = self.context.config
        body = await read_body(scope, receive, config.web.max_body, big.begin)
        keep_body(scope, body)
        if len(body) > BIG_BODY:
            await big.process()
        now_ns = self._now_ns()
        timeout = config.global_.resolve_timeout
        request = await offload.run(
            len(body) // BYTES_OF_ALERT,
            *(parse_alerts, body, self.context.placer, now_ns, timeout, source),
            int(max(0.0, -clock.steady.jump) * 10**9),
        )
        brings_alerts = bool(request.alerts)
        all_over = brings_alerts and not request.firing
        latest = max((one.ends_ns for one in request.alerts), default=0) if all_over else 0
        sender = Source(name=source)
        result = await self._store(request.alerts, request.firing, sender, now_ns, hurry=False)
        if brings_alerts:
            times = PushTimes(all_over, latest, result.ended > 0)
            self._senders.note_ends(source, times, now_ns)
        # As Alertmanager does: the good alerts are stored although the answer is 400.
        if request.refusal is not None:
            alerts = len(request.refused)
            self.log_refusal(scope, source, 400, request.refusal, alerts=alerts)
            return 400, msgspec.json.encode("\n".join(request.refused)) + b"\n"
        return 200, b""

    async def store_webhook(self, body: bytes, source: Source) -> None:
        """Store what a body tells. Raises PushRefused, StoreUnavailable."""
        now_ns = self._now_ns()
        request = await offload.run(
            len(body) // BYTES_OF_ALERT,
            *(parse_webhook, body, source, self.context.placer, now_ns),
        )
        for fault in request.faults:
            fields = {"source": source.name, "error": fault}
            self._unmapped.add(logging.WARNING, (source.name, fault), fields, bodies=1)
        if request.handshake is not None:
            await self._answer_handshake(request.handshake, source)
        if request.told:
            await self._join_remembered(request, source)
        # The sender has waited and grouped already, so there is no second group_wait.
        taken = len(request.alerts)
        await self._store(
            request.alerts, request.firing, source, now_ns, hurry=True, stated=request.stated
        )
        if request.pictures:
            await self._keep_pictures(request.pictures, source)
        if request.refused:
            reasons = refused_phrase(request)
            raise PushRefused(422, phrase("refusal.partly", reasons=reasons, taken=taken))

    async def _keep_pictures(self, pictures: dict[str, bytes], source: Source) -> None:
        """Store pictures where that works: their alerts, stored already, page without them too."""
        try:
            await save_pictures(self.context.wire, pictures, self.context.now())
        except StoreUnavailable as error:
            log.warning("pictures not kept", source=source.name, reason=str(error))

    async def _join_remembered(self, request: WebhookPushRequest, source: Source) -> None:
        wire = self.context.wire
        known = await load_told(wire, [told.fingerprint for told in request.told])
        changed = join_remembered(request, known, self.context.placer)
        await save_told(wire, changed, source.expire_after)

    async def _answer_handshake(self, handshake: dict[str, Any], source: Source) -> None:
        try:
            now = utc(self.context.now())
            confirmed = await sns.answer_handshake(handshake, now, self._fetch)
        except DeliveryError as error:  # SNS sends its handshake again
            raise PushRefused(503, phrase("refusal.sns_unreached", said=error.words)) from None
        if confirmed:
            log.info("subscription confirmed", source=source.name)

    async def _store(
        self,
        alerts: list[IncomingAlert],
        firing: int,
        sender: Source,
        now_ns: int,
        *,
        hurry: bool,
        stated: StatedGroup | None = None,
    ) -> IngestResult:
        source = self.metrics_source(sender)
        if self.context.placer.alert_heartbeats:
            await heartbeats.record_pushed_heartbeats(self.context, alerts, now_ns)
        sent = len(alerts)  # a long list is taken apart while it is stored
        resolved = sent - firing
        result = await ingest(self.context, alerts, now_ns, hurry=hurry, stated=stated)
        for status, number in (("firing", firing), ("resolved", resolved)):
            if number:
                metrics.received_counter(source, status).inc(number)
                metrics.alertmanager_received_counter(status).inc(number)
        if result.repeated:
            metrics.deduplicated_counter(source).inc(result.repeated)
        # What senders only repeat is no news of the night.
        news = sent > result.repeated
        self._pushed.add(
            logging.INFO if news else logging.DEBUG,
            (sender.name, news),
            {"source": sender.name},
            pushes=1,
            firing=firing,
            resolved=resolved,
            repeated=result.repeated,
        )
        self._senders.note_push(sender.name, sent)
        return result

    def log_refusal(
        self, scope: Scope, source: str, status: int, words: Words, **counts: int
    ) -> None:
        """Log a refusal. counts: what was refused besides the push as a whole."""
        client = scope.get("client")
        name = scope.get(SENDER) or ("" if source == UNKNOWN_SOURCE else source)
        fields = {
            "source": name,
            "status": status,
            "client": client[0] if client else "",
            "detail": str(words),
        }
        self._refused.add(logging.WARNING, (name, status), fields, pushes=1, **counts)
        self._senders.note_refusal(scope, status, words)

    def _now_ns(self) -> int:
        return int(self.context.now() * 10**9)


def build_test_alert(now: float) -> bytes:
    """Return a webhook body with one firing alert: another alert and group at each call."""
    clock = f"{utc(now):%H:%M:%S}"
    labels = {"alertname": "TestAlert", "severity": "critical", "instance": f"test-{clock}"}
    annotations = {
        "summary": f"A test alert, sent from the page at {clock} UTC.",
        "description": "Nothing is wrong. Acknowledge it, or wait and see who is paged next.",
    }
    alert = {"status": "firing", "labels": labels, "annotations": annotations}
    return json.dumps(
        {
            "alerts": [alert],
            "groupKey": f"test-{now}",
            "groupLabels": {"alertname": "TestAlert", "instance": labels["instance"]},
        }
    ).encode()


def _open_body(source: Source, scope: Scope, sent: bytes, limit: int, now: float) -> bytes:
    """Check the signature, undo the encoding, make it JSON. Raises PushRefused."""
    # The signature is over the bytes as sent, so it is checked before they are unpacked.
    tokens.check_signature(source, scope, sent, now)
    body = decompress_body(scope, sent, limit)
    encoding = header(scope, b"content-encoding")
    return to_json(body, header(scope, b"content-type"), encoding)
