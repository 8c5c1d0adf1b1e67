"""A web config file while the service runs: a change takes effect by itself, as in the Prometheus family."""

from __future__ import annotations

import logging
import ssl
import time
from dataclasses import replace
from pathlib import Path

from amproxy.errors import ConfigError, ConfigProblem
from amproxy.server.tls import BadCertificate
from amproxy.server.web_config import WebConfig, load_web_config

log = logging.getLogger(__name__)

_PATIENCE = 1.0  # seconds between two looks at the files

_Stamp = tuple[int, int, int]


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
        if time.monotonic() - self._looked < _PATIENCE:
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

    def _now(self) -> list[_Stamp | None]:
        return [_stamp(path) for path in (self._path, *(self._config.tls.files if self._config.tls else ()))]


def _stamp(path: Path) -> _Stamp | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
