"""The web config file: TLS, basic auth and headers, in the form of Prometheus's exporter-toolkit.

Settings that amproxy lacks are refused with their line, never ignored: TLS below 1.2, a client's
certificate requested but not verified, keys inside the file, curves, rate limits. A change takes
effect by itself while the service runs, as in the Prometheus family.
"""

from __future__ import annotations

import os
import re
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from amproxy.config.files import read_text
from amproxy.config.read.cursor import ConfigDocument, Cursor, Reader, Section
from amproxy.config.read.values import boolean, choice, list_of, name, raw, read_fault, section_of
from amproxy.config.yaml import compose
from amproxy.errors import ConfigError, ConfigProblem
from amproxy.log import EventLog, WholeText
from amproxy.secret import Secret, file_stamp
from amproxy.server import tls
from amproxy.server.tls import BadCertificate, TlsServer
from amproxy.text import Phrase
from amproxy.text.problems import alternatives

log = EventLog(__name__)

# It is read between two requests; three thousand passwords are less.
MAX_FILE_BYTES: Final = 256 * 1024
_CHECK_INTERVAL = 1.0  # seconds between two checks of the files
_BCRYPT_HASH = re.compile(
    r"\$2[aby]\$(0[4-9]|[12][0-9]|3[01])\$[./A-Za-z0-9]{21}[.Oeu][./A-Za-z0-9]{31}"
)
# Headers that may be set → values allowed; () = any.
_ALLOWED_HEADERS: Final[dict[str, tuple[str, ...]]] = {
    "Content-Security-Policy": (),
    "Strict-Transport-Security": (),
    "X-Content-Type-Options": ("nosniff",),
    "X-Frame-Options": ("deny", "sameorigin"),
    "X-XSS-Protection": (),
}


@dataclass(frozen=True)
class WebConfig:
    """The settings of a web config file. By default: no TLS, no authentication, no headers."""

    tls: TlsServer | None = None
    users: Mapping[str, Secret] = field(default_factory=dict)  # name → bcrypt hash
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def authenticates(self) -> bool:
        """True if every client needs a password or a certificate."""
        demands_certificate = self.tls is not None and self.tls.client_auth == ssl.CERT_REQUIRED
        return bool(self.users) or demands_certificate


