"""What amproxy remembers: alerts, groups, incidents, pages. Plain structs; they do nothing and know no store.

Times of alerts are integer nanoseconds since 1970 with the sender's offset kept, because Alertmanager's payload shows
them so; all other times are Unix seconds (float).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

import msgspec

from amproxy.config.structs import Policy, Urgency
from amproxy.labels.matchers import Matcher

# ---------------------------------------------------------------------------------------------------------- alerts


class Alert(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One alert as one group holds it."""

    fingerprint: str
    labels: dict[str, str]
    annotations: dict[str, str] = {}
    starts_ns: int
    ends_ns: int = 0  # 0 = no end: it fires until its sender resolves it
    updated_ns: int = 0
    starts_offset: int = 0  # minutes east of UTC, as sent
    ends_offset: int = 0
    timeout: bool = False  # the end was not sent: it is the time of the push plus resolve_timeout
    generator_url: str = ""
    extra: dict[str, Any] = {}  # what the sender added (Grafana: values, valueString, silenceURL, dashboardURL, panelURL, imageURL)
    source: str = ""
    lapses_ns: int = 0  # a webhook's alert without news is over at this time; 0 = never

    def resolved(self, now_ns: int) -> bool:
        return 0 < self.ends_ns <= now_ns or 0 < self.lapses_ns <= now_ns


def common_pairs(maps: Iterable[dict[str, str]]) -> dict[str, str]:
    """What all of them share."""
    rest = iter(maps)
    shared = dict(next(rest, {}))
    for other in rest:
        shared = {name: value for name, value in shared.items() if other.get(name) == value}
    return shared


