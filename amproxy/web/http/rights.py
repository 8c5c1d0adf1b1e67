"""What each address needs. Whoever adds an address needs to say nothing: reading needs a viewer, everything else a responder."""

from __future__ import annotations

from typing import Final

from amproxy.web.http.guard import SAFE
from amproxy.web.http.permissions import Role

METRICS: Final = "/metrics"

# Open to everybody: they show nothing, or ask for a secret of their own.
_OPEN: Final = frozenset(
    {"/-/healthy", "/-/ready", "/sign-in", "/sign-in/oidc", "/sign-in/callback", "/language", "/slack/interactivity"}
)  # fmt: skip
_OPEN_BELOW: Final = ("/static/", "/act/", "/calendar/")
# What a viewer may change: nothing but what is their own.
_OWN: Final = ("/sign-out", "/api/v1/sessions", "/me")
# Addresses, and all below them, that are for admins even to read …
_ADMIN: Final = ("/admin", "/api/v1/tokens", "/api/v1/audit")
# … and those that only admins may write.
_ADMIN_WRITES: Final = ("/-/reload",)


def needs(method: str, path: str) -> Role | None:
    """The least role for a request; None = nobody needs to be known. Teams are checked by whoever has the thing in hand."""
    if path in _OPEN or path.startswith(_OPEN_BELOW):
        return None
    if _below(path, _ADMIN):
        return "admin"
    if method in SAFE or _below(path, _OWN):
        return "viewer"
    return "admin" if _below(path, _ADMIN_WRITES) else "responder"


def _below(path: str, places: tuple[str, ...]) -> bool:
    return any(path == place or path.startswith(f"{place}/") for place in places)
