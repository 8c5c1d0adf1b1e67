"""The tables of responses: name → schema, for incidents and the past, schedules, and the service.

The code that builds the responses is in the API modules of web/. A test compares real responses
with these schemas, so a new key needs its place here.
"""

from __future__ import annotations

from typing import Final, Literal

from amproxy.config.structs import Urgency
from amproxy.edit.sections import READABLE_SECTIONS
from amproxy.grouping import maintenance, silences
from amproxy.model import IncidentState
from amproxy.notify import channel_health
from amproxy.oncall.hours import DAYTIMES
from amproxy.oncall.reachable import ContactState
from amproxy.oncall.swaps import SwapState
from amproxy.reports.insights import TABLES
from amproxy.respond.rights import Role
from amproxy.store import audit, deliveries
from amproxy.store import health as store_health
from amproxy.store.heartbeats import HeartbeatSource
from amproxy.store.sign_in import TokenScope
from amproxy.web.openapi.schema import (
    ANY_OBJECT,
    BOOLEAN,
    DATE_TIME,
    INTEGER,
    NUMBER,
    STRING,
    Schema,
    array_of,
    choice_of,
    enum_of,
    map_of,
    nullable,
    object_of,
    properties_of,
    ref,
    with_optional,
)

_ALERT_COUNTS: Final = object_of(properties_of(INTEGER, "firing resolved"))
_INCIDENT: Final = object_of(
    {
        "id": STRING,
        "number": INTEGER,
        "state": enum_of(IncidentState),
        "title": STRING,
        "receiver": nullable(STRING),
        "policy": STRING,
        "team": nullable(STRING),
        "urgency": nullable(enum_of(Urgency)),
        **properties_of(map_of(), "group_labels common_labels"),
        "alerts": _ALERT_COUNTS,
        "started_at": DATE_TIME,
        **properties_of(
            nullable(STRING), "acknowledged_by snoozed_by resolved_by merged_into held_by"
        ),
        **properties_of(nullable(DATE_TIME), "acknowledged_at snoozed_until resolved_at"),
        "responders": array_of(),
        "next_step": nullable(ref("NextStep")),
        "url": STRING,
    }
)
_INCIDENT_TALLY: Final = object_of(
    properties_of(
        INTEGER, "incidents triggered acknowledged snoozed resolved never_acknowledged reopened"
    )
    | properties_of(ref("Spread"), "time_to_acknowledge time_to_resolve time_to_end_by_itself")
)
_PAGES_BY_DAYTIME: Final = " ".join(f"pages_{time}" for time in DAYTIMES)
_PERSON_TALLY: Final = object_of(
    properties_of(INTEGER, f"pages nights_disturbed {_PAGES_BY_DAYTIME}")
    | properties_of(ref("Spread"), "time_to_acknowledge time_to_resolve")
)
_TABLE_ROWS: Final[dict[str, Schema]] = {
    "teams": object_of({"team": STRING}, _INCIDENT_TALLY),
    "policies": object_of({"policy": STRING}, _INCIDENT_TALLY),
    "people": object_of({"user": STRING}, _PERSON_TALLY),
    "pages": object_of(
        {
            **properties_of(STRING, "user channel"),
            "urgency": enum_of(Urgency),
            "pages": INTEGER,
            **properties_of(INTEGER, " ".join(DAYTIMES)),
        }
    ),
    "alerts": object_of(
        {
            "by": enum_of(Literal["alertname", "group_labels"]),
            "name": STRING,
            **properties_of(INTEGER, "incidents pages"),
            **properties_of(NUMBER, "acknowledged probably_noise"),
            "median_time_to_resolve": nullable(NUMBER),
        }
    ),
    "hours": object_of(
        properties_of(STRING, "weekday")
        | properties_of(INTEGER, " ".join(name for name in TABLES["hours"] if name != "weekday"))
    ),
    "days": object_of(
        {"day": {**STRING, "format": "date"}, **properties_of(INTEGER, "incidents pages")}
    ),
}
_BULK_RESULT: Final = object_of(
    {"id": STRING, "state": nullable(enum_of(IncidentState)), "error": nullable(STRING)}
)
_CHANNEL_PERSON: Final = object_of(
    {
        "user": STRING,
        "state": enum_of(ContactState),
        "used": BOOLEAN,
        "error": nullable(STRING),
    }
)
_CHANNEL_RECEIVER: Final = object_of(
    {**properties_of(STRING, "receiver integration"), "undeliverable": nullable(STRING)}
)

