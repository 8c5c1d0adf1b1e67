"""TLS of the server. Certificate, key and the clients' authorities may be renewed while it runs."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from amproxy.errors import AmproxyError

# The words are Go's, as the Prometheus family has them.
VERSIONS: Final = {"TLS12": ssl.TLSVersion.TLSv1_2, "TLS13": ssl.TLSVersion.TLSv1_3}
CLIENT_AUTH: Final = {
    "NoClientCert": ssl.CERT_NONE,
    "VerifyClientCertIfGiven": ssl.CERT_OPTIONAL,
    "RequireAndVerifyClientCert": ssl.CERT_REQUIRED,
}
# Suites of TLS 1.3 are always on: neither Go nor Python lets a server choose among them.
_TLS13: Final = "TLS 1.3"
CIPHERS: Final = {  # Go's name → OpenSSL's
    "TLS_AES_128_GCM_SHA256": _TLS13,
    "TLS_AES_256_GCM_SHA384": _TLS13,
    "TLS_CHACHA20_POLY1305_SHA256": _TLS13,
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA": "ECDHE-ECDSA-AES128-SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA": "ECDHE-ECDSA-AES256-SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA": "ECDHE-RSA-AES128-SHA",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA": "ECDHE-RSA-AES256-SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256": "ECDHE-ECDSA-AES128-GCM-SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384": "ECDHE-ECDSA-AES256-GCM-SHA384",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256": "ECDHE-RSA-AES128-GCM-SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384": "ECDHE-RSA-AES256-GCM-SHA384",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-ECDSA-CHACHA20-POLY1305",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-RSA-CHACHA20-POLY1305",
}


class BadCertificate(AmproxyError):
    """A file holds no certificate, or not that of the key; `key` is the name of the setting."""

    def __init__(self, key: str, message: str) -> None:
        super().__init__(message)
        self.key = key


@dataclass(frozen=True, kw_only=True)
class TlsServer:
    """`tls_server_config` of a web config file."""

    cert_file: Path
    key_file: Path
    client_auth: ssl.VerifyMode = ssl.CERT_NONE
    client_ca_file: Path | None = None
    min_version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2
    max_version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3
    cipher_suites: tuple[str, ...] = ()  # Go's names, of CIPHERS; () = Python's choice
    prefer_server_cipher_suites: bool = True

    @property
    def files(self) -> list[Path]:
        return [
            self.cert_file,
            self.key_file,
            *([self.client_ca_file] if self.client_ca_file else []),
        ]

    def context(self) -> ssl.SSLContext:
        """Return a context with the current content of the files. Raises BadCertificate."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        older = [openssl for name in self.cipher_suites if (openssl := CIPHERS[name]) != _TLS13]
        if older:
            context.set_ciphers(":".join(older))
        # only suites of TLS 1.3 are listed: that is the same as demanding TLS 1.3
        only_tls13 = self.cipher_suites and not older
        context.minimum_version = ssl.TLSVersion.TLSv1_3 if only_tls13 else self.min_version
        context.maximum_version = self.max_version
        if not self.prefer_server_cipher_suites:
            context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
        try:
            # an empty password, or OpenSSL would ask for one on the terminal
            context.load_cert_chain(self.cert_file, self.key_file, password="")
        except (ssl.SSLError, OSError) as error:
            message = f"no certificate in PEM form that fits key_file: {_error_reason(error)}"
            raise BadCertificate("cert_file", message) from None
        if self.client_ca_file:
            try:
                context.load_verify_locations(self.client_ca_file)
            except (ssl.SSLError, OSError) as error:
                message = f"no certificates in PEM form: {_error_reason(error)}"
                raise BadCertificate("client_ca_file", message) from None
            context.verify_mode = self.client_auth
        return context


def listening_context(latest: Callable[[], ssl.SSLContext]) -> ssl.SSLContext:
    """Return the context to listen with.

    Each new connection gets the certificates of the `latest` one; all other settings stay.
    """
    first = latest()

    def use_latest(
        connection: ssl.SSLObject | ssl.SSLSocket, name: str | None, context: ssl.SSLContext
    ) -> None:
        connection.context = latest()

    first.sni_callback = use_latest  # called for every connection, also without a server name
    return first


def _error_reason(error: OSError) -> str:
    reason = error.reason if isinstance(error, ssl.SSLError) else error.strerror
    return (reason or "not readable").replace("_", " ").lower()
