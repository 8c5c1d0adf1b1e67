"""The configuration as typed, immutable values: what routes.yaml means after loading.

Durations are seconds (float). Wall-clock times without a zone are naive datetimes; the zone is the schedule's, or the
person's for an absence. Every value has its default filled in and every name in it is known to exist.
"""

from __future__ import annotations

from datetime import datetime
from ipaddress import IPv4Network, IPv6Network
from typing import Any, Literal

import msgspec

from amproxy.labels.intervals import TimeInterval
from amproxy.labels.matchers import Matcher
from amproxy.secret import Secret

Urgency = Literal["default", "important"]


class Struct(msgspec.Struct, frozen=True, kw_only=True):
    """Base of everything here: immutable, keyword-only."""


class FilePlace(Struct, frozen=True, kw_only=True):
    """Where something stands in a file; line and column count from 1."""

    file: str = ""
    line: int = 0
    column: int = 0


# ------------------------------------------------------------------------------------------------ Alertmanager's own


class Route(Struct, frozen=True, kw_only=True):
    """One node of the route tree, everything inherited already filled in."""

    receiver: str
    key: str  # Alertmanager's route key: "{}/{team=\"a\"}"
    matchers: tuple[Matcher, ...] = ()
    group_by: tuple[str, ...] = ()
    group_by_all: bool = False
    group_by_given: bool = False  # here or on a route above: decides whether a webhook keeps its sender's groupKey
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
    """One entry of a receiver's `*_configs` list. Its notification log key is (kind, index)."""

    kind: str  # "webhook", "slack", "telegram", "email", "oncall", … : the key without "_configs"
    index: int  # position in its list
    send_resolved: bool
    settings: Any  # OncallSettings, WebhookSettings … below; a dict of loaded values for kinds that amproxy cannot deliver
    undeliverable: str = ""  # why amproxy cannot send it (kind not built, Go template); "" = it can
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


class HttpSettings(Struct, frozen=True, kw_only=True):
    """Alertmanager's http_config, with the contents of *_file keys read when needed, so that a changed file takes effect."""

    basic_auth_username: str = ""
    basic_auth_username_file: str = ""
    basic_auth_password: Secret = Secret("")
    basic_auth_password_file: str = ""
    authorization_type: str = "Bearer"
    authorization_credentials: Secret = Secret("")
    authorization_credentials_file: str = ""
    oauth2: dict[str, Any] | None = None  # None, or the values as loaded (not deliverable yet)
    tls: TlsSettings = TlsSettings()
    proxy_url: str = ""
    no_proxy: str = ""
    proxy_from_environment: bool = False
    follow_redirects: bool = True
    http_headers: dict[str, tuple[str, ...]] = {}


class WebhookSettings(Struct, frozen=True, kw_only=True):
    url: Secret = Secret("")
    url_file: str = ""
    max_alerts: int = 0
    timeout: float = 0.0  # 0 = none of its own
    http: HttpSettings = HttpSettings()


class SlackSettings(Struct, frozen=True, kw_only=True):
    """Either api_url (an incoming webhook) or app_token (the Web API, needed for buttons and edits)."""

    channel: str = ""
    api_url: Secret = Secret("")
    api_url_file: str = ""
    app_token: Secret = Secret("")
    app_token_file: str = ""
    app_url: str = "https://slack.com/api/chat.postMessage"
    title: str = ""  # texts: "" = amproxy's own; otherwise plain text or Jinja2
    text: str = ""
    username: str = ""
    icon_emoji: str = ""
    icon_url: str = ""
    timeout: float = 0.0
    http: HttpSettings = HttpSettings()


class TelegramSettings(Struct, frozen=True, kw_only=True):
    api_url: str = "https://api.telegram.org"
    bot_token: Secret = Secret("")
    bot_token_file: str = ""
    chat_id: int = 0
    message_thread_id: int = 0
    message: str = ""
    disable_notifications: bool = False
    parse_mode: str = "HTML"
    http: HttpSettings = HttpSettings()


class EmailSettings(Struct, frozen=True, kw_only=True):
    to: str = ""
    from_: str = ""
    hello: str = "localhost"
    smarthost: str = ""  # host:port
    auth_username: str = ""
    auth_password: Secret = Secret("")
    auth_password_file: str = ""
    auth_identity: str = ""
    headers: dict[str, str] = {}
    html: str = ""
    text: str = ""
    require_tls: bool = True
    implicit_tls: bool | None = None  # None = by port (465)
    tls: TlsSettings = TlsSettings()