INCIDENT_RESPONSES: Final[dict[str, Schema]] = {
    "NextStep": object_of({"at": nullable(DATE_TIME), "what": STRING}),
    "Incident": _INCIDENT,
    "Incidents": object_of({"incidents": array_of(ref("Incident")), "next": nullable(STRING)}),
    "Alert": object_of(
        {
            "fingerprint": STRING,
            "state": enum_of(Literal["firing", "resolved"]),
            **properties_of(map_of(), "labels annotations"),
            "starts_at": DATE_TIME,
            "ends_at": nullable(DATE_TIME),
            **properties_of(nullable(STRING), "generator_url source"),
            "extra": ANY_OBJECT,
            "muted_by": array_of(),
        }
    ),
    "TimelineEntry": object_of(
        {
            "at": DATE_TIME,
            **properties_of(STRING, "kind text"),
            **properties_of(nullable(STRING), "user channel policy"),
            "step": nullable(INTEGER),
        }
    ),
    "Page": object_of(
        {
            "id": STRING,
            "kind": enum_of(Literal["page", "reminder"]),
            **properties_of(nullable(STRING), "user receiver error"),
            **properties_of(STRING, "channel policy reason"),
            **properties_of(INTEGER, "step round attempts"),
            "state": enum_of(Literal["due", "sent", "failed", "skipped"]),
            "due": DATE_TIME,
            "sent_at": nullable(DATE_TIME),
        }
    ),
    "WholeIncident": object_of(
        {
            "text": STRING,
            "common_annotations": map_of(),
            "alerts": object_of({"list": array_of(ref("Alert"))}, _ALERT_COUNTS),
            "timeline": array_of(ref("TimelineEntry")),
            "pages": array_of(ref("Page")),
        },
        _INCIDENT,
    ),
    "Why": object_of(
        {"user": STRING, "paged": BOOLEAN, "reasons": array_of(), "pages": array_of(ref("Page"))}
    ),
    "BulkResult": object_of({"done": INTEGER, "results": array_of(_BULK_RESULT)}),
    "Spread": object_of({"count": INTEGER, **properties_of(nullable(NUMBER), "mean p50 p90 max")})
    | {"description": "Lengths of time, in seconds."},
    "Insights": object_of(
        {
            **properties_of(DATE_TIME, "from to"),
            "zone": STRING,
            **properties_of(nullable(STRING), "team policy user"),
            "summary": _INCIDENT_TALLY,
        }
        | {name: array_of(row) for name, row in _TABLE_ROWS.items()}
    ),
    "Delivery": object_of(
        {
            "id": STRING,
            "at": DATE_TIME,
            "kind": enum_of(deliveries.DeliveryKind),
            **properties_of(STRING, "channel subject"),
            "outcome": enum_of(deliveries.DeliveryOutcome),
            **properties_of(nullable(STRING), "user receiver integration error"),
            "incidents": array_of(object_of({"id": STRING, "number": INTEGER})),
            "attempt": INTEGER,
            "duration_ms": NUMBER,
        }
    ),
    "Deliveries": object_of({"deliveries": array_of(ref("Delivery")), "next": nullable(STRING)}),
    "Channel": object_of(
        {
            "channel": STRING,
            "state": enum_of(channel_health.ChannelState),
            **properties_of(nullable(DATE_TIME), "last_sent last_failed"),
            "last_error": nullable(STRING),
            **properties_of(INTEGER, "attempts failed waiting"),
            "answers": nullable(BOOLEAN),
            "people": array_of(_CHANNEL_PERSON),
            "receivers": array_of(_CHANNEL_RECEIVER),
        }
    ),
    "Channels": object_of({"channels": array_of(ref("Channel"))}),
}


