"""TLS as the file asks for it: Alertmanager's tls_config made an SSLContext, for HTTP and SMTP alike."""

from __future__ import annotations

import ssl
import tempfile
from pathlib import Path
from typing import Any, Self

from amproxy.config.structs import TlsSettings
from amproxy.errors import DeliveryError
from amproxy.secret import reveal

_VERSIONS = {
    "TLS10": ssl.TLSVersion.TLSv1,
    "TLS11": ssl.TLSVersion.TLSv1_1,
    "TLS12": ssl.TLSVersion.TLSv1_2,
    "TLS13": ssl.TLSVersion.TLSv1_3,
}


class _Context(ssl.SSLContext):
    """A context that expects one name in the certificate, whatever host is called: `server_name` of the settings."""

    server_name: str

    def __new__(cls, server_name: str) -> Self:
        self = super().__new__(cls, ssl.PROTOCOL_TLS_CLIENT)
        self.server_name = server_name
        return self

    def wrap_bio(self, incoming: Any, outgoing: Any, server_side: bool = False, server_hostname: Any = None, session: Any = None) -> Any:
        return super().wrap_bio(incoming, outgoing, server_side, self.server_name or server_hostname, session)


def context(settings: TlsSettings) -> ssl.SSLContext:
    """The client's side of TLS: certificates are checked unless the settings say otherwise.

    Files are read now. Raises DeliveryError (permanent) where one cannot be read or is not what it should be.
    """
    made = _Context(settings.server_name)
    try:
        if settings.insecure_skip_verify:
            made.check_hostname, made.verify_mode = False, ssl.CERT_NONE
        elif settings.ca or settings.ca_file:
            made.load_verify_locations(cafile=settings.ca_file or None, cadata=settings.ca or None)
        else:
            made.load_default_certs()
        if settings.cert or settings.cert_file:
            _load_own_certificate(made, settings)
        if settings.min_version:
            made.minimum_version = _VERSIONS[settings.min_version]
        if settings.max_version:
            made.maximum_version = _VERSIONS[settings.max_version]
    except KeyError as error:
        raise DeliveryError(f"TLS: there is no version {error}", permanent=True) from None
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError; neither text holds a key
        raise DeliveryError(f"TLS: the certificates cannot be used: {error}", permanent=True) from None
    return made


def _load_own_certificate(made: ssl.SSLContext, settings: TlsSettings) -> None:
    """OpenSSL takes a certificate with its key from files only: both go into one that only this user can read, for a moment."""
    certificate = settings.cert or Path(settings.cert_file).read_text("utf-8")
    with tempfile.NamedTemporaryFile("w", suffix=".pem", encoding="utf-8") as file:
        file.write(certificate + "\n" + reveal(settings.key, settings.key_file) + "\n")
        file.flush()
        made.load_cert_chain(file.name)
