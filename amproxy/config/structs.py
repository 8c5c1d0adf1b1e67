"""The configuration as typed, immutable values: the meaning of routes.yaml after loading.

First Alertmanager's own sections, then people, schedules and policies, then the service. Durations
are seconds (float). Wall-clock times without a zone are naive datetimes in the schedule's zone, or
the person's for an absence. Defaults are filled in, and every name in it is known to exist.
"""

from __future__ import annotations

from datetime import datetime
from ipaddress import IPv4Network, IPv6Network
from typing import Any, Final, Literal

import msgspec

from amproxy.labels.intervals import TimeInterval
from amproxy.labels.matchers import Matcher
from amproxy.secret import Secret
from amproxy.text import Phrase

Urgency = Literal["default", "important"]


class Struct(msgspec.Struct, frozen=True, kw_only=True):
    """Base of everything here: immutable, keyword-only."""


class FilePlace(Struct, frozen=True, kw_only=True):
    """A position in a file; line and column count from 1."""

    file: str = ""
    line: int = 0
    column: int = 0


class Route(Struct, frozen=True, kw_only=True):
    """One node of the route tree, everything inherited already filled in."""

    receiver: str
    key: str  # Alertmanager's route key: "{}/{team=\"a\"}"
    # How many routes before it have the same key and receiver: each has groups of its own.
    twin: int = 0
    matchers: tuple[Matcher, ...] = ()
    group_by: tuple[str, ...] = ()
    group_by_all: bool = False
    # Here or on a route above. Only without it does a group take over its sender's groupKey.
    group_by_given: bool = False
    group_wait: float = 30.0
    group_interval: float = 300.0
    repeat_interval: float = 14400.0
    continue_: bool = False
    mute_time_intervals: tuple[str, ...] = ()
    active_time_intervals: tuple[str, ...] = ()
    labels: dict[str, str] = {}
    routes: tuple[Route, ...] = ()
    place: FilePlace = FilePlace()


class InhibitRule(Struct, frozen=True, kw_only=True):
    name: str = ""
    source_matchers: tuple[Matcher, ...] = ()
    target_matchers: tuple[Matcher, ...] = ()
    equal: tuple[str, ...] = ()
    place: FilePlace = FilePlace()


class Integration(Struct, frozen=True, kw_only=True):
    """One entry of a receiver's `*_configs` list. Its notification log key is (kind, index).

    `settings` is OncallSettings below, or the struct of its channel: WebhookSettings …
    """

    kind: str  # "webhook", "slack", "telegram", "email", "oncall", … : the key without "_configs"
    index: int  # position in its list
    send_resolved: bool
    settings: Any
    undeliverable: Phrase | None = None  # the reason (OAuth 2 …); None = it can be sent
    place: FilePlace = FilePlace()


class Receiver(Struct, frozen=True, kw_only=True):
    name: str
    integrations: tuple[Integration, ...] = ()  # in Alertmanager's order of kinds, then of the list
    labels: dict[str, str] = {}
    place: FilePlace = FilePlace()


class OncallSettings(Struct, frozen=True, kw_only=True):
    escalation_policy: str
    title: str = ""  # Jinja2, sandboxed; "" = the built-in title
    urgency: Urgency | None = None  # None = each step's own


class TlsSettings(Struct, frozen=True, kw_only=True):
    ca: str = ""  # PEM text
    ca_file: str = ""
    cert: str = ""
    cert_file: str = ""
    key: Secret = Secret("")
    key_file: str = ""
    server_name: str = ""
    insecure_skip_verify: bool = False
    min_version: str = ""
    max_version: str = ""