_PERIOD: Final = object_of(properties_of(DATE_TIME, "start end"))
_HOURS_WORKED: Final = object_of(
    {
        **properties_of(NUMBER, "hours night_hours weekend_hours day_hours"),
        **properties_of(INTEGER, "nights weekends"),
    }
)
_PERSON_NAME: Final = object_of({"user": STRING, "full_name": nullable(STRING)})
_QUALITY_PERSON: Final = object_of(
    {
        "user": STRING,
        "share": NUMBER,
        "shifts": INTEGER,
        **properties_of(BOOLEAN, "overloaded idle"),
        **properties_of(nullable(_PERIOD), "longest shortest_rest"),
    },
    _HOURS_WORKED,
)
_CALENDAR_STATE: Final = object_of(
    {
        "calendar": STRING,
        "loaded": BOOLEAN,
        **properties_of(nullable(DATE_TIME), "good_at checked_at"),
        "error": nullable(STRING),
    }
)
_CONTACT: Final = object_of(
    {
        "channel": STRING,
        "state": enum_of(ContactState),
        "used": BOOLEAN,
        "last_delivery": nullable(DATE_TIME),
        "error": nullable(STRING),
    }
)
_NOTIFICATION_RULE: Final = {
    "anyOf": [object_of({"notify": array_of()}), object_of({"wait": STRING})]
}
_MANUAL_CHANGE: Final = object_of(
    {"id": nullable(STRING), "user": STRING, "reason": nullable(STRING)}, _PERIOD
)

SCHEDULE_RESPONSES: Final[dict[str, Schema]] = {
    "OnCall": object_of(
        {
            "schedule": STRING,
            "at": DATE_TIME,
            **properties_of(array_of(), "users next"),
            "until": nullable(DATE_TIME),
            "reason": STRING,
        }
    ),
    "Override": object_of({"schedule": STRING}, _MANUAL_CHANGE),
    "Absence": _MANUAL_CHANGE,
    "PlannedShift": object_of(
        {
            "users": array_of(),
            "reason": STRING,
            **properties_of(nullable(STRING), "layer override"),
        },
        _PERIOD,
    ),
    "FinalShift": object_of(
        {
            **properties_of(DATE_TIME, "start_local end_local"),
            "users": array_of(),
            "people": array_of(object_of({}, _PERSON_NAME, _HOURS_WORKED)),
            "reason": STRING,
            **properties_of(nullable(STRING), "layer override"),
            "recorded": BOOLEAN,
        },
        _PERIOD,
    ),
    "Hours": object_of(
        {"schedule": STRING, "shifts": INTEGER, "recorded": BOOLEAN}, _PERSON_NAME, _HOURS_WORKED
    ),
    "Quality": object_of(
        {
            "schedule": STRING,
            "score": INTEGER,
            **properties_of(NUMBER, "coverage balance"),
            "gaps": array_of(object_of({"reason": STRING}, _PERIOD)),
            "hidden": array_of(
                object_of({"users": array_of(), "reason": STRING, "on_call": array_of()}, _PERIOD)
            ),
            "doubles": array_of(object_of(properties_of(STRING, "user schedule"), _PERIOD)),
            "people": array_of(_QUALITY_PERSON),
        },
        _PERIOD,
    ),
    "Swap": object_of(
        {
            **properties_of(STRING, "id schedule user"),
            "state": enum_of(SwapState),
            **properties_of(nullable(STRING), "reason asked_by taken_by taken_through"),
            "asked_at": DATE_TIME,
            "taken_at": nullable(DATE_TIME),
            "shifts": array_of(ref("PlannedShift")),
        },
        _PERIOD,
    ),
    "Calendars": object_of(
        {
            "schedule": STRING,
            "calendars": array_of(_CALENDAR_STATE),
            "empty_shifts": array_of(object_of(properties_of(STRING, "summary calendar"), _PERIOD)),
        }
    ),
    "CalendarAddress": object_of({"url": STRING}),
    "User": object_of(
        {
            **properties_of(STRING, "name timezone"),
            **properties_of(nullable(STRING), "full_name why_not"),
            "role": enum_of(Role),
            "teams": array_of(),
            "reachable": BOOLEAN,
            "channels": array_of(_CONTACT),
            "rules": map_of(array_of(_NOTIFICATION_RULE)),
        }
    ),
    "Users": object_of({"users": array_of(ref("User"))}),
    "TestPage": object_of({"user": STRING, "sent": array_of()}),
    "TestNotification": object_of({"receiver": STRING, "sent": array_of()}),
}


