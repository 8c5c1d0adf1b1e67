"""What the API answers about schedules, people and calendars: name → schema. The views are in web/views and beside it."""

from __future__ import annotations

from typing import Final

from amproxy.oncall.reachable import ContactState
from amproxy.oncall.swaps import SwapState
from amproxy.web.http.permissions import Role
from amproxy.web.openapi.schema import FLAG, MOMENT, NUMBER, TEXT, WHOLE, Shape, each, keyed, listed, maybe, one_of, record, ref

_SPAN: Final = record(each(MOMENT, "start end"))
_WORKED: Final = record({**each(NUMBER, "hours night_hours weekend_hours day_hours"), **each(WHOLE, "nights weekends")})
_NAMED: Final = record({"user": TEXT, "full_name": maybe(TEXT)})
_BY_HAND: Final = record({"id": maybe(TEXT), "user": TEXT, "reason": maybe(TEXT)}, _SPAN)

ANSWERS: Final[dict[str, Shape]] = {
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
