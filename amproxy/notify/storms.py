"""Storms: many pages of one policy to one person over one channel become one message.

A page beyond the policy's `storm` leaves the outbox and waits for a timer in the same commit; when
the timer is due, one commit turns all pages that wait into bundles of the outbox. So a page is
always in one of the three places, whatever process dies at whatever moment.
"""

from __future__ import annotations

from collections.abc import Sequence

from amproxy.config.structs import Config, Storm
from amproxy.context import Context
from amproxy.machine.draft import new_id
from amproxy.model import Incident, OutgoingMessage, Page
from amproxy.store import storms as stored
from amproxy.store.outbox import OutboxMessage

MAX_BUNDLE_PAGES = 60  # pages of one message of a bundle


async def hold_for_bundle(
    context: Context, queued: OutboxMessage, incident: Incident, page: Page
) -> bool:
    """Hold a due page for a bundle; True where it is held, and no longer this process's.

    Raises StoreUnavailable.
    """
    storm = storm_settings(context.config, incident, page)
    if storm is None:
        return False
    key = stored.storm_key(page.policy, page.user, page.channel)
    if not await stored.hold_page(context.wire, storm, key, queued, context.now()):
        return False
    context.wake(timers=True)
    return True


def storm_settings(config: Config, incident: Incident, page: Page) -> Storm | None:
    """The storm settings of the page's policy, as they were when the incident began.

    None: its pages are never bundled.
    """
    if not page.user or page.kind != "page":
        return None
    for policy in (incident.plan, *incident.forwards.values()):
        if policy.name == page.policy:
            return policy.storm
    known = config.policies.get(page.policy)
    return known.storm if known else None


async def release_bundle(context: Context, key: str) -> None:
    """Send the held pages of a storm, whose timer is due, as bundles. Raises StoreUnavailable."""
    backlog, now = await stored.load_backlog(context.wire, key), context.now()
    if await backlog.release(context.wire, build_bundles(backlog.messages, now), now):
        context.wake(outbox=True)


def build_bundles(pages: Sequence[OutgoingMessage], now: float) -> list[OutgoingMessage]:
    """Messages about all these pages, at most MAX_BUNDLE_PAGES in each, with one bundle id.

    now: Unix seconds.
    """
    starts = range(0, len(pages), MAX_BUNDLE_PAGES)
    chunks, bundle = [pages[start : start + MAX_BUNDLE_PAGES] for start in starts], new_id()
    return [
        OutgoingMessage(
            id=new_id(),
            kind="bundle",
            channel=chunk[0].channel,
            user=chunk[0].user,
            urgent=any(page.urgent for page in chunk),
            due=now,
            bundle=bundle,
            pages=[(page.incident, page.page) for page in chunk],
            text=_position_text(place, len(chunks), len(pages)),
        )
        for place, chunk in enumerate(chunks, 1)
    ]


def _position_text(place: int, messages: int, incidents: int) -> str:
    if messages == 1:
        return ""
    return (
        f"Message {place} of {messages} about {incidents} incidents. "
        "One press acknowledges all that they name."
    )
