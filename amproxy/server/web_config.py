"""The web config file: TLS, basic auth and headers in the form that the Prometheus family shares (its exporter-toolkit).

What of that form amproxy does not do is refused with its line, never ignored: TLS below 1.2, a client's certificate that is
asked for but not verified, keys written into the file itself, curves, limits of rate.

A web config file while the service runs: a change takes effect by itself, as in the Prometheus family.
"""

from __future__ import annotations

import logging
import os
import re
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from amproxy.config.read.cursor import ConfigDocument, Cursor, Reader, Section
from amproxy.config.read.values import boolean, choice, list_of, name, raw, section_of
from amproxy.config.yaml import compose
from amproxy.errors import ConfigError, ConfigProblem
from amproxy.secret import Secret
from amproxy.server import tls
from amproxy.server.tls import BadCertificate, TlsServer

_BCRYPT_HASH = re.compile(r"\$2[aby]\$(0[4-9]|[12][0-9]|3[01])\$[./A-Za-z0-9]{21}[.Oeu][./A-Za-z0-9]{31}")
_ALLOWED_HEADERS: Final[dict[str, tuple[str, ...]]] = {  # those that may be set, and the values allowed; () = any
    "Content-Security-Policy": (),
    "Strict-Transport-Security": (),
    "X-Content-Type-Options": ("nosniff",),
    "X-Frame-Options": ("deny", "sameorigin"),
    "X-XSS-Protection": (),
}


@dataclass(frozen=True)
class WebConfig:
    """A web config file. Nothing given is nothing demanded: no TLS, nobody to be known, no headers."""

    tls: TlsServer | None = None
    users: Mapping[str, Secret] = field(default_factory=dict)  # name → bcrypt hash
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def authenticates(self) -> bool:
        """Whether nobody gets in without having shown who they are."""
        return bool(self.users) or (self.tls is not None and self.tls.client_auth == ssl.CERT_REQUIRED)


def load_web_config(path: Path) -> WebConfig:
    """Read and check a file, its certificates too. Paths in it start at its folder.

    Raises ConfigError with everything that is wrong; a file that cannot be read is such a problem too.
    """
    try:
        text = path.read_text("utf-8-sig")
        node = compose(text, str(path))
    except OSError as error:
        raise ConfigError([ConfigProblem(f"cannot read the file: {error.strerror or error}", file=str(path))]) from None
    except UnicodeDecodeError:
        raise ConfigError([ConfigProblem("not UTF-8", file=str(path))]) from None
    except ConfigProblem as problem:
        raise ConfigError([problem]) from None
    if node is None:
        return WebConfig()
    document = ConfigDocument(str(path), path.parent, os.environ)
    found = _read_web_config(Cursor(document, node))
    if document.errors:
        raise ConfigError(sorted(document.errors, key=lambda problem: (problem.line, problem.column)))
    return found


def _read_web_config(at: Cursor) -> WebConfig:
    section = at.section({"tls_server_config": _read_tls, "http_server_config": _read_http, "basic_auth_users": _read_users})
    http = section.get("http_server_config", {})
    return WebConfig(section.get("tls_server_config"), section.get("basic_auth_users", {}), http.get("headers", {}))


def _read_users(at: Cursor) -> dict[str, Secret]:
    users = {}
    for user, key, value in at.pairs():
        if not user or ":" in user:
            key.error("the name of a user must not be empty and cannot have a colon: basic auth ends the name there")
        hashed = raw(value)
        if hashed is not None and _BCRYPT_HASH.fullmatch(hashed):
            users[user] = Secret(hashed)
        elif hashed is not None:
            # not quoted: it may be the password itself
            value.error("expected a bcrypt hash, such as `htpasswd -nBC 10 NAME` prints after the colon")
    return users


def _read_http(at: Cursor) -> Section:
    # http2 is an offer that a server makes; without it clients speak HTTP/1.1, which is all that amproxy speaks
    return at.section({"http2": boolean, "headers": _read_headers})


