"""Who asks, and what they may do: set by the sign-in for each request, asked by pages and API."""

from __future__ import annotations

from typing import Final, Literal

import msgspec
from starlette.requests import Request
from starlette.types import Scope

from amproxy.errors import AmproxyError

Role = Literal["viewer", "responder", "admin"]
_RANK: Final[dict[str, int]] = {"viewer": 0, "responder": 1, "admin": 2}
_KEY: Final = "amproxy.principal"


class Forbidden(AmproxyError):
    """Known, but not allowed to do this (HTTP 403)."""


class Principal(msgspec.Struct, frozen=True, kw_only=True):
    """Who asks. Without sign-in everybody who reaches amproxy may do everything, and says who they are."""

    user: str = ""  # name in the file; "" = nobody in particular
    role: Role = "admin"
    teams: frozenset[str] = frozenset()  # that the user is a member of
    via: Literal["open", "session", "token", "proxy", "basic"] = "open"
    token: str = ""  # name of the API token


OPEN: Final = Principal()


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


def say(request: Request, what: str) -> None:
    """What a request has changed, in a sentence, for the audit log; without it the log has the address alone."""
    request.scope["amproxy.audit"] = what
