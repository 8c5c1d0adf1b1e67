"""Alertmanager's http_config and tls_config for httpx and ssl: credentials, proxy, certificates.

The TLS half serves SMTP as well.
"""

from __future__ import annotations

import ipaddress
import os
import ssl
import tempfile
from collections.abc import Generator
from pathlib import Path
from typing import Any, Self

import httpx
import msgspec

from amproxy.config.structs import HttpSettings, TlsSettings
from amproxy.errors import DeliveryError
from amproxy.notify.channels.reach import LIMITS
from amproxy.secret import Secret, reveal
from amproxy.text import phrase

_TLS_VERSIONS = {
    "TLS10": ssl.TLSVersion.TLSv1,
    "TLS11": ssl.TLSVersion.TLSv1_1,
    "TLS12": ssl.TLSVersion.TLSv1_2,
    "TLS13": ssl.TLSVersion.TLSv1_3,
}

_IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


def client_options(http: HttpSettings) -> dict[str, Any]:
    """Arguments of httpx.AsyncClient.

    Raises DeliveryError (permanent) where the certificates or the proxy cannot be used.
    """
    return {
        "auth": _Credentials(http) if _has_credentials(http) else None,
        "headers": [
            (name, value) for name, values in http.http_headers.items() for value in values
        ],
        "verify": build_ssl_context(http.tls) if http.tls != TlsSettings() else True,
        "trust_env": False,
    }


def settings_for_url(http: HttpSettings, url: str) -> HttpSettings:
    """The settings that hold for a URL: with the proxy that it is called over, or without one."""
    if not http.proxy_url and not http.proxy_from_environment:
        return http
    return msgspec.structs.replace(
        http,
        proxy_url=proxy_for_url(http, httpx.URL(url)),
        no_proxy="",
        proxy_from_environment=False,
    )


def proxy_for_url(http: HttpSettings, url: httpx.URL) -> str:
    """The proxy over which a URL is called, as Go decides it; "" = it is called directly."""
    if http.proxy_from_environment:
        no_proxy = _environment("NO_PROXY")
        proxy = _environment(f"{url.scheme.upper()}_PROXY")
        if proxy and "://" not in proxy:
            proxy = f"http://{proxy}"
        return "" if _bypasses_proxy(no_proxy, url) else proxy
    bypassed = http.no_proxy and _bypasses_proxy(http.no_proxy, url)
    return "" if bypassed else http.proxy_url


def _environment(name: str) -> str:
    return os.environ.get(name) or os.environ.get(name.lower()) or ""


class ProxyTransport(httpx.AsyncBaseTransport):
    """Calls each address over the proxy of its own, or directly."""

    def __init__(self, http: HttpSettings, verify: ssl.SSLContext | bool) -> None:
        self._http = http
        self._verify = httpx.create_ssl_context() if verify is True else verify
        # By the proxy, and whether it is asked for a tunnel.
        self._transports: dict[tuple[str, bool], httpx.AsyncHTTPTransport] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Raises DeliveryError (permanent) for a proxy that cannot be used, httpx's errors."""
        proxy = proxy_for_url(self._http, request.url)
        key = proxy, request.url.scheme == "https"
        if key not in self._transports:
            self._transports[key] = self._build(*key)
        return await self._transports[key].handle_async_request(request)

    def _build(self, proxy: str, tunnel: bool) -> httpx.AsyncHTTPTransport:
        headers = self._http.proxy_connect_header.items() if tunnel else ()
        listed = [(name, value.reveal()) for name, values in headers for value in values]
        try:
            return httpx.AsyncHTTPTransport(
                verify=self._verify,
                limits=LIMITS,
                proxy=httpx.Proxy(proxy, headers=listed) if proxy else None,
            )
        # ValueError and InvalidURL quote the URL, which may hold a password; ImportError: SOCKS
        except (ValueError, httpx.InvalidURL, ImportError):
            raise DeliveryError(phrase("failure.proxy_url"), permanent=True) from None

    async def aclose(self) -> None:
        for transport in self._transports.values():
            await transport.aclose()


def certificate_files(settings: TlsSettings) -> list[str]:
    """The files that `build_ssl_context` reads."""
    named = (settings.ca_file, settings.cert_file, settings.key_file)
    return [name for name in named if name]


