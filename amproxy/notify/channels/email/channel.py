"""Email: one mail for each page, and one more in its thread when the incident is resolved.

Buttons are links.
"""

from __future__ import annotations

from msgspec.structs import replace

from amproxy.config.structs import Global
from amproxy.errors import DeliveryError
from amproxy.log import EventLog
from amproxy.notify.channels.email.message import Mail, build_mail
from amproxy.notify.channels.email.settings import EmailSettings
from amproxy.notify.channels.email.smtp import send_mail
from amproxy.notify.message import Card
from amproxy.store.outbox import RateLimit

log = EventLog(__name__)

_MAX_REMEMBERED = 1000  # mails that some recipients have and others do not yet


class EmailChannel:
    """A connection for each mail; none stays open."""

    name = "email"
    threads = False
    embeds_pictures = True

    def __init__(self) -> None:
        # Message-ID → the recipients who have it, so that a retry goes to the others only.
        self._received: dict[str, set[str]] = {}

    def person(self, global_: Global, address: str) -> EmailSettings:
        """Settings that mail one address."""
        known: EmailSettings = global_.channels.get(self.name, EmailSettings())
        return replace(known, to=address)

    def rate_limit(self, settings: EmailSettings) -> RateLimit:
        """None: each message is tried again by itself."""
        return RateLimit()

    async def send(self, settings: EmailSettings, card: Card) -> dict[str, str]:
        """Mail the card. A permanently refused recipient is logged if another has the mail.

        Raises DeliveryError where nobody has it, or where some are to get it later.
        """
        mail = build_mail(settings, card)
        await self._hand_over(settings, mail)
        return {"message": mail.id, "state": card.state}

    async def edit(
        self, settings: EmailSettings, ref: dict[str, str], card: Card
    ) -> dict[str, str]:
        """Mail the end of the incident, shortly and in the same thread; no other change.

        A mail that was sent cannot be changed.
        """
        if card.state == "resolved" and ref.get("state") != "resolved":
            mail = build_mail(settings, _shorten_card(card), answers=ref["message"])
            await self._hand_over(settings, mail)
        return {**ref, "state": card.state}

    async def close(self) -> None:
        """Nothing is open."""

    async def _hand_over(self, settings: EmailSettings, mail: Mail) -> None:
        received = self._received.get(mail.id, set())
        waiting = [recipient for recipient in mail.recipients if recipient not in received]
        try:
            refused = await send_mail(settings, mail.sender, waiting, mail.content)
        except DeliveryError as error:
            # Not a failure as a whole where earlier attempts reached somebody.
            if not received or not error.permanent:
                raise
            refused = dict.fromkeys(waiting, error)
        temporary = [error for error in refused.values() if not error.permanent]
        if temporary:
            self._remember(mail.id, received | (set(waiting) - refused.keys()))
            raise temporary[0]
        self._received.pop(mail.id, None)
        for recipient, refusal in refused.items():
            log.warning("a recipient was refused", recipient=recipient, error=refusal)

    def _remember(self, id: str, received: set[str]) -> None:
        # The oldest are forgotten: a mail that is given up would stay for ever.
        while len(self._received) >= _MAX_REMEMBERED:
            del self._received[next(iter(self._received))]
        self._received[id] = received


def _shorten_card(card: Card) -> Card:
    card = replace(card, why="", text="", labels={}, alerts=[], buttons=[], links=[])
    return replace(card, pictures=[], plot=b"")
