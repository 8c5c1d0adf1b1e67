"""When a message is tried again: exponential, with jitter; what the other side asked for comes first.

What the log of deliveries says of one attempt. Pure. Texts from outside are cut, and cleaned by whoever shows them.

What sending any kind of message needs: the channels, another attempt later, and writing down what became of it.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import NamedTuple

import msgspec
from tenacity import RetryCallState, wait_exponential

from amproxy import metrics
from amproxy.config.contacts import address_digest
from amproxy.config.structs import Integration
from amproxy.context import Context
from amproxy.errors import DeliveryError, NotFound, StoreUnavailable
from amproxy.machine.events import Event
from amproxy.model import Incident, Outcome, OutgoingMessage, Page
from amproxy.notify.channels import Channel
from amproxy.store import deliveries, outbox
from amproxy.store.commit import Operations, commit
from amproxy.store.deliveries import Delivery, DeliveryKind, DeliveryOutcome
from amproxy.store.outbox import OutboxMessage

FIRST_RETRY_WAIT = 0.5  # seconds; then each wait is half as long again, as Alertmanager's
MAX_RETRY_WAIT = 60.0  # seconds between two attempts of ours, before jitter
JITTER = 0.5  # a wait is up to this share of it shorter or longer
GIVE_UP_AFTER = 3600.0  # seconds after which a page that nobody took counts as failed
_backoff = wait_exponential(multiplier=FIRST_RETRY_WAIT, exp_base=1.5, max=MAX_RETRY_WAIT)


def next_attempt(error: DeliveryError, attempt: int, now: float) -> float:
    """Unix seconds of the next attempt after the `attempt`-th (from 1) failed."""
    state = RetryCallState(retry_object=None, fn=None, args=(), kwargs={})  # type: ignore[arg-type]
    state.attempt_number = attempt
    wait = _backoff(state) * random.uniform(1 - JITTER, 1 + JITTER)
    return now + max(wait, error.retry_after or 0.0)


LONGEST_SUBJECT, LONGEST_ERROR = 120, 500  # characters


def build_delivery(
    message: OutgoingMessage,
    outcome: DeliveryOutcome,
    now: float,
    *,
    about: Iterable[Incident] = (),
    page: Page | None = None,
    error: str = "",
    took: float | None = None,
) -> Delivery:
    """The entry of a message. about: the incidents that it tells of. page: the one page that it is. took: seconds of the call."""
    group, told = message.group, tuple(about)
    known = (message.address, page.address if page else "")
    for address in filter(None, known):
        error = error.replace(address, "…")  # it may be a secret
    return Delivery(
        at=now, kind=_delivery_kind(message, page), channel=message.channel, outcome=outcome, user=message.user,
        receiver=group.receiver if group else page.receiver if page else "", integration=page.integration if page else message.integration,
        incidents=tuple((incident.id, incident.number) for incident in told), subject=_delivery_subject(message, told)[:LONGEST_SUBJECT],
        attempt=message.attempt, error=error[:LONGEST_ERROR], ms=None if took is None else round(took * 1000),
    )  # fmt: skip


def _delivery_kind(message: OutgoingMessage, page: Page | None) -> DeliveryKind:
    return page.kind if page and message.kind == "page" else message.kind


def _delivery_subject(message: OutgoingMessage, about: tuple[Incident, ...]) -> str:
    """Of a bundle its first incident; of a notification the labels of its group."""
    if about:
        return about[0].title
    if message.group:
        return ", ".join(f"{name}={value[:LONGEST_SUBJECT]}" for name, value in message.group.labels.items())
    return message.subject


log = logging.getLogger(__name__)

# Applies an event to an incident and commits the operations with it (escalate.apply). Raises NotFound, StoreUnavailable.
ApplyEvent = Callable[[str, Event, Operations], Awaitable[object]]

WRITE_RETRY_INTERVAL = 0.25  # seconds between attempts to write down what became of a message while Redis is away


class SendResult(NamedTuple):
    """A channel that has taken a message."""

    ref: dict[str, str]  # what a change of the message needs later
    took: float  # seconds


class DeliveryService:
    """Knows no kind of message and no queue."""

    def __init__(self, context: Context, channels: Mapping[str, Channel], apply: ApplyEvent) -> None:
        self.context = context
        self._channels, self._apply = channels, apply

    def channel(self, name: str) -> Channel:
        """Raises DeliveryError where there is none of this name."""
        channel = self._channels.get(name)
        if channel is None:
            raise DeliveryError(f"amproxy has no channel {name}", permanent=True)
        return channel

    def integration(self, receiver: str, key: str) -> Integration:
        """What a receiver has under "slack/0". Raises DeliveryError where that is gone, or cannot be delivered."""
        known = self.context.config.receivers.get(receiver)
        for integration in known.integrations if known else ():
            if f"{integration.kind}/{integration.index}" == key:
                if integration.undeliverable:
                    raise DeliveryError(integration.undeliverable, permanent=True)
                return integration
        raise DeliveryError(f"receiver {receiver} has no {key} any more", permanent=True)

    async def call(self, message: OutgoingMessage, send: Callable[[], Awaitable[dict[str, str]]]) -> SendResult:
        """Call a channel, and count and time the attempt. Raises DeliveryError, StoreUnavailable."""
        began = time.perf_counter()
        try:
            ref = await send()
        except DeliveryError as error:
            error.took = time.perf_counter() - began
            metrics.delivery_attempts.labels(message.channel, "failed", error.reason).inc()
            raise
        except StoreUnavailable:
            raise
        except Exception as error:
            # a defect in a channel must neither lose the message nor stop the lane: it is tried again like any failure
            metrics.unexpected_errors.labels("deliver").inc()
            log.exception("channel %s failed unexpectedly", message.channel)
            raise DeliveryError(f"unexpected {type(error).__name__}", reason="unexpected", ambiguous=True) from error
        metrics.delivery_attempts.labels(message.channel, "ok", "").inc()
        return SendResult(ref, time.perf_counter() - began)

    async def record(self, incident_id: str, event: Event, also: Operations | None = None) -> None:
        """Tell an incident what became of a page, and commit `also` with it, whether or not the incident is still there."""
        also = also or Operations()

        async def apply() -> None:
            try:
                await self._apply(incident_id, event, also)
            except NotFound:
                await commit(self.context.wire, also)

        await self.written(apply)

    async def done(self, taken: OutboxMessage, also: Operations | None = None) -> None:
        """A message leaves the outbox."""
        operations = outbox.finish(taken)
        if also:
            operations.extend(also)
        await self.written(lambda: commit(self.context.wire, operations))

    def noted(self, operations: Operations, user: str, channel: str, address: str, before: Outcome | None, error: str = "") -> Operations:
        """Add what became of a delivery to what is known of the person's contact. before: as it was known; error: "" = it arrived."""
        if user:
            shown = error.replace(address, "…") if address else error  # an address may be a secret
            outcome = Outcome(ok=not error, at=self.context.now(), error=shown, address=address_digest(address))
            deliveries.save_contact_outcome(operations, user, channel, before, outcome)
        return operations

    def log(
        self, operations: Operations, message: OutgoingMessage, outcome: deliveries.DeliveryOutcome, *, about: Iterable[Incident] = (),
        page: Page | None = None, error: DeliveryError | str = "", took: float | None = None,
    ) -> Operations:  # fmt: skip
        """Add to the operations what the log of deliveries says of an attempt. about: the incidents that the message tells of."""
        took = error.took if isinstance(error, DeliveryError) else took
        deliveries.add(
            operations, build_delivery(message, outcome, self.context.now(), about=about, page=page, error=str(error), took=took)
        )
        return operations

    async def tried_later(
        self, taken: OutboxMessage, error: DeliveryError, *, about: Iterable[Incident] = (), page: Page | None = None
    ) -> bool:
        """Put a message off for another attempt, where there is hope; whether there was."""
        now = self.context.now()
        if error.permanent or now - taken.message.due >= GIVE_UP_AFTER:
            return False
        await self.later(taken, next_attempt(error, taken.message.attempt, now), error, about=about, page=page)
        return True

    async def later(
        self, taken: OutboxMessage, at: float, error: DeliveryError, *, about: Iterable[Incident] = (), page: Page | None = None
    ) -> None:
        """Put a message off until `at`, Unix seconds, because of an error."""
        metrics.delivery_retries.labels(taken.message.channel).inc()
        message = msgspec.structs.replace(taken.message, attempt=taken.message.attempt + 1)
        operations = self.log(outbox.postpone(taken, message, at), taken.message, "retry", about=about, page=page, error=error)
        await self.written(lambda: commit(self.context.wire, operations))
        self.context.wake(timers=True)

    async def written(self, write: Callable[[], Awaitable[object]]) -> None:
        """What became of a message is written down however long Redis is away: sending it again would page twice."""
        while True:
            try:
                await write()
                return
            except StoreUnavailable:
                await asyncio.sleep(WRITE_RETRY_INTERVAL)
