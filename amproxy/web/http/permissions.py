"""The principal of a request and its permissions: by role, by team, and by address.

The sign-in gate sets the principal; pages and API check it. A responder acts on things of their
own teams and on those of no team. A new address needs no entry here: by default reading takes a
viewer, everything else a responder.
"""

from __future__ import annotations

import re
from typing import Final, Protocol

from starlette.requests import Request
from starlette.types import Scope

from amproxy.accept.origin import AUTHENTICATED
from amproxy.context import Context
from amproxy.errors import AmproxyError
from amproxy.grouping import rights
from amproxy.grouping.rights import Principal, Role, incident_refusal, may_answer, refusal
from amproxy.model import Incident
from amproxy.store import incidents, schedule_changes
from amproxy.text import Phrase
from amproxy.web.http.guard import SAFE_METHODS

# Keys of an ASGI scope: the principal, what was changed and the reason for which it was refused, as
# phrases, and the user it acted as.
_PRINCIPAL_KEY: Final = "amproxy.principal"
AUDIT_KEY: Final = "amproxy.audit"
ACTING_KEY: Final = "amproxy.acting"
REFUSED_KEY: Final = "amproxy.refused"

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
        "/theme",
        "/clock",
        "/manifest.webmanifest",
        "/service-worker.js",
        "/slack/interactivity",
    }
)
_OPEN_PREFIXES: Final = ("/static/", "/act/", "/calendar/")
# The only paths that a viewer may write to: they change only what is the viewer's own.
_OWN_PATHS: Final = ("/sign-out", "/api/v1/sessions", "/me")
_ANSWER_PATH: Final = re.compile(r"(/api/v1)?/incidents/[^/]+(/[^/]+)?")
# Admins only, even for reading; each with all paths below it …
_ADMIN_PATHS: Final = ("/admin", "/api/v1/tokens", "/api/v1/audit")
# … and admins only for writing.
_ADMIN_WRITE_PATHS: Final = ("/-/reload",)
# Admins only: incidents are deleted. Other methods of the first path are for others, too.
_DELETED_INCIDENT: Final = re.compile(
    r"DELETE /api/v1/incidents/[^/]+|POST /incidents/[^/]+/delete"
)


class Forbidden(AmproxyError):
    """Known, but not allowed to do this (HTTP 403)."""


class NotSignedIn(AmproxyError):
    """Unknown, and this is not open to everybody (HTTP 401)."""


OPEN_ACCESS: Final = Principal()  # everybody, where there is no sign-in
ANONYMOUS: Final = Principal(role="none")  # not signed in, where people sign in


class HasScope(Protocol):
    """A request of Starlette's, or of the API v2."""

    @property
    def scope(self) -> Scope: ...


def principal_of(request: HasScope) -> Principal:
    principal = request.scope.get(_PRINCIPAL_KEY, OPEN_ACCESS)
    assert isinstance(principal, Principal)
    return principal


def set_principal(scope: Scope, principal: Principal) -> None:
    scope[_PRINCIPAL_KEY] = principal
    if principal.via == "token":
        scope[AUTHENTICATED] = True


def may(principal: Principal, role: Role, team: str = "") -> bool:
    """Check a principal for a role. team: the owner of the thing at hand, "" = no team."""
    return not refusal(principal, role, (team,))


def require(request: HasScope, reason: Phrase | None) -> None:
    """Refuse a request for a reason of `grouping.rights`, None = go on. Raises Forbidden.

    The audit log tells of it.
    """
    if reason:
        request.scope[REFUSED_KEY] = reason
        raise Forbidden(reason)


def require_role(request: Request, role: Role, team: str = "") -> Principal:
    """Return the principal if it has the role. Raises Forbidden."""
    principal = principal_of(request)
    require(request, refusal(principal, role, (team,)))
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


def set_audit_phrase(request: HasScope, what: Phrase) -> None:
    """Say what was changed, for the audit log; without it the log has the address alone."""
    request.scope[AUDIT_KEY] = what


def may_act(principal: Principal, incident: Incident) -> bool:
    """Check the right to act on an incident."""
    return not incident_refusal(principal, incident)


def _require_answerer(request: Request) -> Principal:
    """Return the principal if it may act on any incident at all. Raises Forbidden."""
    principal = principal_of(request)
    return principal if may_answer(principal) else require_role(request, "responder")


async def require_incidents(request: Request, context: Context, *incident_ids: str) -> None:
    """Check the right to act on incidents. Raises Forbidden, NotFound, StoreUnavailable."""
    principal = _require_answerer(request)
    if principal.role == "admin":
        return
    for incident_id in incident_ids:
        incident = await incidents.load(context.wire, incident_id)
        require(request, incident_refusal(principal, incident))


async def forbidden_incidents(
    request: Request, context: Context, incident_ids: list[str]
) -> dict[str, Phrase]:
    """Of many incidents those that may not be acted on: id → reason. Raises StoreUnavailable."""
    principal, refused = _require_answerer(request), dict[str, Phrase]()
    if principal.role == "admin":
        return refused
    # an incident that is not there is reported by the action itself
    for incident_id, incident in (await incidents.load_many(context.wire, incident_ids)).items():
        if reason := incident_refusal(principal, incident):
            refused[incident_id] = reason
    return refused


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
    require(request, rights.schedule_refusal(principal_of(request), context.config, name))


def require_person(request: Request, context: Context, name: str) -> None:
    """Check the right to change a person's absences, and to send them test pages.

    Raises Forbidden.
    """
    require(request, rights.person_refusal(principal_of(request), context.config, name))


def require_receiver(request: Request, context: Context, name: str) -> None:
    """Check the right to send a test notification to a receiver. Raises Forbidden."""
    require(request, rights.receiver_refusal(principal_of(request), context.config, name))


def required_role(method: str, path: str) -> Role | None:
    """The least role for a request; None = open to strangers. Handlers check teams themselves."""
    if path in _OPEN_PATHS or path.startswith(_OPEN_PREFIXES):
        return None
    if _is_below(path, _ADMIN_PATHS):
        return "admin"
    if method in SAFE_METHODS or _is_below(path, _OWN_PATHS):
        return "viewer"
    admins = _is_below(path, _ADMIN_WRITE_PATHS) or _DELETED_INCIDENT.fullmatch(f"{method} {path}")
    return "admin" if admins else "responder"


def is_answer(path: str) -> bool:
    """True for actions on incidents, which even a viewer may take on some: handlers decide."""
    return _ANSWER_PATH.fullmatch(path) is not None


def _is_below(path: str, roots: tuple[str, ...]) -> bool:
    return any(path == root or path.startswith(f"{root}/") for root in roots)
