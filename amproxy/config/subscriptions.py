"""Devices on which people have switched Web Push on: a contact that the file does not have to name.

A person has the contact `push` where the file names it for them, and where a device of theirs
subscribes. Its address is the person's name: which devices that means is known when it is sent.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from msgspec import structs

from amproxy.config.structs import Config, Struct, User
from amproxy.secret import Secret

PUSH: Final = "push"  # the channel


class Subscription(Struct, frozen=True, kw_only=True):
    """One browser of one person, as its push service knows it. Times are Unix seconds."""

    id: str  # digest of the endpoint
    user: str
    name: str  # of the device, for its person
    endpoint: str  # https; whoever knows it and has the VAPID key may send
    p256dh: str  # the browser's public key, base64url
    auth: str  # the secret that it shares with amproxy, base64url
    made: float
    ended: float = 0.0  # when the push service said that it is over; 0 = it is not

    def __repr__(self) -> str:
        return f"Subscription(id={self.id!r}, user={self.user!r})"  # no address, no secret


def with_subscriptions(config: Config, found: Iterable[Subscription], made_key: str) -> Config:
    """A file together with the devices that subscribe; how people are reached is read from it.

    made_key: the VAPID key that amproxy made for itself, which counts where the file has none.
    """
    devices: dict[str, tuple[Subscription, ...]] = {}
    for one in found:
        if one.user in config.users and not one.ended:
            devices[one.user] = (*devices.get(one.user, ()), one)
    settings: Any = config.global_.channels.get(PUSH)
    if settings is None:  # a configuration that no file was read for
        return config
    settings = structs.replace(settings, devices=devices, made_key=Secret(made_key))
    users = {
        name: _with_contact(user) if name in devices else user
        for name, user in config.users.items()
    }
    channels = {**config.global_.channels, PUSH: settings}
    return structs.replace(
        config, users=users, global_=structs.replace(config.global_, channels=channels)
    )


def _with_contact(user: User) -> User:
    """The person with the contact, after those of the file; where the file has it, it stays."""
    if PUSH in user.contacts:
        return user
    return structs.replace(user, contacts={**user.contacts, PUSH: user.name})


def devices_of(config: Config, user: str) -> tuple[Subscription, ...] | None:
    """The devices that a person is pushed to; None where only the file is known."""
    settings: Any = config.global_.channels.get(PUSH)
    if settings is None or settings.devices is None:
        return None
    found: tuple[Subscription, ...] = settings.devices.get(user, ())
    return found
