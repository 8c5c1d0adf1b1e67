"""The content of a message about alerts: their texts and places, the order of their labels. Pure.

Everything comes from outside and is as it came; channels clean, clip and escape it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final
from urllib.parse import urlsplit

from amproxy.model import Alert
from amproxy.notify import grafana

TEXT_ANNOTATIONS: Final = ("summary", "description", "message", grafana.ERROR_ANNOTATION)

# Labels that say where an alert is, the most exact first. Those of a namespace go with its name.
_WORKLOADS: Final = (
    *("pod", "statefulset", "deployment", "daemonset", "replicaset", "cronjob", "job_name"),
    *("horizontalpodautoscaler", "hpa", "persistentvolumeclaim", "poddisruptionbudget"),
    *("resourcequota", "ingress"),
)
_MACHINES: Final = ("node", "instance", "nodename", "host", "hostname", "server", "machine")
# Of a machine: the part of it that the alert is about.
_DEVICES: Final = ("device", "mountpoint", "disk", "volume", "interface", "filesystem", "gpu")
_WIDER: Final = ("service", "application", "app", "component", "namespace", "site", "region")
PLACE_LABELS: Final = ("cluster", "namespace", *_WORKLOADS, "container", *_MACHINES, *_DEVICES)
# Shown first, and cut last: how grave, whose, where. All others come between these and the labels
# that say only by which way the alert came.
PRIORITY_LABELS: Final = ("severity", "team", *PLACE_LABELS, "service")
LAST_LABELS: Final = (
    "job",
    "endpoint",
    "prometheus",
    "prometheus_replica",
    "receive",
    "replica",
    "uid",
)
_RANKS = {name: place - len(PRIORITY_LABELS) for place, name in enumerate(PRIORITY_LABELS)}
_RANKS |= {name: place for place, name in enumerate(LAST_LABELS, 1)}
# Its alerts are about other things than where it runs itself.
_OBSERVER: Final = "kube-state-metrics"
MAX_PLACES: Final = 2  # that a heading names
LONGEST_SAID: Final = 150  # characters of a title that no heading cuts
MOST_OTHERS: Final = 8  # annotations besides the usual ones


def text_of(annotations: Mapping[str, str], alerts: Sequence[Alert]) -> str:
    """The text that all alerts share, in lines; of a single alert all of its own.

    Summary, description and message, Grafana's error, then every other annotation for people with
    its name.
    """
    if len(alerts) == 1:
        annotations = {**alerts[0].annotations, **annotations}
    others = list(other_texts(annotations))
    if len(others) > MOST_OTHERS:
        others = [*others[:MOST_OTHERS], f"… and {len(others) - MOST_OTHERS} more annotations"]
    return "\n".join((*usual_texts(annotations), *others))


def own_texts(alert: Alert, common: Mapping[str, str], said: str) -> list[str]:
    """The texts of one alert that neither its group shares nor `said` has, a line or more each."""
    own = {name: text for name, text in alert.annotations.items() if common.get(name) != text}
    return [text for text in (*usual_texts(own), *other_texts(own)) if text not in said]


def usual_texts(annotations: Mapping[str, str]) -> list[str]:
    return [annotations[name] for name in TEXT_ANNOTATIONS if annotations.get(name)]


def other_texts(annotations: Mapping[str, str]) -> list[str]:
    """All annotations that are for people and no links: "impact: Shop is down"."""
    return [
        f"{name}: {text}"
        for name, text in annotations.items()
        if text
        and not name.startswith("__")
        and name not in TEXT_ANNOTATIONS
        and not is_web_url(text)
    ]


def places_of(alerts: Iterable[Alert]) -> list[str]:
    """The places of alerts, each once: "eu1/prod/web-1", "db-1:9100 /dev/sda1"."""
    return list(dict.fromkeys(filter(None, (place_of(alert.labels) for alert in alerts))))


def place_of(labels: Mapping[str, str]) -> str:
    """The place of one alert, by its most exact labels; "" = they do not say."""
    cluster = labels.get("cluster", "")
    workload = _first(labels, _WORKLOADS)
    if workload:
        return "/".join(filter(None, (cluster, labels.get("namespace", ""), workload)))
    # What observes others has an instance of its own, which is not where the fault is.
    machines = ("node",) if labels.get("job") == _OBSERVER else _MACHINES
    if machine := _first(labels, machines):
        device = _first(labels, _DEVICES)
        return " ".join(filter(None, ("/".join(filter(None, (cluster, machine))), device)))
    return "/".join(filter(None, (cluster, _first(labels, _WIDER))))


def _first(labels: Mapping[str, str], names: Iterable[str]) -> str:
    return next((labels[name] for name in names if labels.get(name)), "")


def place_text(places: Sequence[str], title: str, others: int = 0) -> str:
    """Places for a heading, without what its title says; "" = none. others: further ones.

    "web-1 /dev/sda1", "eu1/web-1, web-2 and 28 more": of several only the machines, where that
    tells them apart.
    """
    title = title[:LONGEST_SAID]
    if len(places) > 1:
        heads = list(dict.fromkeys(place.partition(" ")[0] for place in places))
        places = heads if len(heads) > 1 else places
    named = [left for place in places[:MAX_PLACES] if (left := _unsaid(place, title))]
    if not named:
        return ""
    first = named[0].partition(" ")[0].rpartition("/")[0]
    named[1:] = [place.removeprefix(f"{first}/") if first else place for place in named[1:]]
    hidden = max(0, len(places) - MAX_PLACES) + others
    more = f" and {hidden} more" if hidden else ""
    return ", ".join(named) + more


def _unsaid(place: str, title: str) -> str:
    """A place without the leading parts that a title has: "prod/web-1" → "web-1"."""
    head, _, device = place.partition(" ")
    parts = head.split("/")
    while parts and says(title, parts[0]):
        parts = parts[1:]
    return " ".join(filter(None, ("/".join(parts), "" if says(title, device) else device)))


def rank_labels(labels: Mapping[str, str]) -> list[tuple[str, str]]:
    """Labels in the order of PRIORITY_LABELS, then by name, then those of LAST_LABELS."""
    return sorted(labels.items(), key=lambda label: (_RANKS.get(label[0], 0), label[0]))


def says(text: str, word: str) -> bool:
    """True where a text has a word as a whole, in any case, or the word is empty."""
    whole = rf"(?<![\w-]){re.escape(word)}(?![\w-]|\.\w)"
    return not word or re.search(whole, text, re.IGNORECASE) is not None


def is_web_url(url: object) -> bool:
    """True for a URL out of an alert that may be shown as a link."""
    if not isinstance(url, str):
        return False
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    is_web = parts.scheme in ("http", "https") and bool(parts.netloc)
    return is_web and not any(char.isspace() or ord(char) < 32 for char in url)
