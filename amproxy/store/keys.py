"""Every key in Redis. All carry the hash tag of their partition: each script stays in one slot.

P = amproxy:{0}:                     all keys are in one partition; each script names P as its key,
                                     under which nothing is ever stored (docs/design.md)

Groups
P group:ID             hash    v (version), meta (Group), touched (pushes that want a flush),
                               flush, pending, settle (resolved alerts to delete after the flush),
                               hidden (MutedAlertsLog: alerts that silences or windows suppress)
P group:ID:leases      hash    fingerprint → lease: revision and times, which a repeat moves
P group:ID:alerts      hash    fingerprint → Alert
P group:ID:log         hash    integration → LogEntry: the last notification
P groups               set     ids of live groups
P told:FINGERPRINT     string  ToldLabels: under which an alert of a foreign body fires; expires
P record:ID            string  StatedRecord: what a source last said of an alert; expires
P stated:ID            string  ids of the alerts that fire in one group of a sender; expires
P source:KEY           hash    fingerprint → InhibitionSource, by rule and equal labels

Timers
P timers               zset    name → due, milliseconds; names: "flush:GROUP", "incident:ID",
                               "retry:ID", "heartbeat:NAME", "bundle:KEY", "shifts:SCHEDULE",
                               "maintenance:ID"

Incidents
P incident:ID          hash    v (version), data (Incident)
P incident:ID:timeline list    TimelineEntry
P incident:ID:alerts   hash    fingerprint → Alert as last notified; outlives the group
P incidents            zset    id → started_at
P incidents:STATE      zset    id → started_at
P summaries            hash    id → IncidentSummary: the fields that lists filter by
P counts               hash    "policy state" → number of incidents
P number               string  number of the last incident
P turns                hash    round-robin pointers
P views:USER           hash    name → query: the lists of incidents that a person has saved
P pictures             hash    digest → bytes: the last 100 that came in alerts; expires
P pictures:times       zset    digest → last push, Unix seconds

Messages
P outbox               stream  field m = OutgoingMessage; consumer group "deliver"
P begun                hash    entry → consumer: messages whose sending has begun
P retries              hash    id → OutgoingMessage that waits for its retry timer
P depth                hash    channel → messages that wait
P storm:KEY            zset    Page.id → milliseconds: the last pages of one policy to one person
                               over one channel; KEY = digest of these
P held:KEY             list    OutgoingMessage: pages of a storm that wait for "bundle:KEY"
P bundle:ID            hash    incident → epoch that the bundle's button acknowledges; a week
P throttled:LIMIT      string  expires when the destination takes messages again
P pace:LIMIT           string  milliseconds between its messages for a while after a refusal
P refusing:LIMIT       zset    narrower limit → milliseconds until which it is throttled
P unreadable           list    the last entries of the outbox that no version could decode
P deliveries           stream  field m = Delivery: the last 100,000, and of `store.retention`
P channels             hash    "sent CHANNEL", "failed CHANNEL" → the last such Delivery
P contacts             hash    "channel user" → Outcome of the last delivery
P subscriptions        hash    id → Subscription: a device that takes pushes; id = digest
P push:key             string  VAPID key, made once

Schedules
P overrides            hash    id → StoredOverride: made by hand, with its schedule
P absences             hash    id → StoredAbsence: made by hand, with its person
P swaps                hash    id → Swap
P shifts               set     schedules whose shifts are recorded
P shifts:SCHEDULE      hash    v (version), until (recorded up to, Unix seconds), zone,
                               over (it left the file), told (NoticeLog)
P facts:SCHEDULE       zset    RecordedShift → its end, Unix seconds
P calendar:ID          hash    text, and the fields of StoredCalendar; ID = digest of the address
P feeds                hash    token → Feed: whose shifts are served under it
P feeds:tokens         hash    "schedule NAME" or "user NAME" → token

Muting
P silences             hash    id → Silence
P silences:version     string  another number with every change of the silences
P silences:changes     list    the last 1,000, newest first: "VERSION BEFORE ID ID …"
P maintenance          hash    id → Maintenance made by hand
P maintenance:version  string  another number with every change of these windows
P maintenance:changes  list    the last 1,000, as of the silences
P hidden:BY            hash    "GROUP FINGERPRINT" → SuppressedAlertRecord;
                               BY = "silence:ID" or "maintenance:ID"

Health
P heartbeats           hash    name → "SECONDS SOURCE": the last ping, Unix seconds;
                               no SOURCE = not pinged yet, waited for since then
P heartbeats:missing   hash    name → the Alert that is raised while it is missing
P switch               hash    dead man's switch: up (1, 0), at (last good call, Unix seconds)
P senders              zset    source → last push or refusal, Unix seconds; the last 200
P sender:SOURCE        hash    pushes, alerts, refused (counts), last_push, last_alerts, refusal
                               (Refusal, the last), clock_behind (seconds); expires
P written              string  time of the last write probe
P clock:HOST           string  time of the last process on a host, Unix seconds; a day

Processes
P lease:NAME           string  holder of work that only one process may do (polling a bot)
P offset:NAME          string  how far a poller has read
P changes              channel what other processes must read again: "overrides", "absences",
                               "swaps", "silences", "maintenance", "subscriptions", "incident ID",
                               "calendar ID"
P digest               string  of the file that the groups were last made by
P replicas             set     names of processes that serve, and of some that did
P replica:NAME         string  Replica; expires soon after the process is gone
P secret               string  key of signed links, made once

Sign-in
P session:DIGEST       string  Session; DIGEST = SHA-256 of the cookie's secret; expires with it
P sessions:USER        zset    DIGEST → end of the session, Unix seconds
P sign-in:STATE        string  Handshake with the provider; STATE = SHA-256 of the state; expires
P attempts:KEY         string  wrong passwords in a row, by AttemptCounter; expires
P blocked:KEY          string  no password is checked while this is there; expires
P tokens               hash    SHA-256 of an API token → ApiToken
P tokens:used          hash    id of an API token → last use, Unix seconds
P audit                stream  field m = AuditEntry; bounded by number and age
"""