def _read_headers(at: Cursor) -> dict[str, str]:
    section = at.section(dict.fromkeys(_ALLOWED_HEADERS, raw))
    for header, value in section.items():
        allowed = _ALLOWED_HEADERS[header]
        if value and allowed and value not in allowed:
            section.error(header, f"{value!r} is not allowed here: expected {' or '.join(map(repr, allowed))}")
        elif not value.isascii() or not value.isprintable():
            section.error(header, "a header takes printable ASCII characters only")
    return {header: value for header, value in section.items() if value}


def _read_file_path(at: Cursor) -> Path | None:
    found = name(at)
    if found is None:
        return None
    path = at.document.folder / found
    try:
        path.open("rb").close()
    except (OSError, ValueError) as error:
        at.error(f"cannot read the file {found!r}: {error.strerror if isinstance(error, OSError) else 'not a usable path'}")
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
    if not section.places and len(at.document.errors) == before:
        return None
    section.require("cert_file")
    section.require("key_file")
    client_auth = tls.CLIENT_AUTH[section.get("client_auth_type", "NoClientCert")]
    if client_auth == ssl.CERT_NONE and section.given("client_ca_file"):
        section.error("client_ca_file", "what for? client_auth_type does not ask for a client's certificate")
    if client_auth != ssl.CERT_NONE:
        section.require("client_ca_file", why="who signs the certificates of clients?")
    lowest, highest = (tls.VERSIONS[section.get(key, default)] for key, default in (("min_version", "TLS12"), ("max_version", "TLS13")))
    if lowest > highest:
        section.error("max_version", "is below min_version")
    if len(at.document.errors) > before:
        return None
    made = TlsServer(
        cert_file=section["cert_file"], key_file=section["key_file"], client_auth=client_auth, client_ca_file=section.get("client_ca_file"),
        min_version=lowest, max_version=highest, cipher_suites=tuple(section.get("cipher_suites", ())),
        prefer_server_cipher_suites=section.get("prefer_server_cipher_suites", True),
    )  # fmt: skip
    try:
        made.context()
    except tls.BadCertificate as error:
        section.error(error.key, str(error))
    return made


log = logging.getLogger(__name__)

_CHECK_INTERVAL = 1.0  # seconds between two looks at the files

_FileStamp = tuple[int, int, int]


class WebConfigFile:
    """`current` and `certificates` are what the file and the certificates say now, or said last while they were sound.

    Whether TLS is spoken, and how, is settled at the start; so is whether people must show who they are.
    Raises ConfigError at first, never later.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._config = load_web_config(path)
        self._context = self._config.tls.context() if self._config.tls else None
        self._stamp, self._looked = self._now(), time.monotonic()

    def current(self) -> WebConfig:
        """What is in force."""
        self._look()
        return self._config

    def certificates(self) -> ssl.SSLContext:
        """A context with what the certificates' files hold. Only where the file has a tls_server_config."""
        self._look()
        assert self._context is not None
        return self._context

    def _look(self) -> None:
        if time.monotonic() - self._looked < _CHECK_INTERVAL:
            return
        self._looked = time.monotonic()
        stamp = self._now()
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self._use(load_web_config(self._path))
        except (ConfigError, BadCertificate) as error:
            log.error("the web config file is not loaded, what it said before goes on:\n%s", error)

    def _use(self, found: WebConfig) -> None:
        before = self._config
        tls = before.tls
        if tls and found.tls and found.tls.client_auth == tls.client_auth:
            wanted = found.tls
            tls = replace(tls, cert_file=wanted.cert_file, key_file=wanted.key_file, client_ca_file=wanted.client_ca_file)
        made = replace(found, tls=tls)
        if before.authenticates and not made.authenticates:
            # what is open to all is decided at the start, where it is refused beyond loopback
            raise ConfigError([ConfigProblem("nobody would have to show who they are: that takes a restart", file=str(self._path))])
        if tls != found.tls:
            log.warning("%s: how TLS is spoken changes at the next start; all else has changed now", self._path)
        self._context = tls.context() if tls else None
        self._config = made
        log.info("loaded %s", self._path)

    def _now(self) -> list[_FileStamp | None]:
        return [_file_stamp(path) for path in (self._path, *(self._config.tls.files if self._config.tls else ()))]


def _file_stamp(path: Path) -> _FileStamp | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
