"""What the API answers about incidents, deliveries and what has happened: name → schema. The views are in web/views and beside it."""

from __future__ import annotations

from typing import Final, Literal

from amproxy.config.structs import Urgency
from amproxy.model import State
from amproxy.notify import channel_health
from amproxy.oncall.daytime import DAYTIMES
from amproxy.oncall.reachable import ContactState
from amproxy.reports.insights import TABLES
from amproxy.store import deliveries
from amproxy.web.openapi.schema import (
    ANYTHING,
    FLAG,
    MOMENT,
    NUMBER,
    TEXT,
    WHOLE,
    Shape,
    each,
    keyed,
    listed,
    maybe,
    one_of,
    record,
    ref,  # fmt: skip
)

_COUNTS: Final = record(each(WHOLE, "firing resolved"))
_INCIDENT: Final = record(
    {
        "id": TEXT,
        "number": WHOLE,
        "state": one_of(State),
        "title": TEXT,
        "receiver": maybe(TEXT),
        "policy": TEXT,
        "team": maybe(TEXT),
        "urgency": maybe(one_of(Urgency)),
        **each(keyed(), "group_labels common_labels"),
        "alerts": _COUNTS,
        "started_at": MOMENT,
        **each(maybe(TEXT), "acknowledged_by snoozed_by resolved_by merged_into held_by"),
        **each(maybe(MOMENT), "acknowledged_at snoozed_until resolved_at"),
        "responders": listed(),
        "next_step": maybe(ref("NextStep")),
        "url": TEXT,
    }
)
_TALLY: Final = record(
    {**each(WHOLE, "incidents triggered acknowledged snoozed resolved never_acknowledged reopened")}
    | each(ref("Spread"), "time_to_acknowledge time_to_resolve time_to_end_by_itself")
)
_PERSON: Final = record(
    each(WHOLE, f"pages nights_disturbed {' '.join(f'pages_{time}' for time in DAYTIMES)}")
    | each(ref("Spread"), "time_to_acknowledge time_to_resolve")
)
_ROWS: Final[dict[str, Shape]] = {
    "teams": record({"team": TEXT}, _TALLY),
    "policies": record({"policy": TEXT}, _TALLY),
    "people": record({"user": TEXT}, _PERSON),
    "pages": record({**each(TEXT, "user channel"), "urgency": one_of(Urgency), "pages": WHOLE, **each(WHOLE, " ".join(DAYTIMES))}),
    "alerts": record(
        {"by": one_of(Literal["alertname", "group_labels"]), "name": TEXT, **each(WHOLE, "incidents pages")}
        | {**each(NUMBER, "acknowledged probably_noise"), "median_time_to_resolve": maybe(NUMBER)}
    ),
    "hours": record(each(TEXT, "weekday") | each(WHOLE, " ".join(name for name in TABLES["hours"] if name != "weekday"))),
    "days": record({"day": {**TEXT, "format": "date"}, **each(WHOLE, "incidents pages")}),
}

ANSWERS: Final[dict[str, Shape]] = {
    "NextStep": record({"at": maybe(MOMENT), "what": TEXT}),
    "Incident": _INCIDENT,
    "Incidents": record({"incidents": listed(ref("Incident")), "next": maybe(TEXT)}),
    "Alert": record(
        {
            "fingerprint": TEXT,
            "state": one_of(Literal["firing", "resolved"]),
            **each(keyed(), "labels annotations"),
            "starts_at": MOMENT,
            "ends_at": maybe(MOMENT),
            **each(maybe(TEXT), "generator_url source"),
            "extra": ANYTHING,
            "muted_by": listed(),
        }
    ),
    "TimelineEntry": record({"at": MOMENT, **each(TEXT, "kind text"), **each(maybe(TEXT), "user channel policy"), "step": maybe(WHOLE)}),
    "Page": record(
        {
            "id": TEXT,
            "kind": one_of(Literal["page", "reminder"]),
            **each(maybe(TEXT), "user receiver error"),
            **each(TEXT, "channel policy reason"),
            **each(WHOLE, "step round attempts"),
            "state": one_of(Literal["due", "sent", "failed", "skipped"]),
            "due": MOMENT,
            "sent_at": maybe(MOMENT),
        }
    ),
    "WholeIncident": record(
        {
            "text": TEXT,
            "common_annotations": keyed(),
            "alerts": record({"list": listed(ref("Alert"))}, _COUNTS),
            "timeline": listed(ref("TimelineEntry")),
            "pages": listed(ref("Page")),
        },
        _INCIDENT,
    ),
    "Why": record({"user": TEXT, "paged": FLAG, "reasons": listed(), "pages": listed(ref("Page"))}),
    "BulkResult": record({"done": WHOLE, "results": listed(record({"id": TEXT, "state": maybe(one_of(State)), "error": maybe(TEXT)}))}),
    "Spread": record({"count": WHOLE, **each(maybe(NUMBER), "mean p50 p90 max")}) | {"description": "Lengths of time, in seconds."},
    "Insights": record(
        {**each(MOMENT, "from to"), "zone": TEXT, **each(maybe(TEXT), "team policy user"), "summary": _TALLY}
        | {name: listed(row) for name, row in _ROWS.items()}
    ),
    "Delivery": record(
        {
            "id": TEXT,
            "at": MOMENT,
            "kind": one_of(deliveries.Kind),
            **each(TEXT, "channel subject"),
            "outcome": one_of(deliveries.Outcome),
            **each(maybe(TEXT), "user receiver integration error"),
            "incidents": listed(record({"id": TEXT, "number": WHOLE})),
            "attempt": WHOLE,
            "duration_ms": NUMBER,
        }
    ),
    "Deliveries": record({"deliveries": listed(ref("Delivery")), "next": maybe(TEXT)}),
    "Channel": record(
        {
            "channel": TEXT,
            "state": one_of(channel_health.State),
            **each(maybe(MOMENT), "last_sent last_failed"),
            "last_error": maybe(TEXT),
            **each(WHOLE, "attempts failed waiting"),
            "answers": maybe(FLAG),
            "people": listed(record({"user": TEXT, "state": one_of(ContactState), "used": FLAG, "error": maybe(TEXT)})),
            "receivers": listed(record({**each(TEXT, "receiver integration"), "undeliverable": maybe(TEXT)})),
        }
    ),
    "Channels": record({"channels": listed(ref("Channel"))}),
}
