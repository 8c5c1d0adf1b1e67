"""Passwords and their argon2id hashes. Checking one costs tens of milliseconds and 64 MiB, by intent."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Iterable
from functools import lru_cache

from argon2 import PasswordHasher, extract_parameters
from argon2.exceptions import Argon2Error, InvalidHashError

from amproxy.config.structs import User
from amproxy.secret import reveal

log = logging.getLogger(__name__)

MAX_CONCURRENT_CHECKS = 2  # whoever guesses passwords may not take all cores and memory
MAX_PASSWORD_LENGTH = 1024  # characters


def hash_password(password: str) -> str:
    """The hash to put into the file."""
    return PasswordHasher().hash(password)


class SignInPasswords:
    """Compares passwords in threads, a few at once: the event loop goes on."""

    def __init__(self) -> None:
        self._few = asyncio.Semaphore(MAX_CONCURRENT_CHECKS)

    async def right(self, user: User | None, password: str, users: Iterable[User]) -> bool:
        """Whether the password is the user's. Takes as long for somebody who is not there, or has no password.

        users: all of them, for what a check usually costs.
        """
        own = _user_hash(user) if user else ""
        other = own or _dummy_hash(next(filter(None, map(_user_hash, users)), ""))
        async with self._few:
            fits = await asyncio.to_thread(_verify_password, other, password[:MAX_PASSWORD_LENGTH])
        return fits and bool(own) and len(password) <= MAX_PASSWORD_LENGTH


def _user_hash(user: User) -> str:
    try:
        return reveal(user.password_hash, user.password_hash_file)
    except OSError as error:
        log.error("the password hash of %s cannot be read: %s", user.name, error.strerror)
        return ""


def _verify_password(stored: str, password: str) -> bool:
    try:
        return PasswordHasher().verify(stored, password)
    except (Argon2Error, InvalidHashError):
        return False


@lru_cache(maxsize=8)
def _dummy_hash(like: str) -> str:
    """A hash that fits nothing and costs what another one costs."""
    try:
        hasher = PasswordHasher.from_parameters(extract_parameters(like))
    except InvalidHashError:
        hasher = PasswordHasher()
    return hasher.hash(secrets.token_hex(16))