class WebConfigFile:
    """A web config file that is reloaded when it or a certificate changes, if it is then valid.

    Settings of TLS other than the certificates need a restart, as does dropping authentication.
    The constructor raises ConfigError; nothing later does.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._config = load_web_config(path)
        self._context = self._config.tls.context() if self._config.tls else None
        self._stamps, self._checked_at = self._read_stamps(), time.monotonic()

    def current(self) -> WebConfig:
        """The configuration in force."""
        self._reload_if_changed()
        return self._config

    def certificates(self) -> ssl.SSLContext:
        """A context with the current certificates. Only where the file has a tls_server_config."""
        self._reload_if_changed()
        assert self._context is not None
        return self._context

    def _reload_if_changed(self) -> None:
        # called for every request and connection: the files are not read each time
        if time.monotonic() - self._checked_at < _CHECK_INTERVAL:
            return
        self._checked_at = time.monotonic()
        stamps = self._read_stamps()
        if stamps == self._stamps:
            return
        self._stamps = stamps
        try:
            self._use(load_web_config(self._path))
        except (ConfigError, BadCertificate) as error:
            text = "; ".join(str(error).splitlines())
            log.error("the web config file is not loaded", file=self._path, error=WholeText(text))

    def _use(self, new: WebConfig) -> None:
        server = _with_new_certificates(self._config.tls, new.tls)
        config = replace(new, tls=server)
        if self._config.authenticates and not config.authenticates:
            # open access is decided on at the start, which refuses it beyond loopback
            words = Phrase("problem.authentication_dropped")
            raise ConfigError([ConfigProblem(words, file=str(self._path))])
        if server != new.tls:
            text = "how TLS is spoken changes at the next start; all else has changed now"
            log.warning("the web config file takes a restart", file=self._path, detail=text)
        self._context = server.context() if server else None
        self._config = config
        log.info("the web config file is reloaded", file=self._path)

    def _read_stamps(self) -> list[tuple[int, int, int] | None]:
        certificates = self._config.tls.files if self._config.tls else []
        return [file_stamp(path) for path in (self._path, *certificates)]


def _with_new_certificates(old: TlsServer | None, new: TlsServer | None) -> TlsServer | None:
    """The old settings with the new files, unless the new ones demand other client certificates."""
    if old is None or new is None or new.client_auth != old.client_auth:
        return old
    return replace(
        old, cert_file=new.cert_file, key_file=new.key_file, client_ca_file=new.client_ca_file
    )


def load_web_config(path: Path) -> WebConfig:
    """Read and check a file and its certificates. Paths in it start at its folder.

    Raises ConfigError with all problems, an unreadable file being one of them.
    """
    try:
        node = compose(read_text(path, MAX_FILE_BYTES), str(path))
    except ConfigProblem as problem:
        raise ConfigError([problem]) from None
    if node is None:
        return WebConfig()
    document = ConfigDocument(str(path), path.parent, os.environ)
    config = _read_web_config(Cursor(document, node))
    if document.errors:
        raise ConfigError(sorted(document.errors, key=lambda error: (error.line, error.column)))
    return config


def _read_web_config(at: Cursor) -> WebConfig:
    section = at.section(
        {
            "tls_server_config": _read_tls,
            "http_server_config": _read_http,
            "basic_auth_users": _read_users,
        }
    )
    http = section.get("http_server_config", {})
    return WebConfig(
        section.get("tls_server_config"),
        section.get("basic_auth_users", {}),
        http.get("headers", {}),
    )


def _read_users(at: Cursor) -> dict[str, Secret]:
    users = {}
    for user, key, value in at.pairs():
        if not user or ":" in user:
            key.error("problem.basic_auth_user")
        hashed = raw(value)
        if hashed is not None and _BCRYPT_HASH.fullmatch(hashed):
            users[user] = Secret(hashed)
        elif hashed is not None:
            # not quoted: it may be the password itself
            value.error("problem.expected_bcrypt")
    return users


def _read_http(at: Cursor) -> Section:
    # http2 is accepted and ignored: it is an offer, and without it clients speak HTTP/1.1
    return at.section({"http2": boolean, "headers": _read_headers})


def _read_headers(at: Cursor) -> dict[str, str]:
    section = at.section(dict.fromkeys(_ALLOWED_HEADERS, raw))
    for header, value in section.items():
        allowed = _ALLOWED_HEADERS[header]
        if value and allowed and value not in allowed:
            expected = alternatives(list(allowed), quoted=True)
            section.error(header, "problem.not_allowed", value=value, allowed=expected)
        elif not value.isascii() or not value.isprintable():
            section.error(header, "problem.header_characters")
    return {header: value for header, value in section.items() if value}


def _read_file_path(at: Cursor) -> Path | None:
    text = name(at)
    if text is None:
        return None
    path = at.document.folder / text
    try:
        path.open("rb").close()
    except (OSError, ValueError) as error:  # ValueError: a path with a null byte
        at.error("problem.unreadable_file", path=text, reason=read_fault(error))
        return None
    return path


_TLS: Final[dict[str, Reader]] = {
    "cert_file": _read_file_path,
    "key_file": _read_file_path,
    "client_auth_type": choice(*tls.CLIENT_AUTH),
    "client_ca_file": _read_file_path,
    "min_version": choice(*tls.VERSIONS),
    "max_version": choice(*tls.VERSIONS),
    "cipher_suites": list_of(choice(*tls.CIPHERS)),
    "prefer_server_cipher_suites": boolean,
}


def _read_tls(at: Cursor) -> TlsServer | None:
    before = len(at.document.errors)
    section: Section = section_of(_TLS)(at)
    if not section.cursors and len(at.document.errors) == before:
        return None
    section.require("cert_file")
    section.require("key_file")
    client_auth = tls.CLIENT_AUTH[section.get("client_auth_type", "NoClientCert")]
    if client_auth == ssl.CERT_NONE and section.given("client_ca_file"):
        section.error("client_ca_file", "problem.client_ca_unused")
    if client_auth != ssl.CERT_NONE:
        section.require("client_ca_file", why=Phrase("problem.why_client_ca"))
    lowest, highest = (
        tls.VERSIONS[section.get(key, default)]
        for key, default in (("min_version", "TLS12"), ("max_version", "TLS13"))
    )
    if lowest > highest:
        section.error("max_version", "problem.below_min_version")
    if len(at.document.errors) > before:
        return None
    server = TlsServer(
        cert_file=section["cert_file"],
        key_file=section["key_file"],
        client_auth=client_auth,
        client_ca_file=section.get("client_ca_file"),
        min_version=lowest,
        max_version=highest,
        cipher_suites=tuple(section.get("cipher_suites", ())),
        prefer_server_cipher_suites=section.get("prefer_server_cipher_suites", True),
    )
    try:
        server.context()
    except BadCertificate as error:
        section.error(error.key, "problem.bad_certificate", reason=str(error))
    return server
