"""`http_config` and `tls_config`, read as Alertmanager reads them, then built as structs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from amproxy.config.read.cursor import Cursor, Reader, Section
from amproxy.config.read.values import (
    boolean,
    file,
    list_of,
    map_of,
    secret,
    section_of,
    text,
    written_value,
)
from amproxy.config.structs import HttpSettings, OAuth2Settings, TlsSettings
from amproxy.secret import Secret, reveal
from amproxy.text import Phrase

_TLS_VERSIONS: Final = ("TLS10", "TLS11", "TLS12", "TLS13")
# Set by the HTTP client or by other keys; Alertmanager refuses the same ones.
_RESERVED_HEADERS: Final = frozenset(
    (
        *("authorization", "host", "user-agent", "connection", "keep-alive"),
        *("content-encoding", "content-length", "content-type", "accept-encoding"),
        *("proxy-authenticate", "proxy-authorization", "www-authenticate"),
        *("x-prometheus-remote-write-version", "x-prometheus-remote-read-version"),
        "x-prometheus-scrape-timeout-seconds",
        *("x-amz-date", "x-amz-security-token", "x-amz-content-sha256"),
    )
)
HTTP_DEFAULTS: Final[dict[str, Any]] = {"follow_redirects": True, "enable_http2": True}
_NO_CREDENTIALS: Final[dict[str, Any]] = {}

# Header → its values: texts, secrets, and files that hold one.
read_headers: Final = map_of(
    section_of({"values": list_of(text), "secrets": list_of(secret), "files": list_of(file)})
)


def _tls_version(at: Cursor) -> str | None:
    found = text(at)
    if found is None or found in _TLS_VERSIONS:
        return found
    at.error("problem.tls_version", value=written_value(at), versions=", ".join(_TLS_VERSIONS))
    return None


_TLS: Final[dict[str, Reader]] = {
    "ca": text,
    "ca_file": file,
    "cert": text,
    "cert_file": file,
    "key": secret,
    "key_file": file,
    "server_name": text,
    "insecure_skip_verify": boolean,
    "min_version": _tls_version,
    "max_version": _tls_version,
}


def read_tls_config(at: Cursor) -> Section:
    """The keys of a tls_config, checked against each other."""
    tls = at.section(_TLS)
    for inline in ("ca", "cert", "key"):
        tls.exclusive(inline, f"{inline}_file")
    if tls.given("cert", "cert_file"):
        tls.require("key", "key_file", why=Phrase("problem.why_certificate_key"))
    if tls.given("key", "key_file"):
        tls.require("cert", "cert_file", why=Phrase("problem.why_key_certificate"))
    if tls.get("max_version") and tls["max_version"] < tls.get("min_version", ""):
        tls.error("max_version", "problem.tls_max_version")
    return tls


def build_tls_settings(tls: Mapping[str, Any] | None) -> TlsSettings:
    """The struct of a tls_config; None = nothing set."""
    return TlsSettings(**(tls or {}))


_PROXY: Final[dict[str, Reader]] = {
    "proxy_url": secret,  # may hold a password
    "no_proxy": text,
    "proxy_from_environment": boolean,
    "proxy_connect_header": map_of(list_of(secret)),
}
_OAUTH2: Final[dict[str, Reader]] = {
    "client_id": text,
    "client_secret": secret,
    "client_secret_file": file,
    "client_certificate_key_id": text,
    "client_certificate_key": secret,
    "client_certificate_key_file": file,
    "signature_algorithm": text,
    "grant_type": text,
    "iss": text,
    "audience": text,
    "claims": map_of(text),
    "scopes": list_of(text),
    "token_url": text,
    "endpoint_params": map_of(text),
    "tls_config": read_tls_config,
    **_PROXY,
}
_HTTP: Final[dict[str, Reader]] = {
    "basic_auth": section_of(
        {"username": text, "username_file": file, "password": secret, "password_file": file}
    ),
    "authorization": section_of({"type": text, "credentials": secret, "credentials_file": file}),
    "oauth2": section_of(_OAUTH2),
    "bearer_token": secret,
    "bearer_token_file": file,
    "tls_config": read_tls_config,
    "follow_redirects": boolean,
    "enable_http2": boolean,
    "http_headers": read_headers,
    **_PROXY,
}


def read_http_config(at: Cursor) -> Section:
    """The keys of an http_config, checked against each other: at most one authentication."""
    http = at.section(_HTTP)
    _check_authentication(http)
    _check_proxy(http)
    for header in http.get("http_headers", ()):
        if header.lower() in _RESERVED_HEADERS:
            http.error("http_headers", "problem.reserved_header", header=header)
    if http.given("follow_redirects") and http.get("follow_redirects"):
        words = Phrase("problem.unused_follow_redirects")
        http.cursors["follow_redirects"].warn("unused", words)
    for key, value in HTTP_DEFAULTS.items():
        http.setdefault(key, value)
    return http


def _check_authentication(http: Section) -> None:
    # Either key of the bearer token counts as one method; that only one is given is checked below.
    bearer_key = http.given("bearer_token", "bearer_token_file")
    http.exclusive("basic_auth", "authorization", "oauth2", *filter(None, [bearer_key]))
    http.exclusive("bearer_token", "bearer_token_file")
    basic, bearer, oauth2 = (http.get(key) for key in ("basic_auth", "authorization", "oauth2"))
    if basic is not None:
        basic.exclusive("username", "username_file")
        basic.exclusive("password", "password_file")
    if bearer is not None:
        bearer.exclusive("credentials", "credentials_file")
        if bearer.get("type", "").strip().lower() == "basic":
            bearer.error("type", "problem.basic_type")
    if oauth2 is not None:
        oauth2.require("client_id")
        oauth2.require("token_url")
        oauth2.exclusive("client_secret", "client_secret_file")
        oauth2.exclusive("client_certificate_key", "client_certificate_key_file")
        _check_proxy(oauth2)


def _check_proxy(section: Section) -> None:
    if section.get("proxy_from_environment"):
        for key in ("proxy_url", "no_proxy"):
            if section.given(key):
                section.error(key, "problem.beside_environment_proxy", key=key)
    elif not section.given("proxy_url"):
        for key in ("no_proxy", "proxy_connect_header"):
            if section.given(key):
                section.error(key, "problem.needs_proxy_url", key=key)


def build_http_settings(http: Mapping[str, Any] | None) -> HttpSettings:
    """The struct of an http_config; None = Alertmanager's defaults."""
    if http is None:
        return HttpSettings()
    basic = http.get("basic_auth", _NO_CREDENTIALS)
    bearer = http.get("authorization", _NO_CREDENTIALS)
    # `bearer_token` is the older form of `authorization`.
    bearer_file = bearer.get("credentials_file") or http.get("bearer_token_file", "")
    return HttpSettings(
        basic_auth_username=basic.get("username", ""),
        basic_auth_username_file=basic.get("username_file", ""),
        basic_auth_password=basic.get("password", Secret("")),
        basic_auth_password_file=basic.get("password_file", ""),
        authorization_type=bearer.get("type", "").strip() or "Bearer",
        authorization_credentials=bearer.get("credentials") or http.get("bearer_token", Secret("")),
        authorization_credentials_file=bearer_file,
        oauth2=_build_oauth2(http["oauth2"]) if "oauth2" in http else None,
        tls=build_tls_settings(http.get("tls_config")),
        **_proxy_settings(http),
        follow_redirects=http["follow_redirects"],
        http_headers={
            name: _header_values(header)
            for name, header in http.get("http_headers", {}).items()
            if header
        },
    )


