"""From the fields of a form to an action, on one incident or on many."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, get_args

from starlette.exceptions import HTTPException
from starlette.requests import Request

from amproxy.config.structs import Urgency
from amproxy.context import Context
from amproxy.respond import actions
from amproxy.respond.actions import ActionName
from amproxy.respond.bulk import Outcome, perform_all
from amproxy.respond.merging import meant
from amproxy.respond.targets import BadAction, Target
from amproxy.times import parse_duration
from amproxy.web.http.own import not_own, require_own
from amproxy.web.http.permissions import say, who_acts
from amproxy.web.http.request import invalid, time
from amproxy.web.http.templates import acting, zone_of

Fields = Mapping[str, list[str]]
SNOOZES: Final = ("30m", "1h", "4h", "1d")  # lengths that are offered
_URGENCIES: Final[tuple[Urgency, ...]] = get_args(Urgency)


def one(fields: Fields, name: str) -> str:
    """The field; "" where there is none. Of several the last."""
    return fields[name][-1] if fields.get(name) else ""


def action_named(name: str) -> ActionName:
    """Raises HTTPException 404."""
    found = next((action for action in actions.ACTIONS if action == name), None)
    if found is None:
        raise HTTPException(404)
    return found


async def asked(request: Request, context: Context, action: ActionName, fields: Fields) -> actions.Request:
    """What a form asks for. Raises HTTPException 422, BadAction, StoreUnavailable."""
    epoch, into = one(fields, "epoch"), one(fields, "into")
    if action == "merge" and not into:
        raise BadAction("say into which incident")
    return actions.Request(
        action=action, user=who_acts(request, acting(request, context)), via="web",
        epoch=int(epoch) if epoch.isascii() and epoch.isdigit() and len(epoch) < 10 else None,
        until=_until(request, context, fields) if action == "snooze" else None, text=one(fields, "text"),
        to=target(fields), urgency=urgency(fields) or "default", into=await meant(context, into) if action == "merge" else "",
    )  # fmt: skip


def target(fields: Fields) -> Target:
    """Whom a form means: people that are ticked, or "team:NAME", "schedule:NAME", "policy:NAME"."""
    kind, _, name = one(fields, "to").partition(":")
    if kind not in ("", "team", "schedule", "policy"):
        raise invalid("this form names somebody whom amproxy cannot reach so")
    return Target(users=tuple(name for name in fields.get("users", ()) if name), **({kind: name} if kind else {}))


def urgency(fields: Fields) -> Urgency | None:
    return next((urgency for urgency in _URGENCIES if urgency == one(fields, "urgency")), None)


def _until(request: Request, context: Context, fields: Fields) -> float | None:
    """A moment on the reader's clock, or a length from now."""
    if until := one(fields, "until"):
        return time(until, "until", zone_of(request, context)).timestamp()
    if not (length := one(fields, "for")):
        return None
    try:
        return context.now() + parse_duration(length)
    except ValueError as error:
        raise invalid(str(error)[:200]) from None


async def perform_own(request: Request, context: Context, ids: Iterable[str], wish: actions.Request) -> list[Outcome]:
    """Do it on those of many incidents that somebody may act on, and say of each what became of it.

    Raises Forbidden (of what others are merged into), NotFound, BadAction, StoreUnavailable.
    """
    if wish.into:
        await require_own(request, context, wish.into)
    wanted = list(dict.fromkeys(ids))
    refused = await not_own(request, context, wanted)
    outcomes = await perform_all(context, [one for one in wanted if one not in refused], wish)
    outcomes += [Outcome(one, None, why) for one, why in refused.items()]
    done = [f"#{outcome.incident.number}" for outcome in outcomes if outcome.incident]
    say(request, f"{wish.action} {' '.join(done) or 'of many incidents, but none allowed it'}")
    return outcomes
