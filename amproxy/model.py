"""The stored values: alerts, groups, incidents, pages. Plain structs that know no store.

Field names are stored too: a new name needs `msgspec.field(name=...)`. Times of alerts are integer
nanoseconds since 1970 with the sender's offset, because Alertmanager's payload shows them so; all
other times are Unix seconds (float).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, Literal, NamedTuple, get_args

import msgspec

from amproxy.config.structs import Policy, Urgency
from amproxy.labels.matchers import Matcher
from amproxy.text import Phrase, Words

MAX_SUPPRESSED = 1000  # alerts that are stored of one silence or maintenance window


# gc=False, here and below: these come by the hundred thousand and hold no cycles. The collector,
# which stops the whole process, would walk all of them.


class AlertRepair(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """Something odd in an alert as it came, and how it was taken: a code of `repair` in text/."""

    code: str
    field: str  # "labels.cpu", "startsAt"
    given: str = ""  # the value, shortened


# Extra field of an alert: how many alerts its sender cut off the push that it came with.
LEFT_OUT_FIELD: Final = "truncatedAlerts"
# Extra field of an alert: the picture that came in it. What is stored there is its digest.
EMBEDDED_FIELD: Final = "embeddedImage"


class Alert(msgspec.Struct, kw_only=True, omit_defaults=True, gc=False):
    """One alert of one group; each group has its own copy."""

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
    # What its sender added: Grafana's values, links and picture (notify/grafana.py reads them).
    extra: dict[str, Any] = {}
    source: str = ""
    lapses_ns: int = 0  # when a webhook's alert without news is resolved; 0 = never
    repairs: list[AlertRepair] = []  # of the push that it came with

    def resolved(self, now_ns: int) -> bool:
        return 0 < self.ends_ns <= now_ns or 0 < self.lapses_ns <= now_ns

    @property
    def unnamed(self) -> bool:
        """It ended because its sender's group no longer named it: nobody sent that end."""
        return self.timeout and 0 < self.lapses_ns == self.ends_ns


def common_pairs(maps: Iterable[dict[str, str]]) -> dict[str, str]:
    """Return the pairs that all of them share."""
    rest = iter(maps)
    shared = dict(next(rest, {}))
    for other in rest:
        if not shared.items() <= other.items():  # seldom: there may be a hundred thousand maps
            shared = {name: value for name, value in shared.items() if other.get(name) == value}
    return shared


class Group(msgspec.Struct, kw_only=True, omit_defaults=True, gc=False):
    """Alerts that are notified together: one route, one receiver, one set of group labels."""

    id: str  # short hash of key and receiver: what Redis keys carry
    key: str  # Alertmanager's group key
    receiver: str
    route_key: str
    twin: int = 0  # Route.twin
    labels: dict[str, str] = {}
    group_wait: float = 30.0
    group_interval: float = 300.0
    repeat_interval: float = 14400.0
    mute_time_intervals: tuple[str, ...] = ()
    active_time_intervals: tuple[str, ...] = ()
    route_labels: dict[str, str] = {}
    # Of a group that a webhook's sender formed: the webhook, and the sender's own key.
    source: str = ""
    sender_key: str = ""


class LogEntry(msgspec.Struct, kw_only=True, omit_defaults=True):
    """The notification log of one group and one integration: its last notification."""

    firing: list[str] = []  # fingerprints, sorted
    resolved: list[str] = []
    at: float
    incident: str = ""  # of an oncall integration: the incident it opened
    # What a channel needs to change the first message, where later ones are to.
    ref: dict[str, str] = {}


class MutedAlertsLog(msgspec.Struct):
    """The alerts of a group that were muted at its last flush, or not notified since they were.

    The next flush compares with it.
    """

    at: float  # when this was last written
    by: dict[str, list[str]]  # fingerprint → "silence:ID", "maintenance:ID"


NotificationReason = Literal[
    "first notification",
    "new alerts added",
    "some alerts resolved",
    "all alerts resolved",
    "repeat interval elapsed",
]