class OAuth2Settings(Struct, frozen=True, kw_only=True):
    """Alertmanager's oauth2: how a token is fetched. *_file keys are read at use."""

    client_id: str = ""
    client_secret: Secret = Secret("")
    client_secret_file: str = ""
    # Of a grant by a signed assertion, in the place of the secret.
    client_certificate_key_id: str = ""
    client_certificate_key: Secret = Secret("")
    client_certificate_key_file: str = ""
    signature_algorithm: str = ""
    grant_type: str = ""
    iss: str = ""
    audience: str = ""
    claims: dict[str, str] = {}
    scopes: tuple[str, ...] = ()
    token_url: str = ""
    endpoint_params: dict[str, str] = {}
    tls: TlsSettings = TlsSettings()
    proxy_url: str = ""
    no_proxy: str = ""
    proxy_from_environment: bool = False
    proxy_connect_header: dict[str, tuple[Secret, ...]] = {}


class HttpSettings(Struct, frozen=True, kw_only=True):
    """Alertmanager's http_config. *_file keys are read at use: a changed file takes effect."""

    basic_auth_username: str = ""
    basic_auth_username_file: str = ""
    basic_auth_password: Secret = Secret("")
    basic_auth_password_file: str = ""
    authorization_type: str = "Bearer"
    authorization_credentials: Secret = Secret("")
    authorization_credentials_file: str = ""
    oauth2: OAuth2Settings | None = None
    tls: TlsSettings = TlsSettings()
    proxy_url: str = ""
    no_proxy: str = ""
    proxy_from_environment: bool = False
    proxy_connect_header: dict[str, tuple[Secret, ...]] = {}
    follow_redirects: bool = True  # as the file says; none is followed
    http_headers: dict[str, tuple[str, ...]] = {}


class Global(Struct, frozen=True, kw_only=True):
    """Alertmanager's `global`: defaults of receivers, which have them already, and for people."""

    resolve_timeout: float = 300.0  # seconds
    http: HttpSettings = HttpSettings()
    # Channel → its settings to reach people; each contact adds its address.
    channels: dict[str, Any] = {}


class Notify(Struct, frozen=True, kw_only=True, tag="notify"):
    """A personal rule: over these channels, at once."""

    channels: tuple[str, ...]


class Wait(Struct, frozen=True, kw_only=True, tag="wait"):
    """A personal rule or a policy step: go on after so many seconds."""

    seconds: float
    place: FilePlace = FilePlace()


class Absence(Struct, frozen=True, kw_only=True):
    start: datetime  # naive, in the person's zone (from the file) or aware (by hand)
    end: datetime  # exclusive
    reason: str = ""
    id: str = ""  # of an absence by hand; "" = from the file


NoticeKind = Literal[
    "going_on_call",
    "leaving",
    "gap_ahead",
    "empty_shift",
    "swap_asked",
    "shift_moved",
    "calendar_trouble",
]


class User(Struct, frozen=True, kw_only=True):
    name: str
    full_name: str = ""
    timezone: str = "UTC"
    role: Literal["admin", "responder", "viewer"] = "responder"
    contacts: dict[str, str] = {}  # channel → address, in the order written; "telegram": "1111"
    # For an urgency that is absent, see config/channels.py.
    notification_rules: dict[Urgency, tuple[Notify | Wait, ...]] = {}
    absences: tuple[Absence, ...] = ()
    holidays: str = ""  # country whose holidays timelines show: "DE", or a part of it: "DE-BY"
    # Time intervals on the person's own clock: pages of urgency "default" wait for their end.
    quiet_hours: tuple[str, ...] = ()
    notices: dict[NoticeKind, tuple[str, ...]] = {}  # notices besides pages → their channels
    password_hash: Secret = Secret("")  # argon2id
    password_hash_file: str = ""
    place: FilePlace = FilePlace()


class Team(Struct, frozen=True, kw_only=True):
    name: str
    members: tuple[str, ...] = ()
    place: FilePlace = FilePlace()


class Rotation(Struct, frozen=True, kw_only=True):
    """Turns on the wall clock of the schedule's zone."""

    every: str  # as written: "1w", "12h", "1mo"
    seconds: int  # 0 where months is given
    months: int  # 0 where seconds is given
    start: datetime  # naive
    # Turns are counted over the days on which the layer is active; then `seconds` are whole days.
    active_days: bool = False


