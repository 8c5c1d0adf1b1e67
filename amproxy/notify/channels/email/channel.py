"""Email: one mail for each page, and one more in its thread when the incident is over. Buttons are links."""

from __future__ import annotations

import logging

import msgspec

from amproxy.config.structs import EmailSettings, Global
from amproxy.errors import DeliveryError
from amproxy.notify.channels.email.message import Mail, build_mail, parse_addresses
from amproxy.notify.channels.email.smtp import parse_smarthost, send_mail
from amproxy.notify.message import Card

log = logging.getLogger(__name__)

_MAX_REMEMBERED = 1000  # mails that some recipients have and others are still to get


class EmailChannel:
    """A connection for each mail; nothing is kept open."""

    name = "email"
    threads = False

    def __init__(self) -> None:
        self._taken: dict[str, set[str]] = {}  # Message-ID → who has it, so that a retry goes to the others only

    def person(self, global_: Global, address: str) -> EmailSettings:
        """The contact is an address. Raises DeliveryError (permanent) where it is none or `global` names no server or sender."""
        settings = msgspec.structs.replace(global_.email, to=address)
        parse_smarthost(settings.smarthost)
        parse_addresses(settings.from_)
        parse_addresses(address)
        return settings

    async def send(self, settings: EmailSettings, card: Card) -> dict[str, str]:
        """Mail the card. A recipient refused for good is logged as long as another has it.

        Raises DeliveryError where nobody has it, or where some are to get it later.
        """
        mail = build_mail(settings, card)
        await self._hand_over(settings, mail)
        return {"message": mail.id, "state": card.state}

    async def edit(self, settings: EmailSettings, ref: dict[str, str], card: Card) -> dict[str, str]:
        """A mail cannot be changed: the end of the incident is told by a short one in the same thread, anything else not at all."""
        if card.state == "resolved" and ref.get("state") != "resolved":
            await self._hand_over(settings, build_mail(settings, _shorten_card(card), answers=ref["message"]))
        return {**ref, "state": card.state}

    async def close(self) -> None:
        """Nothing is open."""

    async def _hand_over(self, settings: EmailSettings, mail: Mail) -> None:
        taken = self._taken.get(mail.id, set())
        waiting = [recipient for recipient in mail.recipients if recipient not in taken]
        try:
            refused = await send_mail(settings, mail.sender, waiting, mail.content)
        except DeliveryError as error:
            if not taken or not error.permanent:
                raise
            refused = dict.fromkeys(waiting, error)
        later = [why for why in refused.values() if not why.permanent]
        if later:
            self._remember(mail.id, taken | (set(waiting) - refused.keys()))
            raise later[0]
        self._taken.pop(mail.id, None)
        for recipient, why in refused.items():
            log.warning("email to %s was refused: %s", recipient, why)

    def _remember(self, id: str, taken: set[str]) -> None:
        while len(self._taken) >= _MAX_REMEMBERED:
            del self._taken[next(iter(self._taken))]
        self._taken[id] = taken


def _shorten_card(card: Card) -> Card:
    return msgspec.structs.replace(card, why="", text="", labels={}, alerts=[], buttons=[], links=[])
