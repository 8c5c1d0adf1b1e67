"""Delivery of any kind of message: the call of a channel, retries, and the record of the outcome.

Texts from outside are cut here, and cleaned by the code that shows them.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Final, NamedTuple

import msgspec
from tenacity import retry, retry_if_exception_type, wait_fixed

from amproxy import metrics
from amproxy.config.channels import address_digest, why_undeliverable
from amproxy.config.structs import Integration
from amproxy.context import Context
from amproxy.errors import AmproxyError, DeliveryError, NotFound, StoreUnavailable
from amproxy.incident_log import incident_fields
from amproxy.log import EventLog
from amproxy.machine.events import Event
from amproxy.model import Incident, Outcome, OutgoingMessage, Page
from amproxy.notify.channels import Channel
from amproxy.notify.lanes import LaneHealth, lane_key
from amproxy.notify.permit import Permit, sending_by
from amproxy.store import deliveries, outbox
from amproxy.store.commit import Operations, commit
from amproxy.store.deliveries import Delivery, DeliveryKind, DeliveryOutcome
from amproxy.store.outbox import OutboxMessage, RateLimit
from amproxy.text import Phrase, Words, phrase
from amproxy.text.render import in_english

log = EventLog(__name__)

FIRST_RETRY_WAIT = 0.5  # seconds
RETRY_GROWTH = 1.5  # each wait is half as long again as the one before, as Alertmanager's
MAX_RETRY_WAIT = 60.0  # seconds between two attempts, before jitter
JITTER = 0.5  # a wait is up to this share of it shorter or longer
# A message of which nobody knows whether it arrived is tried so often, with longer waits; after
# that the person's next contact is tried, or, where there is none, the same one rarely.
MAX_COPIES = 3
UNCLEAR_WAIT = 3.0  # seconds after the first such attempt, four times as long after the second
RARE_WAIT = 60.0  # seconds
DEFAULT_THROTTLE = 1.0  # seconds, where a destination asks for patience and does not say how much
THROTTLE_MARGIN = 0.1  # seconds that are waited beyond what was asked for
GIVE_UP_AFTER = 3600.0  # seconds after which a page that no channel took counts as failed
WRITE_RETRY_INTERVAL = 0.25  # seconds between attempts to store an outcome while Redis is away
LONGEST_SUBJECT, LONGEST_ERROR = 120, 500  # characters, in the log of deliveries

# The level and message of the service's log for each outcome.
_LINES: Final[dict[DeliveryOutcome, tuple[int, str]]] = {
    "sent": (logging.INFO, "delivered"),
    "failed": (logging.ERROR, "failed"),
    "skipped": (logging.INFO, "skipped"),
    "retry": (logging.INFO, "try failed"),
}
_OF_INCIDENTS: Final = frozenset({"page", "reminder", "bundle"})

# Applies an event to an incident and commits the operations with it (amproxy.apply).
# Raises NotFound, StoreUnavailable.
ApplyEvent = Callable[[str, Event, Operations], Awaitable[object]]


class NotOurs(AmproxyError):
    """Another process has the message by now, or has finished it; nothing was sent."""


class Throttled(AmproxyError):
    """The destination wants no message for some seconds; nothing was sent."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"no message is taken for {seconds:.1f} s")
        self.seconds = seconds


class PreparedSend(NamedTuple):
    """A message that is ready to be sent by one call."""

    send: Callable[[], Awaitable[dict[str, str]]]
    limit: RateLimit
    note: Phrase | None = None  # what is wrong with a message that goes out all the same


class SendResult(NamedTuple):
    """A channel accepted a message."""

    ref: dict[str, str]  # what a change of the message needs later
    seconds: float  # duration of the call
    note: Phrase | None = None