class Layer(Struct, frozen=True, kw_only=True):
    name: str
    users: tuple[tuple[str, ...], ...]  # turns in order; a turn is one person or several together
    rotation: Rotation | None = None  # None: all of `users` is on call together, always
    active_time_intervals: tuple[str, ...] = ()
    mute_time_intervals: tuple[str, ...] = ()
    place: FilePlace = FilePlace()


class Override(Struct, frozen=True, kw_only=True):
    users: tuple[str, ...]  # () = nobody, on purpose
    start: datetime  # naive in the schedule's zone (from the file) or aware (by hand)
    end: datetime  # exclusive
    reason: str = ""
    id: str = ""  # of an override by hand; "" = from the file


class Ical(Struct, frozen=True, kw_only=True):
    """A calendar in the place of layers: one of `url` and `file`."""

    url: Secret = Secret("")  # anybody who knows a calendar's address may read it
    file: str = ""
    overrides_url: Secret = Secret("")
    overrides_file: str = ""
    refresh: float = 600.0  # seconds between two fetches


class Schedule(Struct, frozen=True, kw_only=True):
    name: str
    team: str = ""
    timezone: str = "UTC"
    layers: tuple[Layer, ...] = ()
    overrides: tuple[Override, ...] = ()
    ical: Ical | None = None
    place: FilePlace = FilePlace()


class IfNobody(Struct, frozen=True, kw_only=True):
    """The fallback of a step that reaches nobody."""

    kind: Literal["next_step", "user", "wait_for_shift"] = "next_step"
    user: str = ""


class Condition(Struct, frozen=True, kw_only=True):
    """The condition under which a step runs; otherwise it is skipped."""

    matchers: tuple[str, ...] = ()  # as text, so that a policy can be stored; all must match
    active_time_intervals: tuple[str, ...] = ()
    mute_time_intervals: tuple[str, ...] = ()


class NotifyStep(Condition, frozen=True, kw_only=True, tag="notify"):
    """Exactly one of schedule, users, team, receiver is set."""

    schedule: str = ""
    position: Literal["current", "next"] = "current"
    users: tuple[str, ...] = ()
    team: str = ""
    pick: Literal["all", "round_robin"] = "all"  # of users and team
    receiver: str = ""
    urgency: Urgency = "default"
    if_nobody: IfNobody | None = None  # None = the policy's
    place: FilePlace = FilePlace()


class WaitUntilStep(Struct, frozen=True, kw_only=True, tag="wait_until"):
    interval: str  # name of a time interval
    place: FilePlace = FilePlace()


class WaitForAlertsStep(Struct, frozen=True, kw_only=True, tag="wait_for_alerts"):
    """Wait until more than so many alerts came within a time; then the steps after it run."""

    more_than: int
    within: float  # seconds
    place: FilePlace = FilePlace()


class WebhookStep(Condition, frozen=True, kw_only=True, tag="webhook"):
    """One call of each webhook of a receiver. Unlike `notify: {receiver}`, no updates follow."""

    receiver: str
    place: FilePlace = FilePlace()


class ForwardStep(Condition, frozen=True, kw_only=True, tag="forward"):
    """Another policy takes over; the steps after this one do not run."""

    policy: str
    place: FilePlace = FilePlace()


class ResolveStep(Condition, frozen=True, kw_only=True, tag="resolve"):
    """The incident ends, though nobody has answered."""

    place: FilePlace = FilePlace()


Step = (
    NotifyStep | Wait | WaitUntilStep | WaitForAlertsStep | WebhookStep | ForwardStep | ResolveStep
)


class Flapping(Struct, frozen=True, kw_only=True):
    """Hold back an incident that came back more than so many times within a time.

    Its policy begins after `hold` seconds of firing.
    """

    more_than: int
    within: float
    hold: float = 600.0