class Global(Struct, frozen=True, kw_only=True):
    """Alertmanager's `global`: what channels use for people (receivers have it filled in already)."""

    resolve_timeout: float = 300.0
    telegram: TelegramSettings = TelegramSettings()
    slack: SlackSettings = SlackSettings()
    slack_signing_secret: Secret = Secret("")  # amproxy's: Slack signs button presses with it
    slack_signing_secret_file: str = ""
    email: EmailSettings = EmailSettings()
    webhook: WebhookSettings = WebhookSettings()  # http_config of `global`; the url is a person's contact


# -------------------------------------------------------------------------------------------------- people and time


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


NoticeKind = Literal["going_on_call", "leaving", "gap_ahead", "empty_shift", "swap_asked"]


class User(Struct, frozen=True, kw_only=True):
    name: str
    full_name: str = ""
    timezone: str = "UTC"
    role: Literal["admin", "responder", "viewer"] = "responder"
    contacts: dict[str, str] = {}  # channel → address, in the order written; "telegram": "1111"
    notification_rules: dict[Urgency, tuple[Notify | Wait, ...]] = {}  # an urgency that is absent: see decide.people
    absences: tuple[Absence, ...] = ()
    quiet_hours: tuple[str, ...] = ()  # time intervals on the person's own clock: pages of urgency "default" wait for their end
    notices: dict[NoticeKind, tuple[str, ...]] = {}  # what the person wants to be told besides pages → over which channels
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
    active_days: bool = False  # turns are counted over the days on which the layer is active; then `seconds` are whole days


class Layer(Struct, frozen=True, kw_only=True):
    name: str
    users: tuple[tuple[str, ...], ...]  # turns in order; a turn is one person or several together
    rotation: Rotation | None = None  # None: all of `users` is on call together, always
    active_time_intervals: tuple[str, ...] = ()
    mute_time_intervals: tuple[str, ...] = ()
    place: FilePlace = FilePlace()


class Override(Struct, frozen=True, kw_only=True):
    users: tuple[str, ...]
    start: datetime  # naive in the schedule's zone (from the file) or aware (by hand)
    end: datetime  # exclusive
    reason: str = ""
    id: str = ""  # of an override by hand; "" = from the file


class Ical(Struct, frozen=True, kw_only=True):
    """A calendar in the place of layers: one of `url` and `file`."""

    url: Secret = Secret("")  # who knows a calendar's address may read it
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
    """What a step does when it reaches nobody."""

    kind: Literal["next_step", "user", "wait_for_shift"] = "next_step"
    user: str = ""


class Condition(Struct, frozen=True, kw_only=True):
    """When a step counts; outside of it the step is skipped."""

    matchers: tuple[str, ...] = ()  # as text, so that a plan can be stored; all must hold
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
    """The steps after it run as soon as more than so many alerts came within a time; until then the policy stands still."""

    more_than: int
    within: float  # seconds
    place: FilePlace = FilePlace()


class WebhookStep(Condition, frozen=True, kw_only=True, tag="webhook"):
    """One call of each webhook of a receiver. Unlike `notify: {receiver}` nothing is told later of what became of the incident."""

    receiver: str
    place: FilePlace = FilePlace()


class ForwardStep(Condition, frozen=True, kw_only=True, tag="forward"):
    """Another policy takes over; the steps after this one do not run."""

    policy: str
    place: FilePlace = FilePlace()


class ResolveStep(Condition, frozen=True, kw_only=True, tag="resolve"):
    """The incident ends, though nobody has answered."""

    place: FilePlace = FilePlace()


Step = NotifyStep | Wait | WaitUntilStep | WaitForAlertsStep | WebhookStep | ForwardStep | ResolveStep


class Flapping(Struct, frozen=True, kw_only=True):
    """An incident that came back more than so many times within a time is held back: its policy begins after `hold` seconds of firing."""

    more_than: int
    within: float
    hold: float = 600.0


class Storm(Struct, frozen=True, kw_only=True):
    """More pages than this, of one policy to one person over one channel within a time, become one message."""

    more_than: int
    within: float


