"""Passwords and their argon2id hashes. A check costs tens of milliseconds and 64 MiB, by intent."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterable
from functools import lru_cache

from argon2 import PasswordHasher, extract_parameters
from argon2.exceptions import Argon2Error, InvalidHashError

from amproxy.config.structs import User
from amproxy.log import EventLog
from amproxy.secret import reveal

log = EventLog(__name__)

MAX_CONCURRENT_CHECKS = 2  # an attacker who guesses passwords must not take all cores and memory
MAX_PASSWORD_LENGTH = 1024  # characters


def hash_password(password: str) -> str:
    """Return the hash to put into the file."""
    return PasswordHasher().hash(password)


class SignInPasswords:
    """Compares passwords in a few threads, so that the event loop goes on."""

    def __init__(self) -> None:
        self._slots = asyncio.Semaphore(MAX_CONCURRENT_CHECKS)

    async def check(self, user: User | None, password: str, users: Iterable[User]) -> bool:
        """Compare a password with the user's; False where there is no user or no hash.

        users: all of them, for the usual cost of a check.
        """
        own = _user_hash(user) if user else ""
        # an unknown user takes as long as a known one: the time must not show who exists
        stored = own or _dummy_hash(next(filter(None, map(_user_hash, users)), ""))
        async with self._slots:
            fits = await asyncio.to_thread(_verify_password, stored, password[:MAX_PASSWORD_LENGTH])
        return fits and bool(own) and len(password) <= MAX_PASSWORD_LENGTH


def _user_hash(user: User) -> str:
    try:
        return reveal(user.password_hash, user.password_hash_file)
    except OSError as error:
        log.error("a password hash cannot be read", user=user.name, error=error.strerror)
        return ""


def _verify_password(stored: str, password: str) -> bool:
    try:
        return PasswordHasher().verify(stored, password)
    except (Argon2Error, InvalidHashError):
        return False


@lru_cache(maxsize=8)
def _dummy_hash(like: str) -> str:
    """Return a hash that fits no password and costs as much to check as another one."""
    try:
        hasher = PasswordHasher.from_parameters(extract_parameters(like))
    except InvalidHashError:
        hasher = PasswordHasher()
    return hasher.hash(secrets.token_hex(16))