class Group(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Alerts that are notified together: one route, one receiver, one set of group labels."""

    id: str  # short hash of key and receiver: what Redis keys carry
    key: str  # Alertmanager's group key
    receiver: str
    route_key: str
    labels: dict[str, str] = {}
    group_wait: float = 30.0
    group_interval: float = 300.0
    repeat_interval: float = 14400.0
    mute_time_intervals: tuple[str, ...] = ()
    active_time_intervals: tuple[str, ...] = ()
    route_labels: dict[str, str] = {}
    source: str = ""  # of a group that a webhook's sender made: its door, and the sender's own key
    sender_key: str = ""


class LogEntry(msgspec.Struct, kw_only=True, omit_defaults=True):
    """The notification log of one group and one integration: what was last told, and when."""

    firing: list[str] = []  # fingerprints, sorted
    resolved: list[str] = []
    at: float
    incident: str = ""  # of an oncall integration: the incident it opened


class MutedAlertsLog(msgspec.Struct):
    """Alerts of a group that a silence or window holds back, or held back and that were not told since: what a flush compares with."""

    at: float  # when this was last written
    by: dict[str, list[str]]  # fingerprint → "silence:ID", "maintenance:ID"


NotificationReason = Literal[
    "first notification", "new alerts added", "some alerts resolved", "all alerts resolved", "repeat interval elapsed"
]


class Silence(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What hides alerts for a time. Any of the matcher sets will do; all matchers of a set must hold."""

    id: str
    matcher_sets: list[list[Matcher]]
    starts_ns: int
    ends_ns: int
    updated_ns: int = 0
    created_by: str = ""
    comment: str = ""
    annotations: dict[str, str] = {}


# ------------------------------------------------------------------------------------------------ people's own doing


class Swap(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Somebody's wish that another takes over their shifts of one schedule between two times. It counts once it is taken."""

    id: str
    schedule: str
    user: str  # whose shifts
    start: float  # Unix seconds
    end: float  # exclusive
    reason: str = ""
    asked_by: str = ""  # who asked, where that is somebody else
    asked_at: float
    taken_by: str = ""  # "" = still open
    taken_through: str = ""  # who took it in their name, where that is somebody else
    taken_at: float | None = None


class Outcome(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of the last delivery to one person over one channel."""

    ok: bool  # False: it failed for good
    at: float  # of the last delivery that is remembered: equal ones follow it for up to an hour
    error: str = ""
    address: str  # decide.people.digest of where it went: says nothing about another one


# ------------------------------------------------------------------------------------------ what was so, on schedules


class RecordedPerson(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A person as the file had them while they were on call: a later file changes neither name nor clock of the past."""

    user: str
    full_name: str = ""
    timezone: str = "UTC"


class RecordedShift(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Who was on call for one schedule between two moments that are over. Never changed; the last one grows as time passes."""

    start: float  # Unix seconds
    end: float  # exclusive
    people: tuple[RecordedPerson, ...] = ()  # () = nobody
    reason: str = ""
    layer: str = ""
    override: str = ""  # id of an override by hand


class GapWarning(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One person was told of one hole in a schedule's future."""

    kind: Literal["gap_ahead", "empty_shift"]
    user: str
    layer: str = ""  # of an empty shift
    soon: bool = False  # of a gap: it was told that it is about to begin, or has begun
    start: float  # Unix seconds: the hole as far as it has been seen
    end: float


class NoticeLog(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What people were told of one schedule, so that nobody is told twice."""

    at: float  # Unix seconds: when that was last looked at
    on_call: tuple[str, ...] = ()  # who was on call then
    warned: tuple[GapWarning, ...] = ()


# -------------------------------------------------------------------------------------------------------- incidents

IncidentState = Literal["triggered", "acknowledged", "snoozed", "resolved"]

# What a policy that does not go on waits for: time, a time interval, alerts, somebody on call, the next round, the end of flapping,
# the answer of those who were asked by hand.
WaitReason = Literal["", "time", "interval", "alerts", "shift", "round", "flapping", "answer"]


class Page(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One notification of one person over one channel (or of a receiver's chat, then user is "")."""

    id: str
    kind: Literal["page", "reminder"] = "page"  # a reminder goes to the one who acknowledged, before that runs out
    user: str = ""
    receiver: str = ""  # instead of a user
    integration: str = ""  # of a receiver: "slack/0"
    channel: str
    address: str = ""
    policy: str = ""
    step: int = 0  # counts from 1; 0 = by hand
    round: int = 1
    reason: str = ""  # "on call for platform (layer weekly)"
    insists: bool = False  # goes out although somebody else has acknowledged: the person was asked for by hand
    once: bool = False  # of a webhook step: nothing is told later of what became of the incident
    bundle: str = ""  # id of the message that told of many incidents at once
    due: float
    state: Literal["due", "sent", "failed", "skipped"] = "due"
    sent_at: float | None = None
    attempts: int = 0
    error: str = ""
    ref: dict[str, str] = {}  # what the channel needs to change the message: {"chat_id": …, "message_id": …}
    shown: int = 0  # Incident.look that the message shows
    updating: bool = False  # an update is on its way


class Chain(msgspec.Struct, kw_only=True, omit_defaults=True):
    """How far one person's notification rules have run for one incident."""

    user: str
    urgency: Urgency = "default"
    position: int = 0  # next rule
    due: float | None = None  # when it runs; None = over
    step: int = 0
    round: int = 1
    reason: str = ""
    insists: bool = False  # asked by hand: runs although somebody else has acknowledged, and stands until the person answers
    quiet: bool = False  # the next rule waits for the end of the person's quiet hours
    left: float | None = None  # while snoozed, with after_snooze: resume: seconds to the next rule
    unreachable: bool = False  # every contact failed for good


class MergedGroup(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The alerts of a group whose incident was merged into another."""

    firing: int = 0
    resolved: int = 0
    common_labels: dict[str, str] = {}
    common_annotations: dict[str, str] = {}


class Incident(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What a group of alerts opens for people. Only machine.transition changes it."""

    id: str
    version: int = 0  # 0 = not stored yet; the commit is guarded by it
    number: int = 0
    epoch: int = 1  # goes up when it triggers again, so that an old button knows it is old
    state: IncidentState = "triggered"
    title: str = ""
    receiver: str = ""
    policy: str = ""
    team: str = ""
    plan: Policy  # the policy as it was at the start
    begins_with: str = ""  # the policy it was opened with, or given by hand; a `forward` step leads away from it
    forwards: dict[str, Policy] = {}  # the policies that `forward` steps lead to, as they were at the start
    urgency: Urgency | None = None
    group: str = ""  # Group.id; "" = opened by hand
    group_key: str = ""
    group_labels: dict[str, str] = {}
    common_labels: dict[str, str] = {}
    common_annotations: dict[str, str] = {}
    source: str = ""
    firing: int = 0
    resolved: int = 0
    started_at: float
    pushed_at: float = 0.0  # when the push that opened it came in
    updated_at: float = 0.0
    acknowledged_by: str = ""
    acknowledged_at: float | None = None
    first_acknowledged_by: str = ""  # stays, whatever becomes of the acknowledgement
    first_acknowledged_at: float | None = None
    resolved_by: str = ""  # a user, or one of machine.states.ENDS
    resolved_at: float | None = None
    snoozed_by: str = ""
    snoozed_until: float | None = None
    position: int = 0  # next step of the plan
    round: int = 1
    step_due: float | None = None  # when the next step runs; None = no more
    waiting: WaitReason = ""  # why step_due is what it is …
    waiting_for: str = ""  # … and in words: "wait 5m", "somebody on call for platform"
    acknowledge_due: float | None = None  # when the acknowledgement runs out
    reminder_due: float | None = None  # when the one who acknowledged is reminded of that
    step_left: float | None = None  # while snoozed, with after_snooze: resume: seconds to the next step
    heard_at: float = 0.0  # the last news, of alerts or people: what auto_resolve counts from
    arrivals: list[tuple[float, int]] = []  # when how many alerts came, as far back as wait_for_alerts looks
    returns: list[float] = []  # when its alerts came back after its end, as far back as `flapping` looks
    held_until: float | None = None  # all its alerts are muted: nothing of the plan runs before this
    held_by: str = ""  # what mutes them
    responders: list[str] = []  # people who were asked to join by hand
    merged_into: str = ""  # id of the incident that this one is part of now
    parts: dict[str, MergedGroup] = {}  # Group.id of incidents merged into this one → their alerts
    look: int = 1  # goes up whenever messages about it should look different
    news: str = ""  # the last change in one sentence, for channels that keep a thread
    chains: list[Chain] = []
    pages: list[Page] = []
    text: str = ""  # of one opened by hand


class TimelineEntry(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One fact of an incident's history, with its reason."""

    at: float
    kind: str  # opened, alerts, step, sent, failed, skipped, nobody, acknowledged, unacknowledged, snoozed, resolved, reopened, note, …
    text: str  # a sentence for people
    user: str = ""
    channel: str = ""
    policy: str = ""
    step: int = 0
    data: dict[str, Any] = {}  # what programs want of it: {"firing": 2, "resolved": 0}, {"until": 1767603600.0}


# --------------------------------------------------------------------------------------------------------- outbox


class OutgoingMessage(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One message that must go out: an entry of the outbox, or of the retries."""

    id: str
    kind: Literal["page", "update", "notification", "notice", "bundle"]
    channel: str
    incident: str = ""
    page: str = ""  # Page.id, for page and update
    user: str = ""
    urgent: bool = False  # the first page of an incident: goes ahead of the queue
    due: float
    attempt: int = 1
    deadline: float | None = None  # a notification is given up at the group's next flush
    # a notification of a receiver's integration (not a page): what is told
    group: Group | None = None
    integration: str = ""  # "webhook/0"
    alerts: list[Alert] = []
    truncated: int = 0
    reason: str = ""
    log: LogEntry | None = None  # written to the notification log once it is delivered
    flush: str = ""  # the flush it belongs to
    # a notice: a plain text to a person (test page)
    address: str = ""
    subject: str = ""
    text: str = ""
    # a bundle: pages of one policy to one person that go out as one message; `text` says which part of how many it is
    bundle: str = ""  # id that all parts share: Page.bundle of its pages
    pages: list[tuple[str, str]] = []  # (Incident.id, Page.id), in the order in which they were held


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """All that one transition changes. The commit stores it whole or, when the version moved on, not at all."""

    incident: Incident  # version already counted up
    before: str  # the state before; "" = it did not exist
    policy_before: str  # the policy before; a `forward` step changes it
    timeline: list[TimelineEntry]
    timer: float | None  # when `Tick` is due next; None = never
    outbox: list[OutgoingMessage]
    turns: dict[str, tuple[int, int]]  # round-robin pointers: key → (expected, new)
    nobody: list[str]  # schedules asked in vain
