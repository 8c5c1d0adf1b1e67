"""Every key in Redis, in one place. All carry the hash tag of their partition, so that each script stays in one slot.

P = amproxy:{0}:                     one Redis has one partition

P group:ID             hash    v (version), meta (Group), touched (pushes that ask for a flush), flush, pending, settle,
                               hidden (Following: alerts that a silence or window holds back)
P group:ID:leases      hash    fingerprint → lease: revision and times, what a repeated push is compared with
P group:ID:alerts      hash    fingerprint → Alert
P group:ID:log         hash    integration → LogEntry: what was last told
P groups               set     ids of live groups
P timers               zset    "flush:GROUP", "incident:ID", "retry:ID", "heartbeat:NAME", "bundle:KEY",
                               "shifts:SCHEDULE", "maintenance:ID" → due, milliseconds
P incident:ID          hash    v (version), data (Incident)
P incident:ID:timeline list    TimelineEntry
P incident:ID:alerts   hash    fingerprint → Alert, as last told; kept when the group is gone
P incidents            zset    id → started_at
P incidents:STATE      zset    id → started_at
P summaries            hash    id → Summary: what lists of incidents are filtered by
P counts               hash    "policy state" → number of incidents
P number               string  the last incident's number
P turns                hash    round-robin pointers
P outbox               stream  field m = Outgoing; consumer group "deliver"
P retries              hash    id → Outgoing that waits for its retry timer
P depth                hash    channel → messages that wait
P storm:KEY            zset    Page.id → when, milliseconds: the last pages of a policy to one person over one channel (KEY: its digest)
P held:KEY             list    Outgoing: pages of a storm that wait for the timer "bundle:KEY" to become one message
P bundle:ID            hash    incident → epoch: what the button of a bundle acknowledges; kept for a week
P deliveries           stream  field m = Delivery: what became of each attempt to deliver; the last 100,000, and of `store.retention`
P channels             hash    "sent CHANNEL", "failed CHANNEL" → Delivery: the last one of each
P contacts             hash    "channel user" → Outcome: what became of the last delivery
P overrides            hash    id → schedule and Override made by hand
P absences             hash    id → person and Absence made by hand
P swaps                hash    id → Swap
P shifts               set     schedules whose shifts are written down
P shifts:SCHEDULE      hash    v (version), until (written up to, Unix seconds), zone, over (it left the file), told (Told)
P facts:SCHEDULE       zset    Fact → its end, Unix seconds
P calendar:ID          hash    a schedule's calendar (ID = digest of its address): text, and the fields of store.calendars.Kept
P feeds                hash    token → Feed: whose shifts this address of ours shows
P feeds:tokens         hash    "schedule NAME" or "user NAME" → token
P silences             hash    id → Silence
P silences:version     string  goes up with every change of the silences
P source:KEY           hash    fingerprint → what inhibits under an inhibition rule and its equal labels
P maintenance          hash    id → Maintenance made by hand
P maintenance:version  string  goes up with every change of these windows
P hidden:BY            hash    "GROUP FINGERPRINT" → Hidden; BY = "silence:ID" or "maintenance:ID": what it held back
P heartbeats           hash    name → "SECONDS DOOR": the last beat, Unix seconds; no DOOR = none yet, waited for since
P heartbeats:missing   hash    name → the Alert that is raised because it stays away
P switch               hash    of the dead man's switch: up (1, 0), at (last call that was taken, Unix seconds)
P written              string  when somebody last tried whether Redis takes writes
P lease:NAME           string  who does something that only one may do (polling a bot)
P offset:NAME          string  how far a poller has read
P secret               string  key of signed links, made once
P session:DIGEST       string  Session; DIGEST = SHA-256 of the secret in the browser's cookie; expires with the session
P sessions:USER        zset    DIGEST → end of the session, Unix seconds
P sign-in:STATE        string  Handshake with the provider of the sign-in; STATE = SHA-256 of the state; expires after minutes
P attempts:KEY         string  wrong passwords in a row, by name or address; expires
P blocked:KEY          string  no password is looked at as long as this is there; expires
P tokens               hash    SHA-256 of an API token → ApiToken
P tokens:used          hash    id of an API token → when it was last used, Unix seconds
P audit                stream  field m = audit.Entry; bounded by number and age
P changes              channel what other processes should look at again: "overrides", "absences", "swaps", "silences", "maintenance",
                               "incident ID", "calendar ID"
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
RETRIES = P + "retries"
DEPTH = P + "depth"
DELIVERIES = P + "deliveries"
CHANNELS = P + "channels"
CONTACTS = P + "contacts"
OVERRIDES = P + "overrides"
ABSENCES = P + "absences"
SWAPS = P + "swaps"
SHIFTS = P + "shifts"
SILENCES = P + "silences"
SILENCES_VERSION = P + "silences:version"
MAINTENANCE = P + "maintenance"
MAINTENANCE_VERSION = P + "maintenance:version"
FEEDS = P + "feeds"
FEED_TOKENS = P + "feeds:tokens"
HEARTBEATS = P + "heartbeats"
HEARTBEATS_MISSING = P + "heartbeats:missing"
DEAD_MANS_SWITCH = P + "switch"
WRITE_PROBE = P + "written"
SECRET = P + "secret"
DIGEST = P + "digest"
CHANGES = P + "changes"
TOKENS = P + "tokens"
TOKENS_USED = P + "tokens:used"
AUDIT = P + "audit"


def group(group_id: str) -> str:
    return f"{P}group:{group_id}"


def leases(group_id: str) -> str:
    return f"{P}group:{group_id}:leases"


def alerts(group_id: str) -> str:
    return f"{P}group:{group_id}:alerts"


def log(group_id: str) -> str:
    return f"{P}group:{group_id}:log"


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


def offset(name: str) -> str:
    return f"{P}offset:{name}"


def source(key: str) -> str:
    return f"{P}source:{key}"


def session(digest: str) -> str:
    return f"{P}session:{digest}"


def sessions(user: str) -> str:
    return f"{P}sessions:{user}"


def handshake(state: str) -> str:
    return f"{P}sign-in:{state}"


def attempts(key: str) -> str:
    return f"{P}attempts:{key}"


def blocked(key: str) -> str:
    return f"{P}blocked:{key}"


def shifts(schedule: str) -> str:
    return f"{P}shifts:{schedule}"


def facts(schedule: str) -> str:
    return f"{P}facts:{schedule}"


def suppressed(by: str) -> str:
    return f"{P}hidden:{by}"