from __future__ import annotations

P = "amproxy:{0}:"

GROUPS = P + "groups"
TIMERS = P + "timers"
INCIDENTS = P + "incidents"
SUMMARIES = P + "summaries"
COUNTS = P + "counts"
NUMBER = P + "number"
TURNS = P + "turns"
OUTBOX = P + "outbox"
UNREADABLE = P + "unreadable"
RETRIES = P + "retries"
DEPTH = P + "depth"
DELIVERIES = P + "deliveries"
CHANNELS = P + "channels"
CONTACTS = P + "contacts"
SUBSCRIPTIONS = P + "subscriptions"
PUSH_KEY = P + "push:key"
OVERRIDES = P + "overrides"
ABSENCES = P + "absences"
SWAPS = P + "swaps"
SHIFTS = P + "shifts"
SILENCES = P + "silences"
MAINTENANCE = P + "maintenance"
FEEDS = P + "feeds"
FEED_TOKENS = P + "feeds:tokens"
HEARTBEATS = P + "heartbeats"
HEARTBEATS_MISSING = P + "heartbeats:missing"
DEAD_MANS_SWITCH = P + "switch"
SENDERS = P + "senders"
WRITE_PROBE = P + "written"
PICTURES = P + "pictures"
PICTURE_TIMES = P + "pictures:times"
SECRET = P + "secret"
DIGEST = P + "digest"
CHANGES = P + "changes"
REPLICAS = P + "replicas"
TOKENS = P + "tokens"
TOKENS_USED = P + "tokens:used"
AUDIT = P + "audit"


def views(user: str) -> str:
    return f"{P}views:{user}"


def group(group_id: str) -> str:
    return f"{P}group:{group_id}"


def leases(group_id: str) -> str:
    return f"{P}group:{group_id}:leases"


def alerts(group_id: str) -> str:
    return f"{P}group:{group_id}:alerts"


def log(group_id: str) -> str:
    return f"{P}group:{group_id}:log"


def told(fingerprint: str) -> str:
    return f"{P}told:{fingerprint}"


def record(id_: str) -> str:
    return f"{P}record:{id_}"


def stated(id_: str) -> str:
    return f"{P}stated:{id_}"


def incident(incident_id: str) -> str:
    return f"{P}incident:{incident_id}"


def timeline(incident_id: str) -> str:
    return f"{P}incident:{incident_id}:timeline"


def incident_alerts(incident_id: str) -> str:
    return f"{P}incident:{incident_id}:alerts"


def incidents(state: str) -> str:
    return f"{P}incidents:{state}"


def storm(key: str) -> str:
    return f"{P}storm:{key}"


def storm_pages(key: str) -> str:
    return f"{P}held:{key}"


def bundle(bundle_id: str) -> str:
    return f"{P}bundle:{bundle_id}"


def calendar(calendar_id: str) -> str:
    return f"{P}calendar:{calendar_id}"


def lease(name: str) -> str:
    return f"{P}lease:{name}"


def replica(name: str) -> str:
    return f"{P}replica:{name}"


def offset(name: str) -> str:
    return f"{P}offset:{name}"


def clock(host: str) -> str:
    return f"{P}clock:{host}"


def source(key: str) -> str:
    return f"{P}source:{key}"


def sender(source_name: str) -> str:
    return f"{P}sender:{source_name}"


def session(digest: str) -> str:
    return f"{P}session:{digest}"


def sessions(user: str) -> str:
    return f"{P}sessions:{user}"


def handshake(state: str) -> str:
    return f"{P}sign-in:{state}"


def shifts(schedule: str) -> str:
    return f"{P}shifts:{schedule}"


def facts(schedule: str) -> str:
    return f"{P}facts:{schedule}"


def version(key: str) -> str:
    return f"{key}:version"


def changes(key: str) -> str:
    return f"{key}:changes"


def suppressed(by: str) -> str:
    return f"{P}hidden:{by}"