def build_ssl_context(settings: TlsSettings) -> ssl.SSLContext:
    """The client's side of TLS: certificates are checked unless the settings forbid it.

    Files are read now. Raises DeliveryError (permanent) where one of them cannot be used.
    """
    context = _ServerNameContext(settings.server_name)
    try:
        if settings.insecure_skip_verify:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        elif settings.ca or settings.ca_file:
            cafile, cadata = settings.ca_file or None, settings.ca or None
            context.load_verify_locations(cafile=cafile, cadata=cadata)
        else:
            context.load_default_certs()
        if settings.cert or settings.cert_file:
            _load_client_certificate(context, settings)
        if settings.min_version:
            context.minimum_version = _TLS_VERSIONS[settings.min_version]
        if settings.max_version:
            context.maximum_version = _TLS_VERSIONS[settings.max_version]
    except KeyError as error:
        words = phrase("failure.tls_version", version=str(error.args[0]))
        raise DeliveryError(words, permanent=True) from None
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError; neither text holds a key
        words = phrase("failure.certificates", said=str(error))
        raise DeliveryError(words, permanent=True) from None
    return context


class _ServerNameContext(ssl.SSLContext):
    """A context that expects the settings' `server_name` in the certificate, whatever the host."""

    server_name: str

    def __new__(cls, server_name: str) -> Self:
        self = super().__new__(cls, ssl.PROTOCOL_TLS_CLIENT)
        self.server_name = server_name
        return self

    def wrap_bio(
        self,
        incoming: Any,
        outgoing: Any,
        server_side: bool = False,
        server_hostname: Any = None,
        session: Any = None,
    ) -> Any:
        return super().wrap_bio(
            incoming, outgoing, server_side, self.server_name or server_hostname, session
        )


def _load_client_certificate(context: ssl.SSLContext, settings: TlsSettings) -> None:
    """Load the settings' certificate with its key."""
    certificate = settings.cert or Path(settings.cert_file).read_text("utf-8")
    # OpenSSL takes both from files only: they go into one that only this user can read, and that
    # is gone a moment later.
    with tempfile.NamedTemporaryFile("w", suffix=".pem", encoding="utf-8") as file:
        file.write(certificate + "\n" + reveal(settings.key, settings.key_file) + "\n")
        file.flush()
        context.load_cert_chain(file.name)


class _Credentials(httpx.Auth):
    """Sets the Authorization header of each request.

    Files are read each time, so that a changed one takes effect.
    """

    def __init__(self, http: HttpSettings) -> None:
        self._http = http

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        try:
            request.headers["Authorization"] = self._header()
        except (OSError, UnicodeError) as error:
            words = phrase("failure.credentials_unread", said=str(error))
            raise DeliveryError(words, permanent=True, reason="auth_error") from None
        yield request

    def _header(self) -> str:
        http = self._http
        if _has_basic(http):
            # no Secret of a name given as text: the log would hide it wherever else it stands
            file = http.basic_auth_username_file
            user = reveal(Secret(""), file) if file else http.basic_auth_username
            password = reveal(http.basic_auth_password, http.basic_auth_password_file)
            return httpx.BasicAuth(user, password)._auth_header
        credentials = reveal(http.authorization_credentials, http.authorization_credentials_file)
        return f"{http.authorization_type} {credentials}"


def _has_basic(http: HttpSettings) -> bool:
    return bool(http.basic_auth_username or http.basic_auth_username_file)


def _has_credentials(http: HttpSettings) -> bool:
    return _has_basic(http) or bool(
        http.authorization_credentials or http.authorization_credentials_file
    )


def _bypasses_proxy(no_proxy: str, url: httpx.URL) -> bool:
    """True where `no_proxy` names the URL's host, read as Go reads NO_PROXY.

    Entries: hosts with their subdomains, `.domain` for subdomains only, addresses, networks, `*`;
    a port may follow.
    """
    host = url.host.lower().rstrip(".")
    port = url.port or (443 if url.scheme == "https" else 80)
    address = _parse_ip_address(host)
    if host == "localhost" or (address is not None and address.is_loopback):
        return True
    entries = filter(None, (entry.strip().lower() for entry in no_proxy.split(",")))
    return any(_no_proxy_matches(entry, host, address, port) for entry in entries)


def _parse_ip_address(host: str) -> _IpAddress | None:
    try:
        return ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return None


def _no_proxy_matches(entry: str, host: str, address: _IpAddress | None, port: int) -> bool:
    if entry == "*":
        return True
    if "/" in entry:
        return address is not None and _in_network(address, entry)
    # the colons of an IPv6 address are no port
    if _parse_ip_address(entry) is None and ":" in entry:
        entry, _, wanted = entry.rpartition(":")
        if wanted != str(port):
            return False
    if address is not None:
        return _parse_ip_address(entry) == address
    domain = entry.removeprefix("*").removeprefix(".")
    return host.endswith("." + domain) or (host == domain and not entry.startswith((".", "*.")))


def _in_network(address: _IpAddress, network: str) -> bool:
    try:
        return address in ipaddress.ip_network(network, strict=False)
    except ValueError:
        return False
