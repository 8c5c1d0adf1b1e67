"""Where the service is reached: by the command line, else by the file, else by what it listens on."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from amproxy.errors import AmproxyError


class BadAddress(AmproxyError):
    """An option of the command line that is no address; the text says which and why."""


@dataclass(frozen=True)
class Address:
    """`file_url` is everywhere `web.external_url` of the file; "" = not given, there as here."""

    listen: str  # HOST:PORT, as bound
    secure: bool = False  # it speaks TLS
    locked: bool = False  # the web config file lets in nobody who is not known
    external_url: str = ""  # of the command line
    route_prefix: str = ""  # of the command line

    @property
    def origin(self) -> str:
        return f"{'https' if self.secure else 'http'}://{self.listen}"

    def open_to(self, *, signing_in: bool, allowed: bool) -> bool:
        """Whether strangers on other machines could act, though the file does not allow that in so many words."""
        host = self.listen.rpartition(":")[0].strip("[]")
        return not (self.locked or signing_in or allowed or is_loopback(host))

    def prefix(self, file_url: str) -> str:
        """The path below which everything is served, without a slash at its end; "" = none.

        Where no prefix is given it is the path of the external URL, as for Alertmanager.
        """
        path = self.route_prefix or unquote(urlsplit(self.external_url or file_url).path)
        return f"/{path.strip('/')}".rstrip("/")

    def url(self, file_url: str) -> str:
        """What links in messages begin with, without a slash at its end. A URL without a path of its own gets the prefix."""
        url = (self.external_url or file_url).rstrip("/") or self.origin
        return url if urlsplit(url).path else url + self.prefix(file_url)


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches it."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check(external_url: str, route_prefix: str) -> None:
    """Raises BadAddress where one of the two options cannot be what it should be."""
    if external_url:
        try:
            parts = urlsplit(external_url)
        except ValueError:
            raise BadAddress(f"--web.external-url {external_url!r} is no URL") from None
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise BadAddress(f"--web.external-url {external_url!r} must be http:// or https://, a host, and at most a path")
    if any(char in "?#%\\" or ord(char) <= 32 or ord(char) == 127 for char in route_prefix):
        raise BadAddress(f"--web.route-prefix {route_prefix!r} must be a plain path, such as /oncall")
