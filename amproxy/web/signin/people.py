"""From what a sign-in knows of somebody to a user of the file, and from the user to what they may do."""

from __future__ import annotations

from typing import Literal

from amproxy.config.structs import Config, User
from amproxy.store.api_tokens import ApiToken
from amproxy.web.http.permissions import Principal, Role

_OF_SCOPE: dict[str, Role] = {"read": "viewer", "respond": "responder", "admin": "admin"}
_ORDER: tuple[Role, ...] = ("viewer", "responder", "admin")


def named(config: Config, text: str) -> User | None:
    """The one user with this name or e-mail address, in any case; None where there is none, or more than one."""
    wanted = text.strip().casefold()
    if not wanted:
        return None
    found = {user.name for user in config.users.values() if wanted in (user.name.casefold(), user.contacts.get("email", "").casefold())}
    return config.users[found.pop()] if len(found) == 1 else None


def person(config: Config, user: User, via: Literal["session", "proxy"]) -> Principal:
    return Principal(user=user.name, role=user.role, teams=_teams(config, user.name), via=via)


def program(config: Config, token: ApiToken) -> Principal | None:
    """Who comes with a token; None where its user is no more in the file.

    One that acts as a user may never do more than the user; one that acts as nobody belongs to all teams.
    """
    roles = [_OF_SCOPE[scope] for scope in token.scopes if scope in _OF_SCOPE]
    role = max(roles, key=_ORDER.index) if roles else None
    if not token.user:
        return Principal(role=role or "none", teams=frozenset(config.teams), via="token", token=token.name)
    user = config.users.get(token.user)
    if user is None:
        return None
    allowed: Role | Literal["none"] = min(role, user.role, key=_ORDER.index) if role else "none"
    return Principal(user=user.name, role=allowed, teams=_teams(config, user.name), via="token", token=token.name)


def _teams(config: Config, user: str) -> frozenset[str]:
    return frozenset(team.name for team in config.teams.values() if user in team.members)
