"""Storms: many pages of one policy to one person over one channel become one message.

What is beyond the policy's `storm` leaves the outbox and waits for a timer in the same commit; when the timer is due, one commit turns
all that waits into bundles of the outbox. So a page is always in one of the three places, whoever dies when.
"""

from __future__ import annotations

from collections.abc import Sequence

from amproxy.config.structs import Config, Storm
from amproxy.context import Context
from amproxy.machine.draft import new_id
from amproxy.model import Incident, OutgoingMessage, Page
from amproxy.store import storms
from amproxy.store.outbox import OutboxMessage

MAX_BUNDLE_PAGES = 60  # pages of one bundle


async def hold_for_bundle(context: Context, taken: OutboxMessage, incident: Incident, page: Page) -> bool:
    """Whether a page that is due is held for a bundle; then it is not this process's any more. Raises StoreUnavailable."""
    storm = storm_settings(context.config, incident, page)
    if storm is None:
        return False
    key = storms.storm_key(page.policy, page.user, page.channel)
    if not await storms.hold_page(context.wire, storm, key, taken, context.now()):
        return False
    context.wake(timers=True)
    return True


def storm_settings(config: Config, incident: Incident, page: Page) -> Storm | None:
    """The storm that the page's policy means, as it was when the incident began; None = its pages are never bundled."""
    if not page.user or page.kind != "page":
        return None
    for policy in (incident.plan, *incident.forwards.values()):
        if policy.name == page.policy:
            return policy.storm
    known = config.policies.get(page.policy)
    return known.storm if known else None


async def release_bundle(context: Context, key: str) -> None:
    """The timer of a storm is due: what was held goes out as bundles. Raises StoreUnavailable."""
    held = await storms.load_backlog(context.wire, key)
    if await held.release(context.wire, build_bundles(held.messages, context.now()), context.now()):
        context.wake(outbox=True)


def build_bundles(pages: Sequence[OutgoingMessage], now: float) -> list[OutgoingMessage]:
    """Messages that tell of all these pages, at most LARGEST in each, with one id. now: Unix seconds."""
    parts, bundle = [pages[first : first + MAX_BUNDLE_PAGES] for first in range(0, len(pages), MAX_BUNDLE_PAGES)], new_id()
    return [
        OutgoingMessage(
            id=new_id(), kind="bundle", channel=part[0].channel, user=part[0].user, urgent=any(page.urgent for page in part), due=now,
            bundle=bundle, pages=[(page.incident, page.page) for page in part], text=_position_text(place, len(parts), len(pages)),
        )
        for place, part in enumerate(parts, 1)
    ]  # fmt: skip


def _position_text(place: int, parts: int, pages: int) -> str:
    return "" if parts == 1 else f"Message {place} of {parts} about {pages} incidents. One press acknowledges all that they name."
