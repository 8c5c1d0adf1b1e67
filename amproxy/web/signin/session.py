"""The two cookies of the sign-in: the session's, and that of a sign-in under way at the provider."""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.requests import cookie_parser
from starlette.responses import Response
from starlette.types import Scope

from amproxy.web.http.middleware import root_of

SESSION = "amproxy_session"
STATE = "amproxy_sign_in"


def name(kind: str, external_url: str) -> str:
    """How a cookie is called. A browser takes one named __Host- only from this very host, over TLS; no neighbour can plant one."""
    if not external_url.startswith("https://"):
        return kind
    return f"__Secure-{kind}" if root_of(external_url) else f"__Host-{kind}"


def read(scope: Scope, kind: str, external_url: str) -> str:
    """The value that the browser has sent, "" = none."""
    return cookie_parser(Headers(scope=scope).get("cookie", "")).get(name(kind, external_url), "")


def put(answer: Response, kind: str, value: str, external_url: str, age: float) -> None:
    """age: seconds. An empty value takes the cookie away."""
    answer.set_cookie(
        name(kind, external_url), value, max_age=int(age) if value else 0, path=root_of(external_url) or "/",
        secure=external_url.startswith("https://"), httponly=True,
        # "lax": links in messages lead to pages, and the provider leads back here; no other site can act with it
        samesite="lax",
    )  # fmt: skip