def _build_oauth2(values: Section) -> OAuth2Settings:
    return OAuth2Settings(
        **values.pick("client_id", "client_secret", "client_secret_file", "token_url"),
        **values.pick("client_certificate_key_id", "client_certificate_key"),
        **values.pick("client_certificate_key_file", "signature_algorithm", "grant_type"),
        **values.pick("iss", "audience", "claims", "endpoint_params"),
        scopes=tuple(values.get("scopes", ())),
        tls=build_tls_settings(values.get("tls_config")),
        **_proxy_settings(values),
    )


def _proxy_settings(values: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a struct that has the keys of a proxy."""
    return {
        "proxy_url": values["proxy_url"].reveal() if "proxy_url" in values else "",
        "no_proxy": values.get("no_proxy", ""),
        "proxy_from_environment": values.get("proxy_from_environment", False),
        "proxy_connect_header": {
            name: tuple(given)
            for name, given in values.get("proxy_connect_header", {}).items()
            if given
        },
    }


def _header_values(header: Mapping[str, Any]) -> tuple[str, ...]:
    files = []
    for path in header.get("files", ()):
        try:
            files.append(reveal(Secret(""), path))
        except (OSError, UnicodeDecodeError):
            continue  # the key has a warning already
    secrets = (value.reveal() for value in header.get("secrets", ()))
    return (*header.get("values", ()), *secrets, *files)