class Storm(Struct, frozen=True, kw_only=True):
    """Bundle more pages than this, of one policy to one person over one channel within a time."""

    more_than: int
    within: float


DEFAULT_STORM: Final = Storm(more_than=10, within=60.0)


class Policy(Struct, frozen=True, kw_only=True):
    name: str
    team: str = ""  # whose incidents these are
    steps: tuple[Step, ...] = ()
    repeat: int = 0  # run the steps again so many times
    repeat_from: int = 1  # from this step on, counted from 1
    acknowledge_timeout: float = 0.0  # 0 = never
    acknowledge_reminder: float = 0.0  # before the timeout; 0 = none
    after_snooze: Literal["restart", "resume"] = "restart"
    auto_resolve: float = 0.0  # after so long without news; 0 = never
    reopen_within: float = 0.0  # alerts that return so soon reopen the incident; 0 = never
    # The new alerts that page anew although somebody has answered; `matchers`: reopen_matchers.
    reopen_on: Literal["severity", "new_alerts", "never", "matchers"] = "severity"
    reopen_matchers: tuple[str, ...] = ()
    flapping: Flapping | None = None
    storm: Storm | None = None  # None = every page is a message of its own
    if_nobody: IfNobody = IfNobody()
    place: FilePlace = FilePlace()


class Maintenance(Struct, frozen=True, kw_only=True):
    """A maintenance window: alerts that match are held back until it closes.

    `start` and `end` are naive in `timezone` (from the file) or aware (by hand); None = bounded by
    the time intervals alone. With time intervals it recurs: open while one of them holds, between
    start and end where given.
    """

    name: str
    matchers: tuple[Matcher, ...]
    start: datetime | None = None
    end: datetime | None = None  # exclusive
    timezone: str = "UTC"
    active_time_intervals: tuple[str, ...] = ()
    comment: str = ""
    id: str = ""  # of a window by hand; "" = from the file
    created_by: str = ""
    place: FilePlace = FilePlace()


class SourceMapping(Struct, frozen=True, kw_only=True):
    """The places in a source's own JSON: a path or a Jinja2 template each, "" = look for it."""

    each: str = ""  # path of a list whose objects are alerts
    identity: str = ""
    title: str = ""
    text: str = ""
    state: str = ""
    severity: str = ""
    link: str = ""
    image: str = ""
    labels: dict[str, str] = {}


class Source(Struct, frozen=True, kw_only=True):
    name: str
    token: Secret = Secret("")
    token_file: str = ""
    hmac_secret: Secret = Secret("")
    hmac_secret_file: str = ""
    expire_after: float = 7 * 86400.0
    mapping: SourceMapping | None = None
    place: FilePlace = FilePlace()


class Heartbeat(Struct, frozen=True, kw_only=True):
    name: str
    every: float
    token: Secret = Secret("")
    token_file: str = ""
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    matchers: tuple[Matcher, ...] = ()  # firing alerts that match are pings, and go no further
    place: FilePlace = FilePlace()


class DeadMansSwitch(Struct, frozen=True, kw_only=True):
    """An outside address that amproxy calls while all is well: silence there raises the alarm."""

    url: Secret = Secret("")
    url_file: str = ""
    every: float = 60.0


class MetricsServer(Struct, frozen=True, kw_only=True):
    """The Prometheus or VictoriaMetrics that is asked for what pictures show."""

    url: Secret  # its API lies below
    vmalert_url: Secret = Secret("")  # "" = `url` passes on what is asked of vmalert
    http: HttpSettings = HttpSettings()
    range: float = 10800.0  # seconds that a picture shows


class Web(Struct, frozen=True, kw_only=True):
    listen: str = "127.0.0.1:9095"
    external_url: str = ""  # "" = http:// and the address listened on
    hosts: tuple[str, ...] = ()  # further names that it is called by, in lower case
    max_body: int = 16 * 1024 * 1024  # bytes, unpacked
    allow_unauthenticated: bool = False  # listen elsewhere than loopback without sign-in


