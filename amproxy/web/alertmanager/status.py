"""GET /status and GET /receivers."""

from __future__ import annotations

from urllib.parse import urlsplit

import msgspec
from msgspec import UNSET, UnsetType

from amproxy import __version__
from amproxy.context import Context
from amproxy.labels.matchers import all_match
from amproxy.web.alertmanager.alerts import labels_of
from amproxy.web.alertmanager.answers import Answer, value
from amproxy.web.alertmanager.http import Asked
from amproxy.web.alertmanager.shown import time

NAME = "amproxy"  # of the cluster's one peer: replicas share a store and do not talk to each other


class Peer(msgspec.Struct):
    address: str
    name: str


class Cluster(msgspec.Struct):
    name: str
    peers: list[Peer]
    status: str


class Original(msgspec.Struct):
    original: str


class VersionInfo(msgspec.Struct):
    """All of these must be there, or amtool refuses the answer."""

    branch: str
    buildDate: str
    buildUser: str
    goVersion: str
    revision: str
    version: str


class ShownStatus(msgspec.Struct):
    cluster: Cluster
    config: Original
    uptime: str
    versionInfo: VersionInfo


class ReceiverWithLabels(msgspec.Struct):
    labels: dict[str, str] | UnsetType
    name: str


class Status:
    def __init__(self, context: Context) -> None:
        self._context = context
        self._started_ns = int(context.now() * 10**9)

    async def status(self, asked: Asked) -> Answer:
        """Since when it runs, and Alertmanager's part of the configuration, secrets hidden."""
        context = self._context
        address = urlsplit(context.external_url).netloc or context.config.web.listen
        return value(
            ShownStatus(
                cluster=Cluster(name=NAME, peers=[Peer(address=address, name=NAME)], status="ready"),
                config=Original(context.config.original),
                uptime=time(self._started_ns),
                versionInfo=VersionInfo(branch="", buildDate="", buildUser="", goVersion="", revision="", version=__version__),
            )
        )

    async def receivers(self, asked: Asked) -> Answer:
        """All receivers, or those that `receiver_matchers` leaves, in the order of the file."""
        wanted = asked.query.matchers("receiver_matchers")
        found = [receiver for receiver in self._context.config.receivers.values() if all_match(wanted, labels_of(receiver))]
        return value([ReceiverWithLabels(labels=receiver.labels or UNSET, name=receiver.name) for receiver in found])