class DeliveryService:
    """The steps that every kind of message shares; it knows no kind and no queue."""

    def __init__(
        self, context: Context, channels: Mapping[str, Channel], apply: ApplyEvent
    ) -> None:
        self.context = context
        self.health = LaneHealth()
        self._channels, self._apply = channels, apply

    def channel(self, name: str) -> Channel:
        """The channel of this name. Raises DeliveryError where there is none."""
        channel = self._channels.get(name)
        if channel is None:
            raise DeliveryError(phrase("failure.no_channel", channel=name), permanent=True)
        return channel

    def person(self, channel: str, address: str) -> tuple[Channel, Any]:
        """The channel and its settings to reach a person.

        Raises DeliveryError where the contact cannot be delivered to.
        """
        if reason := why_undeliverable(self.context.config, channel, address):
            words = phrase("failure.because", service=channel, reason=reason)
            raise DeliveryError(words, permanent=True)
        found = self.channel(channel)
        return found, found.person(self.context.config.global_, address)

    def integration(self, receiver: str, key: str) -> Integration:
        """The integration "slack/0" of a receiver.

        Raises DeliveryError where it is gone, or cannot be delivered to.
        """
        known = self.context.config.receivers.get(receiver)
        for integration in known.integrations if known else ():
            if f"{integration.kind}/{integration.index}" == key:
                if integration.undeliverable:
                    raise DeliveryError(integration.undeliverable, permanent=True)
                return integration
        words = phrase("outcome.integration_gone", receiver=receiver, integration=key)
        raise DeliveryError(words, permanent=True)

    async def call(
        self, queued: OutboxMessage, prepare: Callable[[], Awaitable[PreparedSend]]
    ) -> SendResult:
        """Send a message, if it is still this process's; count and time the attempt.

        Raises DeliveryError, and where nothing was sent StoreUnavailable, NotOurs, Throttled.
        """
        message, began, limit = queued.message, time.perf_counter(), RateLimit()
        permit = Permit(lambda: self._ask_permit(queued, limit))
        try:
            send, limit, note = await prepare()
            began = time.perf_counter()
            with sending_by(permit):
                ref = await send()
        except DeliveryError as error:
            # The failure of a message that is another process's by now is not ours to record.
            await permit.obtain()
            error.latency = time.perf_counter() - began
            if error.ambiguous:
                self._count_arrival(message, permit)
            metrics.delivery_attempts.labels(message.channel, "failed", error.reason).inc()
            await self._note_failure(message, limit, error)
            raise
        except (StoreUnavailable, NotOurs, Throttled):
            raise
        except Exception as error:
            # A defect in a channel must neither lose the message nor stop its queue: the message
            # is tried again as after any failure.
            metrics.unexpected_errors.labels("deliver").inc()
            log.exception("channel failed unexpectedly", channel=message.channel)
            await permit.obtain()
            self._count_arrival(message, permit)
            words = phrase("failure.unexpected", error=type(error).__name__)
            raise DeliveryError(words, reason="unexpected", ambiguous=True) from error
        metrics.delivery_attempts.labels(message.channel, "ok", "").inc()
        self._count_arrival(message, permit)
        self._record_health(message, "")
        return SendResult(ref, time.perf_counter() - began, note)

    async def _ask_permit(self, queued: OutboxMessage, limit: RateLimit) -> bool:
        """Ask for the permit to send now; True where an earlier attempt may have arrived.

        Raises StoreUnavailable, NotOurs, Throttled.
        """
        permit = await outbox.permit(self.context.wire, queued, limit)
        if permit.state == "gone":
            raise NotOurs(f"message {queued.message.id} is not this process's any more")
        if permit.state == "throttled":
            raise Throttled(permit.seconds)
        return permit.repeated or queued.message.unclear > 0

    def _count_arrival(self, message: OutgoingMessage, permit: Permit) -> None:
        """Count a message that arrived, or may have, where an earlier attempt may have too."""
        # An attempt that was refused brought nobody a second copy.
        if permit.is_copy:
            metrics.deliveries_repeated.labels(message.channel).inc()

    async def _note_failure(
        self, message: OutgoingMessage, limit: RateLimit, error: DeliveryError
    ) -> None:
        """Remember what a failed call says of the destination's next messages."""
        self._record_health(message, error.reason)
        known = error.retry_after is not None or limit.gap > 0
        if error.reason == "rate_limited" and limit.names and known:
            seconds = (error.retry_after or DEFAULT_THROTTLE) + THROTTLE_MARGIN
            error.retry_after = seconds
            wire, now = self.context.wire, self.context.now()
            await self.write_until_saved(lambda: outbox.throttle(wire, limit, seconds, now))

    def _record_health(self, message: OutgoingMessage, reason: str) -> None:
        if message.group is None:  # a receiver's notifications have a limit of calls instead
            self.health.record(lane_key(message), reason, time.monotonic())
            hanging = self.health.hanging(message.channel)
            metrics.destinations_hanging.labels(message.channel).set(hanging)

    async def retry_later(
        self,
        queued: OutboxMessage,
        error: DeliveryError,
        *,
        about: Iterable[Incident] = (),
        page: Page | None = None,
        other_contact: bool = False,
    ) -> bool:
        """Postpone a message to its next attempt; False where the failure is final.

        other_contact: the person can be told in another way.
        """
        message, now = queued.message, self.context.now()
        if error.permanent or is_too_old(message, now):
            return False
        hangs = self.health.stalled(lane_key(message), time.monotonic())
        if other_contact and (hangs or message.unclear + error.ambiguous >= MAX_COPIES):
            return False
        at = next_attempt(error, message.attempt, now, message.unclear)
        await self.postpone(queued, at, error, about=about, page=page)
        return True

    async def postpone(
        self,
        queued: OutboxMessage,
        at: float,
        error: DeliveryError,
        *,
        about: Iterable[Incident] = (),
        page: Page | None = None,
    ) -> None:
        """Put a message off until `at`, Unix seconds, because of an error."""
        message = queued.message
        metrics.delivery_retries.labels(message.channel).inc()
        following = msgspec.structs.replace(
            message, attempt=message.attempt + 1, unclear=message.unclear + error.ambiguous
        )
        operations = outbox.postpone(queued, following, at)
        self.log_delivery(
            operations, message, "retry", about=about, page=page, error=error, again_at=at
        )
        await self.write_until_saved(lambda: commit(self.context.wire, operations))
        self.context.wake(timers=True)

    async def record(self, incident_id: str, event: Event, also: Operations | None = None) -> None:
        """Apply the outcome of a page to its incident, and commit `also` with it.

        `also` is committed even where the incident is gone.
        """
        also = also or Operations()

        async def apply() -> None:
            try:
                await self._apply(incident_id, event, also)
            except NotFound:
                await commit(self.context.wire, also)

        await self.write_until_saved(apply)

    async def finish(self, queued: OutboxMessage, also: Operations | None = None) -> None:
        """Remove a message from the outbox, and commit `also` with it."""
        operations = outbox.finish(queued)
        if also:
            operations.extend(also)
        await self.write_until_saved(lambda: commit(self.context.wire, operations))

    # Without an end: a message whose outcome is not stored would be sent again, and page twice.
    @retry(
        retry=retry_if_exception_type(StoreUnavailable),
        wait=wait_fixed(WRITE_RETRY_INTERVAL),
    )
    async def write_until_saved(self, write: Callable[[], Awaitable[object]]) -> None:
        """Write the outcome of a message, however long Redis is away."""
        await write()

    def save_contact_outcome(
        self,
        operations: Operations,
        message: OutgoingMessage,
        address: str,
        before: Outcome | None,
        error: Words = "",
    ) -> None:
        """Add the outcome of a delivery to a person's contact, if a person was its recipient.

        before: the outcome stored when the delivery began. error: "" = it arrived.
        """
        if message.user:
            outcome = Outcome(
                ok=not error,
                at=self.context.now(),
                error=_conceal(error, address),
                address=address_digest(address),
            )
            deliveries.save_contact_outcome(
                operations, message.user, message.channel, before, outcome
            )

    def log_delivery(
        self,
        operations: Operations,
        message: OutgoingMessage,
        outcome: DeliveryOutcome,
        *,
        about: Iterable[Incident] = (),
        page: Page | None = None,
        error: DeliveryError | Phrase | None = None,
        seconds: float | None = None,
        again_at: float | None = None,
    ) -> None:
        """Add an attempt to the log of deliveries; as `build_delivery`, at this moment.

        again_at: Unix seconds of the next attempt.
        """
        now, incidents = self.context.now(), tuple(about)
        if isinstance(error, DeliveryError):
            seconds = error.latency
        delivery = build_delivery(
            message,
            outcome,
            now,
            about=incidents,
            page=page,
            error=error.words if isinstance(error, DeliveryError) else error or "",
            seconds=seconds,
        )
        deliveries.add(operations, delivery)
        # What became of a page is logged with the change of its incident, once that is stored.
        if outcome == "retry" or delivery.kind not in _OF_INCIDENTS or not incidents:
            level, msg = _LINES[outcome]
            if delivery.kind == "update":
                level = logging.WARNING if outcome == "failed" else logging.DEBUG
            elif message.attempt > 1 and outcome == "retry":
                level = logging.DEBUG  # the first try tells what is wrong
            wait = None if again_at is None else again_at - now
            log.log(level, msg, _line_fields(delivery, incidents, page, wait))