class Policy(Struct, frozen=True, kw_only=True):
    name: str
    team: str = ""  # whose incidents these are
    steps: tuple[Step, ...] = ()
    repeat: int = 0  # run the steps again so many times
    repeat_from: int = 1  # from this step on, counted from 1
    acknowledge_timeout: float = 0.0  # 0 = never
    acknowledge_reminder: float = 0.0  # so long before the timeout the one who acknowledged is reminded; 0 = not
    after_snooze: Literal["restart", "resume"] = "restart"
    auto_resolve: float = 0.0  # without news for so long it is over; 0 = never
    reopen_within: float = 0.0  # alerts that return within this time open the same incident again; 0 = a new one
    flapping: Flapping | None = None
    storm: Storm | None = None
    if_nobody: IfNobody = IfNobody()
    place: FilePlace = FilePlace()


class Maintenance(Struct, frozen=True, kw_only=True):
    """A maintenance window: alerts that match are held back while it is open; what still fires at its end is told then."""

    name: str
    matchers: tuple[Matcher, ...]
    start: datetime | None = None  # naive in `timezone` (of the file) or aware (by hand); None = open by its time intervals alone
    end: datetime | None = None  # exclusive
    timezone: str = "UTC"
    active_time_intervals: tuple[str, ...] = ()  # recurring: open while one of them holds, between start and end where given
    comment: str = ""
    id: str = ""  # of one made by hand; "" = of the file
    created_by: str = ""
    place: FilePlace = FilePlace()


# ------------------------------------------------------------------------------------------------ doors and service


class Source(Struct, frozen=True, kw_only=True):
    name: str
    token: Secret = Secret("")
    token_file: str = ""
    hmac_secret: Secret = Secret("")
    hmac_secret_file: str = ""
    expire_after: float = 7 * 86400.0
    place: FilePlace = FilePlace()


class Heartbeat(Struct, frozen=True, kw_only=True):
    name: str
    every: float
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    matchers: tuple[Matcher, ...] = ()  # firing alerts that match are beats, and go no further
    place: FilePlace = FilePlace()


class DeadMansSwitch(Struct, frozen=True, kw_only=True):
    """An address outside that amproxy calls while all is well, so that somebody else notices when it does not."""

    url: Secret = Secret("")
    url_file: str = ""
    every: float = 60.0


class Web(Struct, frozen=True, kw_only=True):
    listen: str = "127.0.0.1:9095"
    external_url: str = ""  # "" = http:// and the address listened on
    max_body: int = 16 * 1024 * 1024  # bytes, unpacked
    allow_unauthenticated: bool = False  # listen elsewhere than loopback without sign-in


class Oidc(Struct, frozen=True, kw_only=True):
    """A provider of OpenID Connect that says who somebody is."""

    issuer: str
    client_id: str
    client_secret: Secret = Secret("")  # neither: a public client
    client_secret_file: str = ""
    scopes: tuple[str, ...] = ("openid", "email", "profile")
    user_claim: str = "email"  # its value is a user's name or contact `email`, in any case
    name: str = ""  # how people know it; "" = its host


class ProxyHeader(Struct, frozen=True, kw_only=True):
    """A proxy in front that has signed people in and names them in a header."""

    header: str = "X-Forwarded-User"
    networks: tuple[IPv4Network | IPv6Network, ...]  # `from`: whose word counts


class SignIn(Struct, frozen=True, kw_only=True):
    """How people show who they are; at least one of the first three is there."""

    passwords: bool = False
    oidc: Oidc | None = None
    proxy_header: ProxyHeader | None = None
    session_lifetime: float = 30 * 86400.0
    anonymous: Literal["none", "viewer"] = "none"  # what strangers may do


class StoreSettings(Struct, frozen=True, kw_only=True):
    redis: str = "embedded"
    retention: float = 90 * 86400.0
    fsync: Literal["always", "everysec"] = "always"  # of the embedded server


class Config(Struct, frozen=True, kw_only=True):
    """A whole routes.yaml."""

    path: str = ""
    digest: str = ""  # SHA-256 of the text: tells configurations apart
    original: str = ""  # the Alertmanager part written back with secrets hidden, for /api/v2/status
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
    web: Web = Web()
    sign_in: SignIn | None = None  # None: whoever reaches amproxy may do everything
    store: StoreSettings = StoreSettings()
