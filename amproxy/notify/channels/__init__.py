"""One folder or file for each channel, both directions; only this room speaks to the outside.

config/channels.py has the registry; docs/channels.md shows how to add one.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any, Protocol

from amproxy.config.channels import REGISTRY, channel_kind, load_name, used_channels
from amproxy.config.structs import Config, Global
from amproxy.config.subscriptions import Subscription
from amproxy.notify.message import Card
from amproxy.store.outbox import RateLimit


class Channel(Protocol):
    """One way to reach people. Instances live as long as the service and keep their connections.

    `settings` is the channel's own struct (TelegramSettings …): of a receiver's integration, or
    made by `person` from `global` and a contact's address. `send` and `edit` await `obtain_permit`
    before the first byte (notify/permit.py), and let through what it raises.
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


# Ends a subscription that the other side has given up, and tells its person.
EndSubscription = Callable[[Subscription], Awaitable[None]]


class Channels(Mapping[str, Channel]):
    """The channels of one process, by name; each is imported and made when it is first asked for.

    All of them, with the libraries for mail, signatures and HTTP, take longer to import than what
    most files need of them. Iterating goes over those that are made.
    """

    def __init__(self, made: Mapping[str, Channel], end: EndSubscription | None = None) -> None:
        self._made, self._end = dict(made), end

    def __getitem__(self, name: str) -> Channel:
        if name not in self._made:
            if name not in REGISTRY:
                raise KeyError(name)
            kind = channel_kind(name)
            make = load_name(kind.channel)
            self._made[name] = make(self._end) if kind.has_subscribers else make()
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._made)

    def __len__(self) -> int:
        return len(self._made)

    def load(self, config: Config) -> None:
        """Import those of a file before it takes effect: the first page must not find them broken.

        Raises ImportError.
        """
        for name in used_channels(config):
            self[name]


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
