"""Who asks, and what they may do: set by the sign-in for each request, asked by pages and API.

Whose things a request touches: a responder acts on those of their own teams and of nobody's.

What each address needs. Whoever adds an address needs to say nothing: reading needs a viewer, everything else a responder.
"""

from __future__ import annotations

from typing import Final, Literal, Protocol

import msgspec
from starlette.requests import Request
from starlette.types import Scope

from amproxy.context import Context
from amproxy.errors import AmproxyError, NotFound
from amproxy.model import Incident
from amproxy.reports.insights import concerns_user
from amproxy.store import incidents, schedule_changes
from amproxy.web.http.guard import SAFE_METHODS

Role = Literal["viewer", "responder", "admin"]
_ROLE_RANK: Final[dict[str, int]] = {"none": -1, "viewer": 0, "responder": 1, "admin": 2}
_PRINCIPAL_KEY: Final = "amproxy.principal"
AUDIT_TEXT_KEY: Final = "amproxy.audit"  # keys of a scope: what it has changed, and as whom it acted
ACTING_KEY: Final = "amproxy.acting"


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


OPEN_ACCESS: Final = Principal()
ANONYMOUS: Final = Principal(role="none")  # where people sign in: somebody who has not


def principal_of(request: Request) -> Principal:
    """Who asks."""
    found = request.scope.get(_PRINCIPAL_KEY, OPEN_ACCESS)
    assert isinstance(found, Principal)
    return found


def set_principal(scope: Scope, principal: Principal) -> None:
    scope[_PRINCIPAL_KEY] = principal


def may(principal: Principal, role: Role, team: str = "") -> bool:
    """Whether somebody may do what needs a role. team: whose thing it is, "" = nobody's.

    Responders change what belongs to their own teams or to none; admins change everything.
    """
    if _ROLE_RANK[principal.role] < _ROLE_RANK[role]:
        return False
    return role == "viewer" or principal.role == "admin" or not team or team in principal.teams


def require_role(request: Request, role: Role, team: str = "") -> Principal:
    """Who asks, if they may. Raises Forbidden."""
    principal = principal_of(request)
    if not may(principal, role, team):
        whose = f" of team {team}" if team and _ROLE_RANK[principal.role] >= _ROLE_RANK[role] else ""
        raise Forbidden(f"this needs the role {role}{whose}, and {principal.user or 'you'} have the role {principal.role}")
    return principal


def resolve_actor(request: Request, said: str) -> str:
    """As whom a request acts; "" = nobody in particular. said: the user of the file whom the request itself names, "" = none.

    Where people sign in, that is decided; only a program with an admin's token may speak for others.
    """
    principal = principal_of(request)
    speaks = principal.via in ("open", "basic") or (principal.via == "token" and principal.role == "admin" and said)
    user = said if speaks and principal.role == "admin" else principal.user
    request.scope[ACTING_KEY] = user
    return user


class HasScope(Protocol):
    """A request of Starlette's, or of the API v2."""

    @property
    def scope(self) -> Scope: ...


def set_audit_text(request: HasScope, what: str) -> None:
    """What a request has changed, in a sentence, for the audit log; without it the log has the address alone."""
    request.scope[AUDIT_TEXT_KEY] = what


def may_act(principal: Principal, incident: Incident) -> bool:
    """Whether somebody may act on an incident. Whoever was paged for it may, of whatever team: they were asked to."""
    return may(principal, "responder", _incident_team(principal, incident))


async def require_incidents(request: Request, context: Context, *incident_ids: str) -> None:
    """Raises Forbidden where one of the incidents is another team's, NotFound, StoreUnavailable."""
    principal = require_role(request, "responder")
    if principal.role == "admin":
        return
    for incident_id in incident_ids:
        incident = await incidents.load(context.wire, incident_id)
        require_role(request, "responder", _incident_team(principal, incident))


async def forbidden_incidents(request: Request, context: Context, incident_ids: list[str]) -> dict[str, str]:
    """Of many incidents those that somebody may not act on: id → why. Raises StoreUnavailable."""
    refused = {}
    for incident_id in dict.fromkeys(incident_ids):
        try:
            await require_incidents(request, context, incident_id)
        except Forbidden as error:
            refused[incident_id] = str(error)
        except NotFound:
            continue  # said by whoever acts on it
    return refused


def _incident_team(principal: Principal, incident: Incident) -> str:
    return "" if principal.user and concerns_user(incident, principal.user) else incident.team


async def require_swap(request: Request, context: Context, swap_id: str) -> None:
    """A swap is of its schedule's team, and of those between whom it is. Raises Forbidden, StoreUnavailable."""
    principal = require_role(request, "responder")
    if principal.role == "admin":
        return
    for swap in await schedule_changes.load_swaps(context.wire):
        if swap.id == swap_id and principal.user not in (swap.user, swap.taken_by):
            require_schedule(request, context, swap.schedule)


def require_schedule(request: Request, context: Context, name: str) -> None:
    """Raises Forbidden where the schedule is another team's."""
    schedule = context.config.schedules.get(name)  # it may be gone from the file since
    require_role(request, "responder", schedule.team if schedule else "")


def require_person(request: Request, context: Context, name: str) -> None:
    """A person's absences are theirs and their teams'; of somebody in no team, everybody's. Raises Forbidden."""
    principal = require_role(request, "responder")
    teams = [team.name for team in context.config.teams.values() if name in team.members]
    if principal.user != name and teams and not any(may(principal, "responder", team) for team in teams):
        require_role(request, "responder", teams[0])


METRICS_PATH: Final = "/metrics"

# Open to everybody: they show nothing, or ask for a secret of their own.
_OPEN_PATHS: Final = frozenset(
    {"/-/healthy", "/-/ready", "/sign-in", "/sign-in/oidc", "/sign-in/callback", "/language", "/slack/interactivity"}
)  # fmt: skip
_OPEN_PREFIXES: Final = ("/static/", "/act/", "/calendar/")
# What a viewer may change: nothing but what is their own.
_OWN_PATHS: Final = ("/sign-out", "/api/v1/sessions", "/me")
# Addresses, and all below them, that are for admins even to read …
_ADMIN_PATHS: Final = ("/admin", "/api/v1/tokens", "/api/v1/audit")
# … and those that only admins may write.
_ADMIN_WRITE_PATHS: Final = ("/-/reload",)


def required_role(method: str, path: str) -> Role | None:
    """The least role for a request; None = nobody needs to be known. Teams are checked by whoever has the thing in hand."""
    if path in _OPEN_PATHS or path.startswith(_OPEN_PREFIXES):
        return None
    if _is_below(path, _ADMIN_PATHS):
        return "admin"
    if method in SAFE_METHODS or _is_below(path, _OWN_PATHS):
        return "viewer"
    return "admin" if _is_below(path, _ADMIN_WRITE_PATHS) else "responder"


def _is_below(path: str, places: tuple[str, ...]) -> bool:
    return any(path == place or path.startswith(f"{place}/") for place in places)
