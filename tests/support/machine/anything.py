"""Strategies: any policy, and anything that may happen to an incident that follows it."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from amproxy.config.structs import (
    Flapping,
    ForwardStep,
    IfNobody,
    NotifyStep,
    Policy,
    ResolveStep,
    Step,
    Wait,
    WaitForAlertsStep,
    WaitUntilStep,
    WebhookStep,
)
from amproxy.machine.events import (
    Absorb,
    Acknowledge,
    Act,
    AddResponders,
    Escalate,
    Hold,
    Merge,
    Note,
    Reassign,
    Reopen,
    Resolve,
    Snooze,
    TakeOut,
    Unacknowledge,
    Unmerge,
)
from amproxy.model import Incident, MergedGroup
from amproxy.text import phrase

PEOPLE = ("ann", "bob", "eve", "mute", "owl", "pro", "zed")  # zed is not in the file
POLICIES = ("main", "second", "third")

_seconds = st.sampled_from((60.0, 300.0, 3600.0))
_intervals = st.lists(st.sampled_from(("noon", "morning", "gone")), max_size=1).map(tuple)
_if_nobody = st.sampled_from(
    (
        IfNobody(),
        IfNobody(kind="user", user="bob"),
        IfNobody(kind="user", user="zed"),
        IfNobody(kind="wait_for_shift"),
    )
)
_users = st.lists(st.sampled_from(PEOPLE), min_size=1, max_size=3, unique=True).map(tuple)
_pick = st.sampled_from(("all", "round_robin"))
_urgency: Any = st.sampled_from(("default", "important"))
_condition: dict[str, Any] = {
    "matchers": st.sampled_from(((), (), ('a="b"',), ('a="c"',))),
    "active_time_intervals": _intervals,
    "mute_time_intervals": _intervals,
}

people: st.SearchStrategy[Step] = st.builds(NotifyStep, users=_users, urgency=_urgency)
deeds: st.SearchStrategy[Step] = st.one_of(
    st.builds(
        NotifyStep,
        schedule=st.sampled_from(("weekly", "day", "empty", "gone")),
        position=st.sampled_from(("current", "next")),
        urgency=_urgency,
        if_nobody=st.none() | _if_nobody,
        **_condition,
    ),
    st.builds(NotifyStep, users=_users, pick=_pick, urgency=_urgency, **_condition),
    st.builds(
        NotifyStep,
        team=st.sampled_from(("ops", "gone")),
        pick=_pick,
        if_nobody=st.none() | _if_nobody,
        **_condition,
    ),
    st.builds(NotifyStep, receiver=st.sampled_from(("chat", "repair", "gone")), **_condition),
    st.builds(WebhookStep, receiver=st.sampled_from(("repair", "chat")), **_condition),
    st.builds(ForwardStep, policy=st.sampled_from((*POLICIES, "gone")), **_condition),
    st.builds(ResolveStep, **_condition),
)
waits: st.SearchStrategy[Step] = st.one_of(
    st.builds(Wait, seconds=_seconds),
    st.builds(WaitUntilStep, interval=st.sampled_from(("noon", "morning", "gone"))),
)
gates: st.SearchStrategy[Step] = st.builds(
    WaitForAlertsStep, more_than=st.integers(0, 4), within=_seconds
)


def policies(steps: st.SearchStrategy[Step]) -> st.SearchStrategy[dict[str, Policy]]:
    """Three policies that may hand over to each other."""
    return st.fixed_dictionaries({name: _policy(name, steps) for name in POLICIES})


@st.composite
def _policy(draw: st.DrawFn, name: str, steps: st.SearchStrategy[Step]) -> Policy:
    timeout = draw(st.sampled_from((0.0, 1800.0)))
    return Policy(
        name=name,
        steps=tuple(draw(st.lists(steps, max_size=5))),
        repeat=draw(st.integers(0, 3)),
        repeat_from=draw(st.integers(1, 5)),
        acknowledge_timeout=timeout,
        acknowledge_reminder=draw(st.sampled_from((0.0, timeout / 3))),
        after_snooze=draw(st.sampled_from(("restart", "resume"))),
        auto_resolve=draw(st.sampled_from((0.0, 0.0, 7200.0))),
        flapping=draw(st.none() | st.just(Flapping(more_than=1, within=7200, hold=600))),
        if_nobody=draw(_if_nobody),
    )


# what people do most stands there twice
_KINDS = (
    Acknowledge,
    Acknowledge,
    Snooze,
    Snooze,
    Unacknowledge,
    Escalate,
    Reassign,
    AddResponders,
    AddResponders,
    Resolve,
    Reopen,
    Note,
    Merge,
    Absorb,
    Unmerge,
    TakeOut,
)


def _roots(now: float) -> st.SearchStrategy[Incident]:
    """What an incident was merged into, in any state."""
    return st.builds(
        Incident,
        id=st.just("other"),
        number=st.just(9),
        plan=st.just(Policy(name="main")),
        started_at=st.just(now - 60),
        state=st.sampled_from(("triggered", "acknowledged", "snoozed", "resolved")),
        acknowledged_by=st.sampled_from(PEOPLE),
        snoozed_by=st.sampled_from(PEOPLE),
        snoozed_until=st.sampled_from((now - 1, now + 600)),
    )


@st.composite
def acts(draw: st.DrawFn, now: float, epoch: int) -> Act:
    """Somebody does something, perhaps with an old button."""
    kind: Any = draw(st.sampled_from(_KINDS))
    more: dict[str, Any] = {}
    if kind is Snooze:
        more["until"] = now + draw(st.sampled_from((-1.0, 100.0, 100.0, 600.0, 7200.0)))
    elif kind is Note:
        more["text"] = "looking"
    elif kind in (Reassign, AddResponders):
        asked = people | st.builds(NotifyStep, schedule=st.sampled_from(("weekly", "day")))
        more["to"] = draw(
            asked | policies(deeds | waits).map(lambda known: known["third"])
            if kind is Reassign
            else asked
        )
    elif kind is Merge:
        more |= {"into": draw(st.sampled_from(("i", "other"))), "number": 9}
    elif kind is Absorb:
        more |= {
            "id": "other",
            "number": 8,
            "title": "Other",
            "groups": {"h": MergedGroup(firing=draw(st.integers(0, 2)))},
        }
    elif kind is TakeOut:
        more |= {"number": 8, "title": "Other", "groups": {"h"}}
    elif kind is Unmerge:
        more |= {
            "root": draw(_roots(now)),
            "groups": {"g": MergedGroup(firing=draw(st.integers(0, 2)))},
            "hold": draw(
                st.none()
                | st.just(Hold(reason=phrase("mute.in_windows", windows=("a",)), until=now + 300))
            ),
        }
    user = draw(st.sampled_from((*PEOPLE, "")))
    return kind(
        user=user, via="web", epoch=draw(st.sampled_from((None, None, epoch, epoch - 1))), **more
    )  # type: ignore[no-any-return]