_TOKEN: Final = object_of(
    {
        **properties_of(STRING, "id name"),
        "scopes": array_of(enum_of(TokenScope)),
        "made_at": DATE_TIME,
        **properties_of(nullable(STRING), "user made_by"),
        **properties_of(nullable(DATE_TIME), "expires last_used"),
    }
)
_PROBLEM: Final = object_of(
    {**properties_of(STRING, "file path message"), **properties_of(INTEGER, "line column")}
)
_PREVIEW_PAGES: Final = array_of(
    object_of(
        {
            "after": NUMBER,
            **properties_of(nullable(STRING), "user receiver"),
            **properties_of(STRING, "channel policy reason"),
            "step": INTEGER,
        }
    )
)
_HIDDEN_ALERT: Final = object_of(
    {
        **properties_of(STRING, "fingerprint receiver group"),
        "labels": map_of(),
        "firing": BOOLEAN,
        "told_at": nullable(DATE_TIME),
        **properties_of(DATE_TIME, "first_hidden last_hidden"),
    }
)
_SILENCE_MATCHER: Final = object_of(
    {**properties_of(STRING, "name value"), **properties_of(BOOLEAN, "isRegex isEqual")}
)
_PREVIEW_ALERT: Final = object_of(
    {
        "fingerprint": STRING,
        **properties_of(map_of(), "labels annotations"),
        "starts_at": DATE_TIME,
        "receivers": array_of(),
    }
)
_PREVIEW_INCIDENT: Final = object_of(
    {
        **properties_of(STRING, "id title"),
        "state": enum_of(IncidentState),
        **properties_of(INTEGER, "number hidden firing"),
    }
)
_SHIFT_CHANGE: Final = object_of(
    {
        "schedule": STRING,
        **properties_of(DATE_TIME, "start end"),
        **properties_of(array_of(), "before after"),
    }
)
_POLICY_EXAMPLE: Final = object_of(
    {"labels": map_of(), **properties_of(_PREVIEW_PAGES, "before after")}
)
_POLICY_CHANGE: Final = object_of(
    {
        "policy": STRING,
        **properties_of(nullable(array_of()), "before after"),
        "examples": array_of(_POLICY_EXAMPLE),
    }
)

