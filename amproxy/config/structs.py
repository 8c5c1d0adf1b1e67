"""The configuration as typed, immutable values: what routes.yaml means after loading.

Durations are seconds (float). Wall-clock times without a zone are naive datetimes; the zone is the schedule's, or the
person's for an absence. Every value has its default filled in and every name in it is known to exist.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

import msgspec

from amproxy.decide.intervals import TimeInterval
from amproxy.decide.matchers import Matcher
from amproxy.secret import Secret

Urgency = Literal["default", "important"]


class Struct(msgspec.Struct, frozen=True, kw_only=True):
    """Base of everything here: immutable, keyword-only."""


class Place(Struct, frozen=True, kw_only=True):
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
    place: Place = Place()


class InhibitRule(Struct, frozen=True, kw_only=True):
    name: str = ""
    source_matchers: tuple[Matcher, ...] = ()
    target_matchers: tuple[Matcher, ...] = ()
    equal: tuple[str, ...] = ()
    place: Place = Place()


class Integration(Struct, frozen=True, kw_only=True):
    """One entry of a receiver's `*_configs` list. Its notification log key is (kind, index)."""

    kind: str  # "webhook", "slack", "telegram", "email", "oncall", … : the key without "_configs"
    index: int  # position in its list
    send_resolved: bool
    settings: Any  # OncallSettings, WebhookSettings … below; a dict of loaded values for kinds that amproxy cannot deliver
    undeliverable: str = ""  # why amproxy cannot send it (kind not built, Go template); "" = it can
    place: Place = Place()


class Receiver(Struct, frozen=True, kw_only=True):
    name: str
    integrations: tuple[Integration, ...] = ()  # in Alertmanager's order of kinds, then of the list
    labels: dict[str, str] = {}
    place: Place = Place()


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
    place: Place = Place()


class Absence(Struct, frozen=True, kw_only=True):
    start: datetime  # naive, in the person's zone
    end: datetime  # exclusive
    reason: str = ""


class User(Struct, frozen=True, kw_only=True):
    name: str
    full_name: str = ""
    timezone: str = "UTC"
    role: Literal["admin", "responder", "viewer"] = "responder"
    contacts: dict[str, str] = {}  # channel → address, in the order written; "telegram": "1111"
    notification_rules: dict[Urgency, tuple[Notify | Wait, ...]] = {}  # an urgency that is absent: see decide.people
    absences: tuple[Absence, ...] = ()
    place: Place = Place()


class Team(Struct, frozen=True, kw_only=True):
    name: str
    members: tuple[str, ...] = ()
    place: Place = Place()


class Rotation(Struct, frozen=True, kw_only=True):
    """Turns on the wall clock of the schedule's zone."""

    every: str  # as written: "1w", "12h", "1mo"
    seconds: int  # 0 where months is given
    months: int  # 0 where seconds is given
    start: datetime  # naive


class Layer(Struct, frozen=True, kw_only=True):
    name: str
    users: tuple[tuple[str, ...], ...]  # turns in order; a turn is one person or several together
    rotation: Rotation | None = None  # None: all of `users` is on call together, always
    active_time_intervals: tuple[str, ...] = ()
    mute_time_intervals: tuple[str, ...] = ()
    place: Place = Place()


class Override(Struct, frozen=True, kw_only=True):
    users: tuple[str, ...]
    start: datetime  # naive in the schedule's zone (from the file) or aware (by hand)
    end: datetime  # exclusive
    reason: str = ""
    id: str = ""  # of an override by hand; "" = from the file


class Ical(Struct, frozen=True, kw_only=True):
    url: str = ""
    file: str = ""
    overrides_url: str = ""


class Schedule(Struct, frozen=True, kw_only=True):
    name: str
    team: str = ""
    timezone: str = "UTC"
    layers: tuple[Layer, ...] = ()
    overrides: tuple[Override, ...] = ()
    ical: Ical | None = None
    place: Place = Place()


class IfNobody(Struct, frozen=True, kw_only=True):
    """What a step does when it reaches nobody."""

    kind: Literal["next_step", "user", "wait_for_shift"] = "next_step"
    user: str = ""


class NotifyStep(Struct, frozen=True, kw_only=True, tag="notify"):
    """Exactly one of schedule, users, team, receiver is set."""

    schedule: str = ""
    position: Literal["current", "next"] = "current"
    users: tuple[str, ...] = ()
    team: str = ""
    pick: Literal["all", "round_robin"] = "all"
    receiver: str = ""
    urgency: Urgency = "default"
    if_nobody: IfNobody | None = None  # None = the policy's
    matchers: tuple[str, ...] = ()  # as text, so that a plan can be stored; all must hold
    active_time_intervals: tuple[str, ...] = ()
    mute_time_intervals: tuple[str, ...] = ()
    place: Place = Place()


class WaitUntilStep(Struct, frozen=True, kw_only=True, tag="wait_until"):
    interval: str  # name of a time interval
    place: Place = Place()


Step = NotifyStep | Wait | WaitUntilStep


class Policy(Struct, frozen=True, kw_only=True):
    name: str
    steps: tuple[Step, ...] = ()
    repeat: int = 0  # run the steps again so many times
    acknowledge_timeout: float = 0.0  # 0 = never
    if_nobody: IfNobody = IfNobody()
    place: Place = Place()


# ------------------------------------------------------------------------------------------------ doors and service


class Source(Struct, frozen=True, kw_only=True):
    name: str
    token: Secret = Secret("")
    token_file: str = ""
    hmac_secret: Secret = Secret("")
    hmac_secret_file: str = ""
    expire_after: float = 7 * 86400.0
    place: Place = Place()


class Heartbeat(Struct, frozen=True, kw_only=True):
    name: str
    every: float
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    place: Place = Place()


class Web(Struct, frozen=True, kw_only=True):
    listen: str = "127.0.0.1:9095"
    external_url: str = ""  # "" = http:// and the address listened on
    max_body: int = 16 * 1024 * 1024  # bytes, unpacked
    allow_unauthenticated: bool = False  # listen elsewhere than loopback without sign-in


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
    heartbeats: dict[str, Heartbeat] = {}
    web: Web = Web()
    store: StoreSettings = StoreSettings()
