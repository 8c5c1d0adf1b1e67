"""What the log of deliveries says of one attempt. Pure. Texts from outside are cut, and cleaned by whoever shows them."""

from __future__ import annotations

from collections.abc import Iterable

from amproxy.model import Incident, Outgoing, Page
from amproxy.store.deliveries import Delivery, Kind, Outcome

LONGEST_SUBJECT, LONGEST_ERROR = 120, 500  # characters


def written(
    message: Outgoing,
    outcome: Outcome,
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
        at=now, kind=_kind(message, page), channel=message.channel, outcome=outcome, user=message.user,
        receiver=group.receiver if group else page.receiver if page else "", integration=page.integration if page else message.integration,
        incidents=tuple((incident.id, incident.number) for incident in told), subject=_subject(message, told)[:LONGEST_SUBJECT],
        attempt=message.attempt, error=error[:LONGEST_ERROR], ms=None if took is None else round(took * 1000),
    )  # fmt: skip


def _kind(message: Outgoing, page: Page | None) -> Kind:
    return page.kind if page and message.kind == "page" else message.kind


def _subject(message: Outgoing, about: tuple[Incident, ...]) -> str:
    """Of a bundle its first incident; of a notification the labels of its group."""
    if about:
        return about[0].title
    if message.group:
        return ", ".join(f"{name}={value[:LONGEST_SUBJECT]}" for name, value in message.group.labels.items())
    return message.subject
