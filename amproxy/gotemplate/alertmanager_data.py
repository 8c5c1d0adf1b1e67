"""The data of Alertmanager's templates, as of 0.35."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from amproxy.gotemplate.quoting import encode
from amproxy.gotemplate.times import TIME, ZERO_TIME, GoTime, from_rfc3339
from amproxy.gotemplate.values import (
    BOOL,
    STRING,
    STRINGS,
    Function,
    GoType,
    Map,
    Slice,
    StructField,
    TypeKind,
    map_of,
    named,
    slice_of,
)


@dataclass(frozen=True, slots=True)
class LabelPair:
    """A label or annotation."""

    name: str
    value: str
    go_type: ClassVar[GoType]


PAIR = LabelPair.go_type = GoType(
    "template.Pair",
    TypeKind.STRUCT,
    zero=lambda: LabelPair("", ""),
    fields=(StructField("Name", STRING, "name"), StructField("Value", STRING, "value")),
)
PAIRS = named("template.Pairs", slice_of(PAIR))
NAMES = named("template.Strings", STRINGS)
KV = named("template.KV", map_of(STRING, STRING))


def sorted_pairs(labels: Mapping[str, str]) -> Slice:
    """Labels by name, the name of the alert first."""
    names = sorted(labels, key=lambda name: (name != "alertname", encode(name)))
    return Slice(PAIRS, (LabelPair(name, labels[name]) for name in names))


def _joined_pairs(pairs: Sequence[LabelPair]) -> str:
    return ", ".join(f"{pair.name}={pair.value}" for pair in pairs)


def _pair_names(pairs: Sequence[LabelPair]) -> Slice:
    return Slice(NAMES, (pair.name for pair in pairs))


def _pair_values(pairs: Sequence[LabelPair]) -> Slice:
    return Slice(NAMES, (pair.value for pair in pairs))


def _without(labels: Mapping[str, str], names: Sequence[str]) -> Map:
    return Map(KV, {name: value for name, value in labels.items() if name not in set(names)})


def _add_methods(go_type: GoType, *methods: Function) -> None:
    go_type.methods.update({method.name: method for method in methods})


_add_methods(
    PAIRS,
    Function("Names", _pair_names),
    Function("Values", _pair_values),
    Function("String", _joined_pairs),
)
_add_methods(NAMES, Function("Join", lambda names, mark: mark.join(names), (STRING,)))
_add_methods(
    KV,
    Function("SortedPairs", sorted_pairs),
    Function("Names", lambda labels: _pair_names(sorted_pairs(labels))),
    Function("Values", lambda labels: _pair_values(sorted_pairs(labels))),
    Function("String", lambda labels: _joined_pairs(sorted_pairs(labels))),
    Function("Remove", _without, (STRINGS,)),
)


def _no_labels() -> Map:
    return Map(KV, is_nil=True)


@dataclass(slots=True)
class NotifiedAlert:
    """An alert as templates see it; `labels` and `annotations` are made by `labels_of`."""

    status: str = ""
    labels: Map = field(default_factory=_no_labels)
    annotations: Map = field(default_factory=_no_labels)
    starts_at: GoTime = ZERO_TIME
    ends_at: GoTime = ZERO_TIME
    generator_url: str = ""
    fingerprint: str = ""
    go_type: ClassVar[GoType]


ALERT = NotifiedAlert.go_type = GoType(
    "template.Alert",
    TypeKind.STRUCT,
    zero=NotifiedAlert,
    fields=(
        StructField("Status", STRING, "status", "status"),
        StructField("Labels", KV, "labels", "labels"),
        StructField("Annotations", KV, "annotations", "annotations"),
        StructField("StartsAt", TIME, "starts_at", "startsAt"),
        StructField("EndsAt", TIME, "ends_at", "endsAt"),
        StructField("GeneratorURL", STRING, "generator_url", "generatorURL"),
        StructField("Fingerprint", STRING, "fingerprint", "fingerprint"),
    ),
)
_ALERT_SLICE = slice_of(ALERT)
ALERTS = named("template.Alerts", _ALERT_SLICE)


def _of_status(status: str) -> Function:
    def alerts_of(alerts: Sequence[NotifiedAlert]) -> Slice:
        return Slice(_ALERT_SLICE, (alert for alert in alerts if alert.status == status))

    return Function(status.capitalize(), alerts_of)


_add_methods(ALERTS, _of_status("firing"), _of_status("resolved"))


def _no_alerts() -> Slice:
    return Slice(ALERTS, is_nil=True)


@dataclass(slots=True)
class NotificationData:
    """All that a template is told; `alerts` is made by `alerts_of`.

    `route_labels` may be templates, which the function routeLabels renders, unless
    `route_labels_rendered` says that they are texts already.
    """

    receiver: str = ""
    status: str = ""
    alerts: Slice = field(default_factory=_no_alerts)
    notification_reason: str = ""
    group_labels: Map = field(default_factory=_no_labels)
    common_labels: Map = field(default_factory=_no_labels)
    common_annotations: Map = field(default_factory=_no_labels)
    route_labels: Map = field(default_factory=_no_labels)
    external_url: str = ""
    route_labels_rendered: bool = False
    go_type: ClassVar[GoType]


DATA = NotificationData.go_type = GoType(
    "template.Data",
    TypeKind.STRUCT,
    zero=NotificationData,
    fields=(
        StructField("Receiver", STRING, "receiver", "receiver"),
        StructField("Status", STRING, "status", "status"),
        StructField("Alerts", ALERTS, "alerts", "alerts"),
        StructField("NotificationReason", STRING, "notification_reason", "notification_reason"),
        StructField("GroupLabels", KV, "group_labels", "groupLabels"),
        StructField("CommonLabels", KV, "common_labels", "commonLabels"),
        StructField("CommonAnnotations", KV, "common_annotations", "commonAnnotations"),
        StructField("RouteLabels", KV, "route_labels", "routeLabels"),
        StructField("ExternalURL", STRING, "external_url", "externalURL"),
        StructField("routeLabelsRendered", BOOL, "route_labels_rendered"),
    ),
)


def labels_of(labels: Mapping[str, str]) -> Map:
    """Labels or annotations as templates see them."""
    return Map(KV, labels)


def alerts_of(alerts: Sequence[NotifiedAlert]) -> Slice:
    """Alerts as templates see them."""
    return Slice(ALERTS, alerts)


def data_from_json(document: Any) -> NotificationData:
    """The data of a decoded webhook body of Alertmanager. Raises ValueError with the key."""
    data = NotificationData()
    _fill(DATA, data, document, "")
    return data


def _fill(go_type: GoType, target: Any, document: Any, path: str) -> None:
    if document is None:
        return
    if not isinstance(document, dict):
        raise ValueError(f"{path or 'the data'}: expected an object")
    # Go takes keys in any case where none is written exactly so.
    folded = {key.lower(): value for key, value in document.items()}
    for known in go_type.fields:
        value = document.get(known.json, folded.get(known.json.lower()))
        if known.json and value is not None:
            place = f"{path}.{known.json}" if path else known.json
            setattr(target, known.attribute, _value_from(known.type, value, place))


def _alert_from(document: Any, path: str) -> NotifiedAlert:
    alert = NotifiedAlert()
    _fill(ALERT, alert, document, path)
    return alert


def _value_from(go_type: GoType, value: Any, path: str) -> Any:
    if go_type is STRING:
        if not isinstance(value, str):
            raise ValueError(f"{path}: expected a string")
        return value
    if go_type is TIME:
        if not isinstance(value, str):
            raise ValueError(f"{path}: expected a time")
        try:
            return from_rfc3339(value)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error
    if go_type is KV:
        if not isinstance(value, dict):
            raise ValueError(f"{path}: expected an object")
        return labels_of(
            {
                key: "" if item is None else _value_from(STRING, item, f"{path}.{key}")
                for key, item in value.items()
            }
        )
    if not isinstance(value, list):
        raise ValueError(f"{path}: expected a list")
    return alerts_of([_alert_from(item, f"{path}[{at}]") for at, item in enumerate(value)])
