"""One folder or file for each channel, both directions; only this room speaks to the outside.

config/channels.py has the registry; docs/channels.md shows how to add one.
"""

from __future__ import annotations

from typing import Any, Protocol

from amproxy.config.structs import Config, Global
from amproxy.notify.message import Card
from amproxy.store.outbox import RateLimit


class Channel(Protocol):
    """One way to reach people. Instances live as long as the service and keep their connections.

    `settings` is the channel's own struct (TelegramSettings …): of a receiver's integration, or
    made by `person` from `global` and a contact's address.
    """

    name: str  # "telegram": the key of contacts, of `notify:` rules and of `*_configs`
    # A second page of an incident to the same receiver becomes news below the first message.
    threads: bool

    def person(self, global_: Global, address: str) -> Any:
        """Settings that reach one person, of whom `why_undeliverable` knows nothing wrong."""

    def rate_limit(self, settings: Any) -> RateLimit:
        """The limits under which the destination of a message falls. Raises DeliveryError."""

    async def send(self, settings: Any, card: Card) -> dict[str, str]:
        """Send a message; return the `ref` of `edit` ({} = cannot change). Raises DeliveryError."""

    async def edit(self, settings: Any, ref: dict[str, str], card: Card) -> dict[str, str]:
        """Change a message, or post anew where it is gone; return its ref. Raises DeliveryError."""

    async def close(self) -> None:
        """End connections."""


class PollState(Protocol):
    """State that replicas share about polling. Each call may raise StoreUnavailable."""

    async def lease(self, name: str, holder: str, seconds: float) -> bool:
        """Take or prolong a lease for so many seconds; False where another holds it."""

    async def load_offset(self, name: str) -> int:
        """The offset stored last; 0 = none."""

    async def save_offset(self, name: str, offset: int) -> None: ...


class Poller(Protocol):
    """Fetches presses of a channel's buttons; made of a PollState and an OnPress."""

    def use(self, config: Config) -> None:
        """Poll for the bots of this configuration from now on, and for no others."""

    async def run(self) -> None:
        """Poll for ever; cancelled to stop.

        The service keeps it running as a part of its own: an error that nobody expected may end it,
        and `run` is called again.
        """

    async def close(self) -> None:
        """End connections, once `run` is over."""
