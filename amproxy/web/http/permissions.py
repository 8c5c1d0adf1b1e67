"""The principal of a request and its permissions: by role, by team, and by address.

The sign-in gate sets the principal; pages and API check it. A responder acts on things of their
own teams and on those of no team. A new address needs no entry here: by default reading takes a
viewer, everything else a responder.
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
# Keys of an ASGI scope: the principal, a sentence about the change, and the user it acted as.
_PRINCIPAL_KEY: Final = "amproxy.principal"
AUDIT_TEXT_KEY: Final = "amproxy.audit"
ACTING_KEY: Final = "amproxy.acting"

METRICS_PATH: Final = "/metrics"
# Open to everybody: they show nothing, or demand a secret of their own.
_OPEN_PATHS: Final = frozenset(
    {
        "/-/healthy",
        "/-/ready",
        "/sign-in",
        "/sign-in/oidc",
        "/sign-in/callback",
        "/language",
        "/slack/interactivity",
    }
)
_OPEN_PREFIXES: Final = ("/static/", "/act/", "/calendar/")
# The only paths that a viewer may write to: they change only what is the viewer's own.
_OWN_PATHS: Final = ("/sign-out", "/api/v1/sessions", "/me")
# Admins only, even for reading; each with all paths below it …
_ADMIN_PATHS: Final = ("/admin", "/api/v1/tokens", "/api/v1/audit")
# … and admins only for writing.
_ADMIN_WRITE_PATHS: Final = ("/-/reload",)


class Forbidden(AmproxyError):
    """Known, but not allowed to do this (HTTP 403)."""


class NotSignedIn(AmproxyError):
    """Unknown, and this is not open to everybody (HTTP 401)."""


class Principal(msgspec.Struct, frozen=True, kw_only=True):
    """The originator of a request. Without sign-in everybody may do everything as any user."""

    user: str = ""  # name in the file; "" = nobody in particular
    role: Role | Literal["none"] = "admin"
    teams: frozenset[str] = frozenset()  # that the user is a member of
    via: Literal["open", "session", "token", "proxy", "basic"] = "open"
    token: str = ""  # name of the API token


OPEN_ACCESS: Final = Principal()  # everybody, where there is no sign-in
ANONYMOUS: Final = Principal(role="none")  # not signed in, where people sign in


class HasScope(Protocol):
    """A request of Starlette's, or of the API v2."""

    @property
    def scope(self) -> Scope: ...


def principal_of(request: Request) -> Principal:
    principal = request.scope.get(_PRINCIPAL_KEY, OPEN_ACCESS)
    assert isinstance(principal, Principal)
    return principal


def set_principal(scope: Scope, principal: Principal) -> None:
    scope[_PRINCIPAL_KEY] = principal


def may(principal: Principal, role: Role, team: str = "") -> bool:
    """Check a principal for a role. team: the owner of the thing at hand, "" = no team.

    Responders change what belongs to their own teams or to none; admins change everything.
    """
    if _ROLE_RANK[principal.role] < _ROLE_RANK[role]:
        return False
    return role == "viewer" or principal.role == "admin" or not team or team in principal.teams


def require_role(request: Request, role: Role, team: str = "") -> Principal:
    """Return the principal if it has the role. Raises Forbidden."""
    principal = principal_of(request)
    if not may(principal, role, team):
        team_is_missing = team and _ROLE_RANK[principal.role] >= _ROLE_RANK[role]
        of_team = f" of team {team}" if team_is_missing else ""
        raise Forbidden(
            f"this needs the role {role}{of_team}, and {principal.user or 'you'} have the role "
            f"{principal.role}"
        )
    return principal


def resolve_actor(request: Request, named: str) -> str:
    """Return the user that a request acts as; "" = nobody in particular.

    named: the user of the file that the request itself names, "" = none. It counts where nobody
    signs in; where people do, only for a program with an admin's token.
    """
    principal = principal_of(request)
    may_choose = principal.via in ("open", "basic") or (
        principal.via == "token" and principal.role == "admin" and named
    )
    user = named if may_choose and principal.role == "admin" else principal.user
    request.scope[ACTING_KEY] = user
    return user


def set_audit_text(request: HasScope, text: str) -> None:
    """Set the audit log's sentence about a change; without it the log has the address alone."""
    request.scope[AUDIT_TEXT_KEY] = text


def may_act(principal: Principal, incident: Incident) -> bool:
    """Check the right to act on an incident; those paged for it have it, of whatever team."""
    return may(principal, "responder", _incident_team(principal, incident))


async def require_incidents(request: Request, context: Context, *incident_ids: str) -> None:
    """Check the right to act on incidents. Raises Forbidden, NotFound, StoreUnavailable."""
    principal = require_role(request, "responder")
    if principal.role == "admin":
        return
    for incident_id in incident_ids:
        incident = await incidents.load(context.wire, incident_id)
        require_role(request, "responder", _incident_team(principal, incident))


async def forbidden_incidents(
    request: Request, context: Context, incident_ids: list[str]
) -> dict[str, str]:
    """Of many incidents those that may not be acted on: id → reason. Raises StoreUnavailable."""
    refused = {}
    for incident_id in dict.fromkeys(incident_ids):
        try:
            await require_incidents(request, context, incident_id)
        except Forbidden as error:
            refused[incident_id] = str(error)
        except NotFound:
            continue  # the action itself will report it
    return refused


def _incident_team(principal: Principal, incident: Incident) -> str:
    # no team for those whom the incident concerns: they were paged to act on it
    return "" if principal.user and concerns_user(incident, principal.user) else incident.team


async def require_swap(request: Request, context: Context, swap_id: str) -> None:
    """Check the right to change a swap: the schedule's team and the swap's two people have it.

    Raises Forbidden, StoreUnavailable.
    """
    principal = require_role(request, "responder")
    if principal.role == "admin":
        return
    for swap in await schedule_changes.load_swaps(context.wire):
        if swap.id == swap_id and principal.user not in (swap.user, swap.taken_by):
            require_schedule(request, context, swap.schedule)


def require_schedule(request: Request, context: Context, name: str) -> None:
    """Check the right to change a schedule. Raises Forbidden where it is another team's."""
    schedule = context.config.schedules.get(name)  # it may be gone from the file since
    require_role(request, "responder", schedule.team if schedule else "")


def require_person(request: Request, context: Context, name: str) -> None:
    """Check the right to change a person's absences: theirs, their teams', or all if in no team.

    Raises Forbidden.
    """
    principal = require_role(request, "responder")
    if principal.user == name:
        return
    teams = [team.name for team in context.config.teams.values() if name in team.members]
    if teams and not any(may(principal, "responder", team) for team in teams):
        require_role(request, "responder", teams[0])  # raises, with the team in its text


def required_role(method: str, path: str) -> Role | None:
    """The least role for a request; None = open to strangers. Handlers check teams themselves."""
    if path in _OPEN_PATHS or path.startswith(_OPEN_PREFIXES):
        return None
    if _is_below(path, _ADMIN_PATHS):
        return "admin"
    if method in SAFE_METHODS or _is_below(path, _OWN_PATHS):
        return "viewer"
    return "admin" if _is_below(path, _ADMIN_WRITE_PATHS) else "responder"


def _is_below(path: str, roots: tuple[str, ...]) -> bool:
    return any(path == root or path.startswith(f"{root}/") for root in roots)
