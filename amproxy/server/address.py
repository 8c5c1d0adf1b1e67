"""The service's address: by the command line, else by the file, else by what it listens on."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from amproxy.accept.tokens import is_open
from amproxy.config.structs import Config
from amproxy.errors import AmproxyError
from amproxy.text import Phrase


class BadAddress(AmproxyError):
    """An option of the command line that is no address; the text names it and the reason."""


@dataclass(frozen=True)
class Address:
    """The service's address. `file_url` is the file's `web.external_url` everywhere, "" = none."""

    listen: str  # HOST:PORT, as bound
    secure: bool = False  # it speaks TLS
    locked: bool = False  # the web config file demands a password or certificate
    external_url: str = ""  # of the command line
    route_prefix: str = ""  # of the command line

    @property
    def origin(self) -> str:
        return f"{'https' if self.secure else 'http'}://{self.listen}"

    def open_access(self, config: Config) -> Phrase | None:
        """The words for what strangers could do; None = nothing, or it is allowed."""
        host = self.listen.rpartition(":")[0].strip("[]")
        if self.locked or config.web.allow_unauthenticated or is_loopback(host):
            return None
        if config.sign_in is None:
            return Phrase("problem.open_without_sign_in")
        sources, heartbeats = config.sources.values(), config.heartbeats.values()
        doors = [Phrase("problem.source", {"name": one.name}) for one in sources if is_open(one)]
        doors += [
            Phrase("problem.heartbeat", {"name": one.name}) for one in heartbeats if is_open(one)
        ]
        return Phrase("problem.open_doors", {"doors": tuple(doors)}) if doors else None

    def prefix(self, file_url: str) -> str:
        """The path below which everything is served, without a slash at its end; "" = none.

        By default the path of the external URL, as for Alertmanager.
        """
        path = self.route_prefix or unquote(urlsplit(self.external_url or file_url).path)
        return f"/{path.strip('/')}".rstrip("/")

    def url(self, file_url: str) -> str:
        """The base URL of links, no slash at its end. A URL without a path gets the prefix."""
        url = (self.external_url or file_url).rstrip("/") or self.origin
        return url if urlsplit(url).path else url + self.prefix(file_url)


def is_loopback(host: str) -> bool:
    """Check that only this machine can reach a host; False for names other than localhost."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check(external_url: str, route_prefix: str) -> None:
    """Validate the two options of the command line. Raises BadAddress."""
    if external_url:
        try:
            url = urlsplit(external_url)
        except ValueError:
            raise BadAddress(f"--web.external-url {external_url!r} is no URL") from None
        is_base = url.scheme in ("http", "https") and url.hostname
        if not is_base or url.query or url.fragment:
            raise BadAddress(
                f"--web.external-url {external_url!r} must be http:// or https://, a host, "
                "and at most a path"
            )
    # control characters and spaces (up to 32, and 127) as well: it goes into headers and links
    if any(char in "?#%\\" or ord(char) <= 32 or ord(char) == 127 for char in route_prefix):
        raise BadAddress(
            f"--web.route-prefix {route_prefix!r} must be a plain path, such as /oncall"
        )
