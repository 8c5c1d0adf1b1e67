"""The button "Acknowledge all" of a message about many incidents."""

from __future__ import annotations

import asyncio
from collections import Counter

from amproxy.apply import apply
from amproxy.context import Context
from amproxy.errors import Conflict, NotFound
from amproxy.machine.events import Acknowledge
from amproxy.model import Incident
from amproxy.store import incidents, storms

BUTTON = "acknowledge-all"  # the value of the button is "acknowledge-all:BUNDLE"

# In the order in which they are told: what became of an incident, for one and for several.
_TOLD = {
    "acknowledged": ("acknowledged", "acknowledged"),
    "resolved": ("was resolved already", "were resolved already"),
    "taken": ("was acknowledged already", "were acknowledged already"),
    "changed": ("has triggered again since", "have triggered again since"),
    "gone": ("is not there any more", "are not there any more"),
}


async def acknowledge_all(context: Context, bundle_id: str, *, user: str, via: str) -> str:
    """Acknowledge what a bundle named, as far as it is still as it was drawn for; what to tell the one who pressed.

    Pressed twice, it changes nothing more. Raises StoreUnavailable.
    """
    epochs = await storms.shown(context.wire, bundle_id)
    if not epochs:
        return "Nothing done: this button is too old."
    loaded = await incidents.load_many(context.wire, epochs)
    outcomes = await asyncio.gather(*(_acknowledge(context, loaded.get(name), epoch, user, via) for name, epoch in epochs.items()))
    found = Counter(outcomes)
    parts = [f"{found[name]} {words[found[name] > 1]}" for name, words in _TOLD.items() if found[name] or name == "acknowledged"]
    return f"{', '.join(parts)}."


async def _acknowledge(context: Context, incident: Incident | None, epoch: int, user: str, via: str) -> str:
    """One of the keys of _TOLD."""
    if incident is None:
        return "gone"
    outcome = _look(incident, epoch)
    if outcome:
        return outcome
    try:
        await apply(context, incident.id, Acknowledge(user=user, via=via, epoch=epoch))
    except NotFound:
        return "gone"
    except Conflict:  # it changed since it was looked at
        return _look(await incidents.load(context.wire, incident.id), epoch) or "changed"
    return "acknowledged"


def _look(incident: Incident, epoch: int) -> str:
    """Why an incident is left as it is; "" = it waits for an answer."""
    if incident.state == "resolved":
        return "resolved"
    if incident.epoch != epoch:
        return "changed"
    return "taken" if incident.state == "acknowledged" else ""