class Silence(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A mute of alerts for a time. It needs all matchers of any one of its sets to match."""

    id: str
    matcher_sets: list[list[Matcher]]
    starts_ns: int
    ends_ns: int
    updated_ns: int = 0
    created_by: str = ""
    comment: str = ""
    annotations: dict[str, str] = {}


class Swap(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A request that somebody takes over a person's shifts of one schedule for a period.

    It has effect once it is taken.
    """

    id: str
    schedule: str
    user: str  # whose shifts
    start: float  # Unix seconds
    end: float  # exclusive
    reason: str = ""
    asked_by: str = ""  # who made the request, where that is somebody else
    asked_at: float
    taken_by: str = ""  # "" = still open
    taken_through: str = ""  # who accepted in the name of taken_by, where that is somebody else
    taken_at: float | None = None


class Outcome(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The result of the last delivery to one person over one channel."""

    ok: bool  # False: it failed for good
    at: float  # an equal result up to an hour later is not stored again
    error: Words = ""
    address: str  # config.channels.address_digest: the result is about this address only


class RecordedPerson(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A person as in the file of that time: a later file does not change the past."""

    user: str
    full_name: str = ""
    timezone: str = "UTC"


class RecordedShift(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The people on call for one schedule in a past period.

    It is never changed; only the end of the last one moves on as time passes.
    """

    start: float  # Unix seconds
    end: float  # exclusive
    people: tuple[RecordedPerson, ...] = ()  # () = nobody
    reason: Words = ""
    layer: str = ""
    override: str = ""  # id of an override by hand


class GapWarning(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One person was warned of one gap in a schedule's future."""

    kind: Literal["gap_ahead", "empty_shift"]
    user: str
    layer: str = ""  # of an empty shift
    soon: bool = False  # of a gap: warned that it is about to begin, or has begun
    start: float  # Unix seconds: the gap as far as it is known
    end: float


class FilePlan(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The shifts of the next weeks by the file alone, without what is changed by hand."""

    loaded_at: float  # Unix seconds: when the file was loaded that says so
    until: float
    shifts: tuple[tuple[float, float, tuple[str, ...]], ...] = ()  # start, end, people


class NoticeLog(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The notices about one schedule that were sent, so that none is sent twice."""

    at: float  # Unix seconds: when the schedule was last checked
    on_call: tuple[str, ...] = ()  # who was on call then
    warned: tuple[GapWarning, ...] = ()
    plan: FilePlan | None = None  # that people know of; None = it was never noted


IncidentState = Literal["triggered", "acknowledged", "snoozed", "resolved"]

# What the policy waits for: a time, a time interval, alerts, somebody on call, the next round, the
# end of flapping, the answer of people paged by hand.
WaitReason = Literal["", "time", "interval", "alerts", "shift", "round", "flapping", "answer"]


# A reminder goes to the person who acknowledged, before the acknowledgement runs out.
PageKind = Literal["page", "reminder"]
PageState = Literal["due", "sent", "failed", "skipped"]
# What ends an incident without a person: its alerts are resolved; no news from the source in time;
# its sender's group no longer names them; its alerts belong to other groups since the file changed;
# a step of its policy; no news of it for long; it is part of another incident now.
EndReason = Literal["source", "expired", "unnamed", "moved", "policy", "silent", "merged"]
END_REASONS: Final[dict[str, EndReason]] = {reason: reason for reason in get_args(EndReason)}


class Page(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One notification of one person over one channel, or of a receiver's chat (user = "")."""

    id: str
    kind: PageKind = "page"
    user: str = ""
    receiver: str = ""  # instead of a user
    integration: str = ""  # of a receiver: "slack/0"
    channel: str
    address: str = ""
    policy: str = ""
    step: int = 0  # counts from 1; 0 = by hand
    round: int = 1
    reason: Words = ""  # "on call for platform: layer weekly"
    insists: bool = False  # by hand: sent even if somebody else has acknowledged
    once: bool = False  # of a webhook step: no updates follow
    bundle: str = ""  # id of the message about many incidents that it was sent in
    due: float
    state: PageState = "due"
    sent_at: float | None = None
    attempts: int = 0
    error: Words = ""  # of a failure, or why it was not sent
    # What the channel needs to update the message: {"chat_id": …, "message_id": …}
    ref: dict[str, str] = {}
    shown: int = 0  # Incident.look that the message shows
    updating: bool = False  # an update is queued


class Chain(msgspec.Struct, kw_only=True, omit_defaults=True):
    """The progress of one person's notification rules for one incident."""

    user: str
    urgency: Urgency = "default"
    position: int = 0  # next rule, of the rules as they were when the last one ran
    ran: list[str] = []  # the rules that ran: channels with commas between them, or "wait"
    due: float | None = None  # when it runs; None = over
    step: int = 0
    round: int = 1
    reason: Words = ""
    insists: bool = False  # by hand: runs, whoever has acknowledged, until the person answers
    quiet: bool = False  # the next rule waits for the end of the person's quiet hours
    left: float | None = None  # while snoozed, to be resumed: seconds to the next rule
    unreachable: bool = False  # every contact failed for good


class MergedGroup(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The alerts of a group whose incident was merged into another."""

    firing: int = 0
    resolved: int = 0
    common_labels: dict[str, str] = {}
    common_annotations: dict[str, str] = {}
    severity: str = ""  # of the gravest that fires


class Incident(msgspec.Struct, kw_only=True, omit_defaults=True):
    """An incident: what a group of alerts opens for people. Only machine.transition changes it."""

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
    begins_with: str = ""  # the policy before any `forward` step
    forwards: dict[str, Policy] = {}  # those of `forward` steps, as they were at the start
    urgency: Urgency | None = None
    group: str = ""  # Group.id; "" = opened by hand
    group_key: str = ""
    group_labels: dict[str, str] = {}
    common_labels: dict[str, str] = {}
    common_annotations: dict[str, str] = {}
    source: str = ""
    firing: int = 0
    resolved: int = 0
    severity: str = ""  # of the gravest alert that fires
    gravest: str = ""  # the same of all that fired since somebody answered, or was last paged anew
    joined: Words = ""  # the alert that people were last paged anew for …
    joined_at: float | None = None  # … and when
    started_at: float
    pushed_at: float = 0.0  # when the push that opened it came in
    updated_at: float = 0.0
    acknowledged_by: str = ""
    acknowledged_at: float | None = None
    first_acknowledged_by: str = ""  # stays, whatever becomes of the acknowledgement
    first_acknowledged_at: float | None = None
    resolved_by: str = ""  # a user, the channel of one who is not known, or an EndReason
    ended: EndReason | Literal["", "person"] = ""  # "" also in records of an earlier version
    resolved_at: float | None = None
    # Resolved by hand while alerts fire: when they page anew if they still do, Unix seconds.
    quiet_until: float | None = None
    snoozed_by: str = ""
    snoozed_until: float | None = None
    position: int = 0  # next step of the plan
    round: int = 1
    step_due: float | None = None  # when the next step runs; None = no more
    waiting: WaitReason = ""  # why step_due is what it is …
    waiting_for: Words = ""  # … and more exactly: "wait 5 min", "somebody on call for platform"
    acknowledge_due: float | None = None  # when the acknowledgement runs out
    reminder_due: float | None = None  # when the person who acknowledged is reminded of that
    step_left: float | None = None  # while snoozed, to be resumed: seconds to the next step
    heard_at: float = 0.0  # the last news, of alerts or people: auto_resolve counts from it
    # (time, number) of new alerts, as far back as a wait_for_alerts step counts.
    arrivals: list[tuple[float, int]] = []
    # When its alerts came back after its end, as far back as `flapping` counts.
    returns: list[float] = []
    held_until: float | None = None  # all alerts are muted: no step runs before this
    held_by: Words = ""  # what mutes them
    responders: list[str] = []  # people who were paged by hand besides others
    merged_into: str = ""  # id of the incident that this one is part of now
    # Group.id → its alerts, once another incident was merged into this one; its own group included.
    parts: dict[str, MergedGroup] = {}
    look: int = 1  # goes up whenever messages about it must be updated
    news: Words = ""  # the last change, for channels that keep a thread
    chains: list[Chain] = []
    pages: list[Page] = []
    text: str = ""  # of one opened by hand

    @property
    def end_reason(self) -> EndReason | None:
        """The cause of its end; None = a person ended it, or it is open."""
        return END_REASONS.get(self.ended or self.resolved_by)


def current_annotations(incident: Incident, alerts: Iterable[Alert], now: float) -> dict[str, str]:
    """The annotations that an incident's firing alerts share, as its alerts are now.

    Of one that is over: at its end. alerts: its own; now: Unix seconds.
    """
    at = (incident.resolved_at or now) if incident.state == "resolved" else now
    at_ns = int(at * 10**9)
    firing = [alert.annotations for alert in alerts if not alert.resolved(at_ns)]
    return common_pairs(firing) if firing else incident.common_annotations


class TimelineEntry(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One fact of an incident's history, with its reason."""

    at: float
    kind: str  # opened, alerts, step, sent, failed, nobody, acknowledged, snoozed, resolved, …
    what: Phrase | None = None
    user: str = ""
    channel: str = ""
    policy: str = ""
    step: int = 0
    data: dict[str, Any] = {}  # for programs: {"firing": 2, "resolved": 0}, {"until": 1767603600.0}
    text: str = ""  # in place of `what`: the sentence of a record of an earlier version

    @property
    def words(self) -> Words:
        return self.what or self.text


class OutgoingMessage(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One message to send: an entry of the outbox, or of the retries."""

    id: str
    kind: Literal["page", "update", "notification", "notice", "bundle"]
    channel: str
    incident: str = ""
    page: str = ""  # Page.id, for page and update
    user: str = ""
    urgent: bool = False  # the person's first page of the incident: goes ahead of the queue
    due: float
    attempt: int = 1
    unclear: int = 0  # attempts of which nobody knows whether they arrived
    deadline: float | None = None  # a notification is given up at the group's next flush
    # A notification of a receiver's integration (not a page): what it is about.
    group: Group | None = None
    integration: str = ""  # "webhook/0"; of a page or update to a receiver "RECEIVER/slack/0"
    alerts: list[Alert] = []
    truncated: int = 0
    reason: str = ""
    log: LogEntry | None = None  # written to the notification log once it is delivered
    flush: str = ""  # the flush it belongs to
    # For the event recorder alone: the how-manieth flush of the group it is, and the group's alerts
    # that the message does not carry: they were muted, or left out.
    flush_number: int = 0
    others: list[Alert] = []
    # A notice: a plain text to a person (test page).
    address: str = ""
    subject: Words = ""
    text: str = ""
    tried: list[str] = []  # channels over which it failed for good
    # A bundle: pages of one policy to one person that are sent as one message, or as several where
    # they are too long; `text` has the number of this one.
    bundle: str = ""  # id that these messages share: Page.bundle of their pages
    pages: list[tuple[str, str]] = []  # (Incident.id, Page.id), oldest first


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """All that one transition changes.

    The commit stores all of it or, where another commit was first (by Incident.version), nothing.
    """

    incident: Incident  # version already counted up
    before: str  # the state before; "" = it did not exist
    policy_before: str  # the policy before; a `forward` step changes it
    timeline: list[TimelineEntry]
    timer: float | None  # when a TimerTick is due next; None = never
    outbox: list[OutgoingMessage]
    turns: dict[str, tuple[int, int]]  # round-robin pointers: key → (expected, new)
    nobody: list[str]  # schedules that had nobody on call
    # For the log: the page that a delivery was of, and how a person acted ("web", "telegram" …).
    page: str = ""
    via: str = ""


class LoadedGroup(NamedTuple):
    """A group as loaded for a flush."""

    group: Group
    version: str  # "" = never flushed
    touched: str
    alerts: list[Alert]
    revisions: dict[str, bytes]
    log: dict[str, LogEntry]
    # Unix seconds: notifications of the last flush are still being delivered, at the longest until
    # then; 0 = none is.
    busy_until: float
    following: MutedAlertsLog | None
    muted: bytes = b""  # the alerts that the last flush found muted, as they are stored


class SuppressedAlertRecord(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One alert of one group that a silence or maintenance window suppressed."""

    fingerprint: str
    labels: dict[str, str]
    group: str  # Group.id
    receiver: str
    first: float  # Unix seconds
    last: float  # written at most once an hour while nothing else changes
    told: float | None = None  # when it was notified after the end; None = not


class SuppressionUpdate(NamedTuple):
    """A flush's finding: an alert that is suppressed, or that was and is notified now."""

    by: str  # "silence:ID", "maintenance:ID"
    hidden: SuppressedAlertRecord
