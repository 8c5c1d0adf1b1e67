"""Who asks, and what they may do: set by the sign-in for each request, asked by pages and API."""

from __future__ import annotations

from typing import Final, Literal, Protocol

import msgspec
from starlette.requests import Request
from starlette.types import Scope

from amproxy.errors import AmproxyError

Role = Literal["viewer", "responder", "admin"]
_RANK: Final[dict[str, int]] = {"none": -1, "viewer": 0, "responder": 1, "admin": 2}
_KEY: Final = "amproxy.principal"
SAID: Final = "amproxy.audit"  # keys of a scope: what it has changed, and as whom it acted
ACTING: Final = "amproxy.acting"


class Forbidden(AmproxyError):
    """Known, but not allowed to do this (HTTP 403)."""


class NotSignedIn(AmproxyError):
    """Nobody knows who asks, and this is not for everybody (HTTP 401)."""


class Principal(msgspec.Struct, frozen=True, kw_only=True):
    """Who asks. Without sign-in everybody who reaches amproxy may do everything, and says who they are."""

    user: str = ""  # name in the file; "" = nobody in particular
    role: Role | Literal["none"] = "admin"
    teams: frozenset[str] = frozenset()  # that the user is a member of
    via: Literal["open", "session", "token", "proxy", "basic"] = "open"
    token: str = ""  # name of the API token


OPEN: Final = Principal()
STRANGER: Final = Principal(role="none")  # where people sign in: somebody who has not


def principal_of(request: Request) -> Principal:
    """Who asks."""
    found = request.scope.get(_KEY, OPEN)
    assert isinstance(found, Principal)
    return found


def set_principal(scope: Scope, principal: Principal) -> None:
    scope[_KEY] = principal


def may(principal: Principal, role: Role, team: str = "") -> bool:
    """Whether somebody may do what needs a role. team: whose thing it is, "" = nobody's.

    Responders change what belongs to their own teams or to none; admins change everything.
    """
    if _RANK[principal.role] < _RANK[role]:
        return False
    return role == "viewer" or principal.role == "admin" or not team or team in principal.teams


def require(request: Request, role: Role, team: str = "") -> Principal:
    """Who asks, if they may. Raises Forbidden."""
    principal = principal_of(request)
    if not may(principal, role, team):
        whose = f" of team {team}" if team and _RANK[principal.role] >= _RANK[role] else ""
        raise Forbidden(f"this needs the role {role}{whose}, and {principal.user or 'you'} have the role {principal.role}")
    return principal


def who_acts(request: Request, said: str) -> str:
    """As whom a request acts; "" = nobody in particular. said: the user of the file whom the request itself names, "" = none.

    Where people sign in, that is decided; only a program with an admin's token may speak for others.
    """
    principal = principal_of(request)
    speaks = principal.via in ("open", "basic") or (principal.via == "token" and principal.role == "admin" and said)
    user = said if speaks and principal.role == "admin" else principal.user
    request.scope[ACTING] = user
    return user


class HasScope(Protocol):
    """A request of Starlette's, or of the API v2."""

    @property
    def scope(self) -> Scope: ...


def say(request: HasScope, what: str) -> None:
    """What a request has changed, in a sentence, for the audit log; without it the log has the address alone."""
    request.scope[SAID] = what