def _line_fields(
    delivery: Delivery, about: tuple[Incident, ...], page: Page | None, wait: float | None
) -> dict[str, Any]:
    """The fields of a line of the service's log. wait: seconds until the next attempt."""
    fields: dict[str, Any] = {
        "user": delivery.user,
        "receiver": delivery.receiver,
        "integration": delivery.integration,
        "channel": delivery.channel,
        "kind": "" if delivery.kind == "page" else delivery.kind,
    }
    if len(about) == 1:
        fields = incident_fields(about[0]) | fields
        if page is not None and page.policy:
            fields["policy"] = page.policy
    elif about:
        fields = {"incidents": [incident.number for incident in about], **fields}
    else:
        fields["subject"] = delivery.subject
    return fields | {
        "attempt": delivery.attempt,
        "ms": delivery.ms,
        "error": in_english(delivery.error),
        "again_in": wait,
    }


def is_too_old(message: OutgoingMessage, now: float) -> bool:
    """True where a message is given up. now: Unix seconds."""
    return now - message.due >= GIVE_UP_AFTER


def next_attempt(
    error: DeliveryError, attempt: int, now: float, unclear: int | None = None
) -> float:
    """Unix seconds of the next attempt after the `attempt`-th (from 1) failed.

    The waits grow exponentially; a longer one that the other side requested goes before.
    unclear: earlier attempts of which nobody knows whether they arrived, because people should not
    be told the same many times over; None = the recipient is a program.
    """
    # The power is bounded because a float overflows at a huge attempt; the cap is reached long
    # before. The jitter parts messages that failed together.
    wait = min(MAX_RETRY_WAIT, FIRST_RETRY_WAIT * RETRY_GROWTH ** min(attempt - 1, 100))
    wait *= random.uniform(1 - JITTER, 1 + JITTER)
    if error.ambiguous and unclear is not None:
        wait = max(wait, RARE_WAIT if unclear + 1 >= MAX_COPIES else UNCLEAR_WAIT * 4**unclear)
    return now + max(wait, error.retry_after or 0.0)


