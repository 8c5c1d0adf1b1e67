"""Alertmanager's options of the command line: `amproxy` starts where a unit file starts it.

Those with a meaning here are options of `amproxy serve` themselves; the others are taken, and the
log says that they have no effect.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Final

from amproxy.labels.matchers import MatcherMode
from amproxy.times import parse_go_duration

# Feature → the grammar of matchers and names of labels that it asks for.
_GRAMMARS: Final[dict[str, MatcherMode]] = {"classic-mode": "classic", "utf8-strict-mode": "utf8"}
# Alertmanager's other features. What they add is there always, or has no meaning here.
_OTHER_FEATURES: Final = frozenset(
    (
        *("alert-names-in-metrics", "receiver-name-in-metrics", "group-key-in-metrics"),
        *("auto-gomemlimit", "event-recorder", "muted-alerts-in-nflog"),
    )
)
# Taken with a value, and without effect.
_WITHOUT_EFFECT: Final = (
    *("data.retention", "data.maintenance-interval"),
    *("silences.max-silences", "silences.max-silence-size-bytes"),
    *("alerts.gc-interval", "alerts.per-alertname-limit", "dispatch.maintenance-interval"),
    *("web.cors.origin", "web.get-concurrency", "web.timeout"),
    *("api.connect.unary-concurrency", "api.connect.stream-concurrency"),
    *("api.connect.unary-timeout", "api.connect.stream-idle-timeout"),
    *("api.connect.stream-lifetime", "api.connect.read-max-bytes"),
    *("api.connect.send-max-bytes", "api.connect.max-request-body-bytes"),
    *("auto-gomemlimit.ratio", "auto-gomemlimit.refresh-interval"),
    *("cluster.listen-address", "cluster.advertise-address", "cluster.peer-name"),
    *("cluster.peer", "cluster.peer-timeout", "cluster.peers-resolve-timeout"),
    *("cluster.gossip-interval", "cluster.pushpull-interval", "cluster.tcp-timeout"),
    *("cluster.probe-timeout", "cluster.probe-interval", "cluster.settle-timeout"),
    *("cluster.reconnect-interval", "cluster.reconnect-timeout", "cluster.tls-config"),
    "cluster.label",
)
# The same of switches.
_SWITCHES: Final = (
    *("log.silences", "auto-gomemlimit", "web.systemd-socket"),
    "cluster.allow-insecure-public-advertise-address-discovery",
)
# Of the options above, what does their work here.
_INSTEAD: Final = {
    "data": "store.retention of the file",
    "cluster": "replicas share a Redis (--redis)",
}


class _NoteUnused(argparse.Action):
    """Remember the name of an option without effect."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: object,
        option_string: str | None = None,
    ) -> None:
        noted: list[str] = getattr(namespace, self.dest)
        setattr(namespace, self.dest, [*noted, option_string or self.option_strings[0]])


def add_alertmanager_options(command: argparse.ArgumentParser) -> None:
    """Add them all; `without_effect` becomes the list of those that were given in vain."""
    command.set_defaults(without_effect=[])
    for name in _WITHOUT_EFFECT:
        command.add_argument(
            f"--{name}", action=_NoteUnused, dest="without_effect", help=argparse.SUPPRESS
        )
    for name in (*_SWITCHES, *(f"no-{name}" for name in _SWITCHES)):
        command.add_argument(
            f"--{name}", action=_NoteUnused, nargs=0, dest="without_effect", help=argparse.SUPPRESS
        )


def why_without_effect(option: str) -> str:
    """The thing that does the work of an option here; "" = nothing does."""
    return _INSTEAD.get(option.removeprefix("--").partition(".")[0], "")


def matcher_mode(features: str) -> MatcherMode:
    """The grammar that `--enable-feature` asks for: names with commas between them.

    Raises argparse.ArgumentTypeError for a name that Alertmanager does not have either.
    """
    names = [name for name in features.split(",") if name]
    for name in names:
        if name not in _GRAMMARS and name not in _OTHER_FEATURES:
            raise argparse.ArgumentTypeError(f"there is no feature {name!r}")
    wanted = {_GRAMMARS[name] for name in names if name in _GRAMMARS}
    if len(wanted) > 1:
        raise argparse.ArgumentTypeError(f"{' and '.join(_GRAMMARS)} exclude each other")
    return wanted.pop() if wanted else "fallback"


def go_seconds(text: str) -> float:
    """Seconds of a duration as Go writes it (`5s`, `1m30s`). Raises ArgumentTypeError."""
    try:
        return parse_go_duration(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no duration such as 30s or 1m30s") from None


def listen_address(text: str) -> str:
    """HOST:PORT of `--web.listen-address`, where no host means every address."""
    host, colon, port = text.rpartition(":")
    return f"0.0.0.0:{port}" if colon and not host else text


def in_alertmanagers_place(arguments: Sequence[str]) -> bool:
    """Tell whether a command line has options and no command, as Alertmanager's."""
    return bool(arguments) and arguments[0].startswith("--") and arguments[0] not in _OWN


_OWN: Final = ("--help", "--version")
