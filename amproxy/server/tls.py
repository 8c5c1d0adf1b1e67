"""The server's side of TLS. A certificate, its key and the clients' authorities may be renewed while it runs."""

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
_TLS13: Final = "TLS 1.3"  # its suites are always on: neither Go nor Python lets a server choose among them
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
    """What a file holds is no certificate, or not the one of the key; `key` says which setting to look at."""

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
        return [self.cert_file, self.key_file, *([self.client_ca_file] if self.client_ca_file else [])]

    def context(self) -> ssl.SSLContext:
        """What the files hold now. Raises BadCertificate."""
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        old = [openssl for name in self.cipher_suites if (openssl := CIPHERS[name]) != _TLS13]
        if old:
            made.set_ciphers(":".join(old))
        # only suites of TLS 1.3 are wanted: that is the same as wanting TLS 1.3
        made.minimum_version = ssl.TLSVersion.TLSv1_3 if self.cipher_suites and not old else self.min_version
        made.maximum_version = self.max_version
        if not self.prefer_server_cipher_suites:
            made.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
        try:
            made.load_cert_chain(self.cert_file, self.key_file, password="")  # no password: never ask on the terminal for one
        except (ssl.SSLError, OSError) as error:
            raise BadCertificate("cert_file", f"no certificate in PEM form that fits key_file: {_error_reason(error)}") from None
        if self.client_ca_file:
            try:
                made.load_verify_locations(self.client_ca_file)
            except (ssl.SSLError, OSError) as error:
                raise BadCertificate("client_ca_file", f"no certificates in PEM form: {_error_reason(error)}") from None
            made.verify_mode = self.client_auth
        return made


def listening_context(latest: Callable[[], ssl.SSLContext]) -> ssl.SSLContext:
    """The context to listen with. Each new connection gets the certificates of the `latest` one; all else is that of the first."""
    first = latest()

    def greet(connection: ssl.SSLObject | ssl.SSLSocket, name: str | None, context: ssl.SSLContext) -> None:
        connection.context = latest()

    first.sni_callback = greet  # called for every connection, also without a server name
    return first


def _error_reason(error: OSError) -> str:
    reason = error.reason if isinstance(error, ssl.SSLError) else error.strerror
    return (reason or "not readable").replace("_", " ").lower()