def build_delivery(
    message: OutgoingMessage,
    outcome: DeliveryOutcome,
    now: float,
    *,
    about: Iterable[Incident] = (),
    page: Page | None = None,
    error: Words = "",
    seconds: float | None = None,
) -> Delivery:
    """The log's entry of one attempt.

    about: the incidents that the message names. page: the one page that it is. seconds: duration
    of the channel's call; None = it was not called.
    """
    group, incidents = message.group, tuple(about)
    return Delivery(
        at=now,
        kind=_delivery_kind(message, page),
        channel=message.channel,
        outcome=outcome,
        user=message.user,
        receiver=group.receiver if group else page.receiver if page else "",
        integration=page.integration if page else message.integration,
        incidents=tuple((incident.id, incident.number) for incident in incidents),
        subject=_delivery_subject(message, incidents),
        attempt=message.attempt,
        error=_conceal(error, message.address, page.address if page else ""),
        ms=None if seconds is None else round(seconds * 1000),
    )


def _conceal(value: Any, *addresses: str) -> Any:
    """A text, a phrase or a value of one, without these addresses, which may be secrets; cut."""
    match value:
        case str():
            for address in filter(None, addresses):
                value = value.replace(address, "…")
            return value[:LONGEST_ERROR]
        case Phrase():
            return Phrase(
                value.key,
                {name: _conceal(inner, *addresses) for name, inner in value.values.items()},
            )
        case tuple():
            return tuple(_conceal(inner, *addresses) for inner in value)
        case _:
            return value


def _delivery_kind(message: OutgoingMessage, page: Page | None) -> DeliveryKind:
    return page.kind if page and message.kind == "page" else message.kind


def _delivery_subject(message: OutgoingMessage, about: tuple[Incident, ...]) -> Words:
    """The title of the (first) incident, the labels of a group, or the subject of a notice."""
    if about:
        return about[0].title[:LONGEST_SUBJECT]
    if message.group:
        # Values are cut one by one, so that a huge one is never copied whole.
        labels = message.group.labels.items()
        texts = (f"{name}={value[:LONGEST_SUBJECT]}" for name, value in labels)
        return ", ".join(texts)[:LONGEST_SUBJECT]
    return message.subject