SERVICE_RESPONSES: Final[dict[str, Schema]] = {
    "Error": object_of(
        {
            "error": STRING | {"description": "A word or two."},
            "detail": STRING | {"description": "A sentence."},
        }
    ),
    "Done": object_of({"status": {"const": "ok"}}),
    "Health": object_of({"well": BOOLEAN, "reasons": array_of()}),
    "Redis": object_of(
        {
            **properties_of(nullable(STRING), "version role eviction"),
            **properties_of(
                nullable(INTEGER), "uptime memory memory_limit clients unsaved_changes"
            ),
            **properties_of(BOOLEAN, "aof_ok save_ok all_keys_counted"),
            "aof": nullable(BOOLEAN),
            "clock_difference": nullable(NUMBER),
            "warnings": array_of(
                object_of({"kind": choice_of(store_health.WARNING_KINDS), "text": STRING})
            ),
            "ping_ms": NUMBER,
            "saved_at": nullable(DATE_TIME),
            "keys": INTEGER,
        }
    ),
    "Replica": object_of(
        {
            "name": STRING,
            "alive": BOOLEAN,
            "pending": INTEGER,
            "idle": NUMBER,
            **properties_of(nullable(STRING), "host version config_digest"),
            "pid": nullable(INTEGER),
            **properties_of(nullable(DATE_TIME), "started_at config_since loaded_at"),
        }
    ),
    "Heartbeat": object_of(
        {
            **properties_of(STRING, "name every"),
            "matchers": array_of(),
            **properties_of(nullable(DATE_TIME), "last_beat missing_since next_due"),
            "age": NUMBER,
            "source": nullable(enum_of(HeartbeatSource)),
            "missing": BOOLEAN,
        }
    ),
    "TestAlert": object_of({"text": STRING}),
    "Window": object_of(
        {
            **properties_of(STRING, "id name timezone"),
            "source": enum_of(Literal["hand", "file"]),
            "state": enum_of(maintenance.WindowState),
            **properties_of(array_of(), "matchers active_time_intervals"),
            **properties_of(nullable(DATE_TIME), "start end open_until next_open"),
            **properties_of(nullable(STRING), "comment created_by"),
        }
    ),
    "Hidden": object_of({"alerts": array_of(_HIDDEN_ALERT), "count": INTEGER, "complete": BOOLEAN}),
    "Silence": with_optional(
        object_of(
            {
                **properties_of(STRING, "id comment createdBy"),
                "status": object_of({"state": enum_of(silences.SilenceState)}),
                **properties_of(DATE_TIME, "updatedAt startsAt endsAt"),
                "matchers": array_of(_SILENCE_MATCHER),
            }
        ),
        {"annotations": map_of()},
    ),
    "SilencePreview": object_of(
        {
            "count": INTEGER,
            "alerts": array_of(_PREVIEW_ALERT),
            "incidents": array_of(_PREVIEW_INCIDENT),
        }
    ),
    "Problem": with_optional(_PROBLEM, {"kind": STRING}),
    "File": object_of(
        {
            "digest": STRING,
            **properties_of(BOOLEAN, "in_force writable"),
            **{
                section: ANY_OBJECT if section == "route" else array_of(ANY_OBJECT)
                for section in READABLE_SECTIONS
            },
            "receivers": array_of(object_of({"name": STRING, "escalation_policies": array_of()})),
            "time_intervals": array_of(),
        }
    ),
    "Difference": object_of(
        {
            "shifts": array_of(_SHIFT_CHANGE),
            "hours": map_of(object_of(properties_of(NUMBER, "before after"))),
            "policies": array_of(_POLICY_CHANGE),
        }
    ),
    "Preview": object_of(
        {
            "diff": STRING,
            **properties_of(array_of(ref("Problem")), "problems warnings"),
            "writable": BOOLEAN,
            "digest": STRING,
            "changes": nullable(ref("Difference")),
        }
    ),
    "Applied": object_of({"digest": STRING, "warnings": array_of(ref("Problem"))}),
    "Token": _TOKEN,
    "NewToken": object_of({"token": STRING}, _TOKEN),
    "AuditEntry": object_of(
        {
            "at": DATE_TIME,
            **properties_of(nullable(STRING), "user role token from"),
            **properties_of(STRING, "via what"),
            "result": enum_of(audit.AuditResult),
        }
    ),
    "AuditLog": object_of({"entries": array_of(ref("AuditEntry")), "next": nullable(STRING)}),
    "Session": object_of(
        {
            **properties_of(STRING, "id way agent address"),
            "current": BOOLEAN,
            **properties_of(DATE_TIME, "signed_in_at seen_at ends_at"),
        }
    ),
    "EndedSessions": object_of({"ended": INTEGER}),
    "HistoryLine": object_of(
        {
            "format": {"const": "amproxy.history/1"},
            "incident": ref("Incident"),
            "plan": ANY_OBJECT,
            "forwards": map_of(ANY_OBJECT),
            **properties_of(nullable(STRING), "urgency team"),
            "labels": ANY_OBJECT,
            **properties_of(array_of(ANY_OBJECT), "events pages"),
        }
    ),
}