class Oidc(Struct, frozen=True, kw_only=True):
    """A provider of OpenID Connect, which identifies people."""

    issuer: str
    client_id: str
    client_secret: Secret = Secret("")  # neither: a public client
    client_secret_file: str = ""
    scopes: tuple[str, ...] = ("openid", "email", "profile")
    user_claim: str = "email"  # its value is a user's name or contact `email`, in any case
    name: str = ""  # shown to people; "" = its host


class ProxyHeader(Struct, frozen=True, kw_only=True):
    """A proxy in front that signs people in and names them in a header."""

    header: str = "X-Forwarded-User"
    networks: tuple[IPv4Network | IPv6Network, ...]  # `from`: the peers whose header is trusted


class SignIn(Struct, frozen=True, kw_only=True):
    """The sign-in methods; at least one of the first three is set."""

    passwords: bool = False
    oidc: Oidc | None = None
    proxy_header: ProxyHeader | None = None
    session_lifetime: float = 30 * 86400.0
    anonymous: Literal["none", "viewer"] = "none"  # the role without a sign-in


class StoreSettings(Struct, frozen=True, kw_only=True):
    redis: str = "embedded"
    retention: float = 90 * 86400.0
    fsync: Literal["always", "everysec"] = "always"  # of the embedded server


class TemplateFile(Struct, frozen=True, kw_only=True):
    """A file with Go templates."""

    path: str
    text: str


class EventBatch(Struct, frozen=True, kw_only=True):
    """Events that go out in one request, as a JSON array."""

    max_events: int = 100
    max_bytes: int = 1 << 20  # one event that is larger goes out alone
    flush_interval: float = 0.1  # seconds that the first of them waits for others


class EventFile(Struct, frozen=True, kw_only=True):
    name: str
    path: str = ""  # "" = the standard output


class EventWebhook(Struct, frozen=True, kw_only=True):
    name: str
    url: Secret
    http: HttpSettings = HttpSettings()
    timeout: float = 10.0
    workers: int = 4  # requests at a time
    max_retries: int = 3  # attempts in all
    retry_backoff: float = 0.5  # seconds, doubled after each attempt
    batch: EventBatch | None = None  # None: each event has a request of its own


class EventRecorderSettings(Struct, frozen=True, kw_only=True):
    """The outputs of the events of alerts, notifications and silences."""

    files: tuple[EventFile, ...] = ()
    webhooks: tuple[EventWebhook, ...] = ()


class Config(Struct, frozen=True, kw_only=True):
    """A whole routes.yaml."""

    path: str = ""
    digest: str = ""  # SHA-256 of the text, and of its template files
    templates: tuple[TemplateFile, ...] = ()
    original: str = ""  # Alertmanager's sections with secrets hidden, for /api/v2/status
    global_: Global = Global()
    route: Route
    receivers: dict[str, Receiver] = {}
    inhibit_rules: tuple[InhibitRule, ...] = ()
    time_intervals: dict[str, TimeInterval] = {}
    users: dict[str, User] = {}
    teams: dict[str, Team] = {}
    schedules: dict[str, Schedule] = {}
    policies: dict[str, Policy] = {}
    sources: dict[str, Source] = {}
    maintenance: dict[str, Maintenance] = {}
    heartbeats: dict[str, Heartbeat] = {}
    dead_mans_switch: DeadMansSwitch | None = None
    metrics: MetricsServer | None = None
    web: Web = Web()
    sign_in: SignIn | None = None  # None: anybody who reaches amproxy may do everything
    store: StoreSettings = StoreSettings()
    event_recorder: EventRecorderSettings = EventRecorderSettings()

    def full_name(self, user: str) -> str:
        """The full name of a user, or the name itself where the file has none or not the user."""
        known = self.users.get(user)
        return (known.full_name or user) if known else user
