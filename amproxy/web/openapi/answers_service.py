"""What the API answers about the file, maintenance, silences, sign-in and itself: name → schema. The views are in web/."""

from __future__ import annotations

from typing import Final, Literal

from amproxy.edit.sections import SECTIONS
from amproxy.grouping import maintenance, silences
from amproxy.model import State
from amproxy.store import audit
from amproxy.store.api_tokens import TokenScope
from amproxy.store.heartbeats import Door
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

ANSWERS: Final[dict[str, Shape]] = {
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
