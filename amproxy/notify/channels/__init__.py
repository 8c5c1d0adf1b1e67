"""One file for each way to reach a person. Only this folder speaks to the outside."""

from __future__ import annotations

from typing import Any, Protocol

from amproxy.config.structs import Global
from amproxy.notify.message import Card


class Channel(Protocol):
    """One way out. Instances live as long as the service and keep their connections; `close` ends them.

    `settings` is the struct of config.structs that belongs to the channel (TelegramSettings …): of a receiver's
    integration, or made by `person` from `global` and a contact's address.
    """

    name: str  # "telegram": the key of contacts, of `notify:` rules and of `*_configs`
    threads: bool  # a second page of an incident to the same receiver becomes news under the first message

    def person(self, global_: Global, address: str) -> Any:
        """Settings that reach one person. Raises DeliveryError where `global` lacks what is needed or the address is nonsense."""

    async def send(self, settings: Any, card: Card) -> dict[str, str]:
        """Send a new message; return what `edit` needs later ({} = cannot be changed). Raises DeliveryError."""

    async def edit(self, settings: Any, ref: dict[str, str], card: Card) -> dict[str, str]:
        """Change a message in place (or post anew where it is gone); return the ref that holds now. Raises DeliveryError."""

    async def close(self) -> None:
        """End connections."""
