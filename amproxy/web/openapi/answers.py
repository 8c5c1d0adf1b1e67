"""What the API answers about incidents, deliveries and what has happened: name → schema. The views are in web/views and beside it.

What the API answers about schedules, people and calendars: name → schema. The views are in web/views and beside it.

What the API answers about the file, maintenance, silences, sign-in and itself: name → schema. The views are in web/.
"""

from __future__ import annotations

from typing import Final, Literal

from amproxy.config.structs import Urgency
from amproxy.edit.sections import SECTIONS
from amproxy.grouping import maintenance, silences
from amproxy.model import State
from amproxy.notify import channel_health
from amproxy.oncall.hours import DAYTIMES
from amproxy.oncall.reachable import ContactState
from amproxy.oncall.swaps import SwapState
from amproxy.reports.insights import TABLES
from amproxy.store import audit, deliveries
from amproxy.store.heartbeats import Door
from amproxy.store.sign_in import TokenScope
from amproxy.web.http.permissions import Role
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
    ref,
    with_optional,
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

INCIDENT_RESPONSES: Final[dict[str, Shape]] = {
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
            "outcome": one_of(deliveries.DeliveryOutcome),
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


_SPAN: Final = record(each(MOMENT, "start end"))
_WORKED: Final = record({**each(NUMBER, "hours night_hours weekend_hours day_hours"), **each(WHOLE, "nights weekends")})
_NAMED: Final = record({"user": TEXT, "full_name": maybe(TEXT)})
_BY_HAND: Final = record({"id": maybe(TEXT), "user": TEXT, "reason": maybe(TEXT)}, _SPAN)

SCHEDULE_RESPONSES: Final[dict[str, Shape]] = {
    "OnCall": record({"schedule": TEXT, "at": MOMENT, **each(listed(), "users next"), "until": maybe(MOMENT), "reason": TEXT}),
    "Override": record({"schedule": TEXT}, _BY_HAND),
    "Absence": _BY_HAND,
    "PlannedShift": record({"users": listed(), "reason": TEXT, **each(maybe(TEXT), "layer override")}, _SPAN),
    "FinalShift": record(
        {
            **each(MOMENT, "start_local end_local"),
            "users": listed(),
            "people": listed(record({}, _NAMED, _WORKED)),
            "reason": TEXT,
            **each(maybe(TEXT), "layer override"),
            "recorded": FLAG,
        },
        _SPAN,
    ),
    "Hours": record({"schedule": TEXT, "shifts": WHOLE, "recorded": FLAG}, _NAMED, _WORKED),
    "Quality": record(
        {
            "schedule": TEXT,
            "score": WHOLE,
            **each(NUMBER, "coverage balance"),
            "gaps": listed(record({"reason": TEXT}, _SPAN)),
            "hidden": listed(record({"users": listed(), "reason": TEXT, "on_call": listed()}, _SPAN)),
            "doubles": listed(record({**each(TEXT, "user schedule")}, _SPAN)),
            "people": listed(
                record(
                    {"user": TEXT, "share": NUMBER, "shifts": WHOLE, **each(FLAG, "overloaded idle")}
                    | each(maybe(_SPAN), "longest shortest_rest"),
                    _WORKED,
                )
            ),
        },
        _SPAN,
    ),
    "Swap": record(
        {
            **each(TEXT, "id schedule user"),
            "state": one_of(SwapState),
            **each(maybe(TEXT), "reason asked_by taken_by taken_through"),
            "asked_at": MOMENT,
            "taken_at": maybe(MOMENT),
            "shifts": listed(ref("PlannedShift")),
        },
        _SPAN,
    ),
    "Calendars": record(
        {
            "schedule": TEXT,
            "calendars": listed(
                record({"calendar": TEXT, "loaded": FLAG, **each(maybe(MOMENT), "good_at checked_at"), "error": maybe(TEXT)})
            ),
            "empty_shifts": listed(record({**each(TEXT, "summary calendar")}, _SPAN)),
        }
    ),
    "CalendarAddress": record({"url": TEXT}),
    "User": record(
        {
            **each(TEXT, "name timezone"),
            **each(maybe(TEXT), "full_name why_not"),
            "role": one_of(Role),
            "teams": listed(),
            "reachable": FLAG,
            "channels": listed(
                record({"channel": TEXT, "state": one_of(ContactState), "used": FLAG, "last_delivery": maybe(MOMENT), "error": maybe(TEXT)})
            ),
            "rules": keyed(listed({"anyOf": [record({"notify": listed()}), record({"wait": TEXT})]})),
        }
    ),
    "Users": record({"users": listed(ref("User"))}),
    "TestPage": record({"user": TEXT, "sent": listed()}),
    "TestNotification": record({"receiver": TEXT, "sent": listed()}),
}


_TOKEN: Final = record(
    {
        **each(TEXT, "id name"),
        "scopes": listed(one_of(TokenScope)),
        "made_at": MOMENT,
        **each(maybe(TEXT), "user made_by"),
        **each(maybe(MOMENT), "expires last_used"),
    }
)
_PROBLEM: Final = record({**each(TEXT, "file path message"), **each(WHOLE, "line column")})
_PAGES: Final = listed(
    record({"after": NUMBER, **each(maybe(TEXT), "user receiver"), **each(TEXT, "channel policy reason"), "step": WHOLE})
)

SERVICE_RESPONSES: Final[dict[str, Shape]] = {
    "Error": record({"error": TEXT | {"description": "A word or two."}, "detail": TEXT | {"description": "A sentence."}}),
    "Done": record({"status": {"const": "ok"}}),
    "Health": record({"well": FLAG, "reasons": listed()}),
    "Redis": record(
        {
            **each(maybe(TEXT), "version role eviction"),
            **each(maybe(WHOLE), "uptime memory memory_limit clients unsaved_changes"),
            **each(FLAG, "aof aof_ok save_ok all_keys_counted"),
            "ping_ms": NUMBER,
            "saved_at": maybe(MOMENT),
            "keys": WHOLE,
        }
    ),
    "Replica": record({"name": TEXT, "alive": FLAG, "pending": WHOLE, "idle": NUMBER}),
    "Heartbeat": record(
        {
            **each(TEXT, "name every"),
            "matchers": listed(),
            **each(maybe(MOMENT), "last_beat missing_since next_due"),
            "age": NUMBER,
            "source": maybe(one_of(Door)),
            "missing": FLAG,
        }
    ),
    "TestAlert": record({"text": TEXT}),
    "Window": record(
        {
            **each(TEXT, "id name timezone"),
            "source": one_of(Literal["hand", "file"]),
            "state": one_of(maintenance.State),
            **each(listed(), "matchers active_time_intervals"),
            **each(maybe(MOMENT), "start end open_until next_open"),
            **each(maybe(TEXT), "comment created_by"),
        }
    ),
    "Hidden": record(
        {
            "alerts": listed(
                record(
                    {**each(TEXT, "fingerprint receiver group"), "labels": keyed(), "firing": FLAG, "told_at": maybe(MOMENT)}
                    | each(MOMENT, "first_hidden last_hidden")
                )
            ),
            "count": WHOLE,
            "complete": FLAG,
        }
    ),
    "Silence": with_optional(
        record(
            {
                **each(TEXT, "id comment createdBy"),
                "status": record({"state": one_of(silences.State)}),
                **each(MOMENT, "updatedAt startsAt endsAt"),
                "matchers": listed(record({**each(TEXT, "name value"), **each(FLAG, "isRegex isEqual")})),
            }
        ),
        {"annotations": keyed()},
    ),
    "SilencePreview": record(
        {
            "count": WHOLE,
            "alerts": listed(
                record({"fingerprint": TEXT, **each(keyed(), "labels annotations"), "starts_at": MOMENT, "receivers": listed()})
            ),
            "incidents": listed(record({**each(TEXT, "id title"), "state": one_of(State), **each(WHOLE, "number hidden firing")})),
        }
    ),
    "Problem": with_optional(_PROBLEM, {"kind": TEXT}),
    "File": record(
        {
            "digest": TEXT,
            **each(FLAG, "in_force writable"),
            **{section: ANYTHING if section == "route" else listed(ANYTHING) for section in SECTIONS},
            "receivers": listed(record({"name": TEXT, "escalation_policies": listed()})),
            "time_intervals": listed(),
        }
    ),
    "Difference": record(
        {
            "shifts": listed(record({"schedule": TEXT, **each(MOMENT, "start end"), **each(listed(), "before after")})),
            "hours": keyed(record(each(NUMBER, "before after"))),
            "policies": listed(
                record(
                    {"policy": TEXT, **each(maybe(listed()), "before after")}
                    | {"examples": listed(record({"labels": keyed(), **each(_PAGES, "before after")}))}
                )
            ),
        }
    ),
    "Preview": record(
        {"diff": TEXT, **each(listed(ref("Problem")), "problems warnings"), "writable": FLAG, "digest": TEXT}
        | {"changes": maybe(ref("Difference"))}
    ),
    "Applied": record({"digest": TEXT, "warnings": listed(ref("Problem"))}),
    "Token": _TOKEN,
    "NewToken": record({"token": TEXT}, _TOKEN),
    "AuditEntry": record(
        {
            "at": MOMENT,
            **each(maybe(TEXT), "user role token from"),
            **each(TEXT, "via what"),
            "result": one_of(audit.Result),
        }
    ),
    "AuditLog": record({"entries": listed(ref("AuditEntry")), "next": maybe(TEXT)}),
    "Session": record({**each(TEXT, "id way agent address"), "current": FLAG, **each(MOMENT, "signed_in_at seen_at ends_at")}),
    "EndedSessions": record({"ended": WHOLE}),
    "HistoryLine": record(
        {
            "format": {"const": "amproxy.history/1"},
            "incident": ref("Incident"),
            "plan": ANYTHING,
            "forwards": keyed(ANYTHING),
            **each(maybe(TEXT), "urgency team"),
            "labels": ANYTHING,
            **each(listed(ANYTHING), "events pages"),
        }
    ),
}
