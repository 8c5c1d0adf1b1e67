"""amproxy's own metrics. Names and labels are a contract.

State in Redis is read at scrape time (web/http/monitoring.py). With several worker processes,
PROMETHEUS_MULTIPROC_DIR is set before this module is imported, and a scrape adds them all up.
"""

from __future__ import annotations

import os
from functools import lru_cache

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

registry = CollectorRegistry()
disable_created_metrics()  # type: ignore[no-untyped-call]

# Seconds: of requests, of deliveries with their retries, and of people.
FAST_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
WIDE_BUCKETS = (*FAST_BUCKETS, 60, 120, 300, 600)
HUMAN_BUCKETS = (5, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200, 14400, 43200, 86400)

pushes = Counter("amproxy_pushes_total", "Pushes answered.", ["source", "code"], registry=registry)
push_duration = Histogram(
    "amproxy_push_duration_seconds",
    "From a push's headers to its answer.",
    ["source"],
    buckets=FAST_BUCKETS,
    registry=registry,
)
alerts_received = Counter(
    "amproxy_alerts_received_total",
    "Alerts in accepted pushes.",
    ["source", "status"],
    registry=registry,
)
alerts_deduplicated = Counter(
    "amproxy_alerts_deduplicated_total",
    "Received alerts that were stored already, in the same state.",
    ["source"],
    registry=registry,
)
clock_behind = Gauge(
    "amproxy_source_clock_behind_seconds",
    "How long all alerts of a source were over when they came; 0 = its clock is right.",
    ["source"],
    registry=registry,
    multiprocess_mode="mostrecent",
)
incidents_total = Counter(
    "amproxy_incidents_total", "Incidents opened.", ["policy"], registry=registry
)
pages = Counter(
    "amproxy_pages_total",
    "Pages by what became of them: sent, failed, skipped.",
    ["channel", "policy", "outcome"],
    registry=registry,
)
pages_bundled = Counter(
    "amproxy_pages_bundled_total",
    "Of the pages sent, those that shared a message with others.",
    ["channel", "policy"],
    registry=registry,
)
delivery_attempts = Counter(
    "amproxy_delivery_attempts_total",
    "Calls to channels: pages, updates and notifications.",
    ["channel", "outcome", "reason"],
    registry=registry,
)
template_failures = Counter(
    "amproxy_template_failures_total",
    "Texts of receivers whose template failed: the default text was sent in their place.",
    ["channel", "receiver"],
    registry=registry,
)
delivery_retries = Counter(
    "amproxy_delivery_retries_total",
    "Deliveries put off for another attempt.",
    ["channel"],
    registry=registry,
)
deliveries_repeated = Counter(
    "amproxy_deliveries_repeated_total",
    "Messages sent again although an earlier attempt may have arrived.",
    ["channel"],
    registry=registry,
)
plots = Counter(
    "amproxy_plots_total",
    "Pictures of metrics, by what became of them.",
    ["outcome"],
    registry=registry,
)
page_delay = Histogram(
    "amproxy_page_delay_seconds",
    "From a page being due to the channel's yes.",
    ["channel"],
    buckets=WIDE_BUCKETS,
    registry=registry,
)
first_page_delay = Histogram(
    "amproxy_first_page_delay_seconds",
    "From the push to the channel's yes, first page of an incident.",
    ["channel"],
    buckets=WIDE_BUCKETS,
    registry=registry,
)
# Under Alertmanager's names, for the rules and dashboards of its mixin. Beside them are gauges that
# a scrape reads (web/http/monitoring.py).
notifications = Counter(
    "alertmanager_notifications_total",
    "Notifications of receivers: those that arrived, and those that were given up.",
    ["integration"],
    registry=registry,
)
notifications_failed = Counter(
    "alertmanager_notifications_failed_total",
    "Notifications of receivers that were given up.",
    ["integration", "reason"],
    registry=registry,
)
notification_requests = Counter(
    "alertmanager_notification_requests_total",
    "Attempts of notifications of receivers.",
    ["integration"],
    registry=registry,
)
notification_requests_failed = Counter(
    "alertmanager_notification_requests_failed_total",
    "Attempts of notifications of receivers that failed.",
    ["integration"],
    registry=registry,
)
notification_latency = Histogram(
    "alertmanager_notification_latency_seconds",
    "Duration of an attempt of a notification of a receiver.",
    ["integration"],
    buckets=(0.1, 0.5, 1, 5, 10, 15, 20),
    registry=registry,
)
alertmanager_alerts_received = Counter(
    "alertmanager_alerts_received_total",
    "Alerts received, at any door.",
    ["status", "version"],
    registry=registry,
)
alertmanager_alerts_invalid = Counter(
    "alertmanager_alerts_invalid_total",
    "Pushes over the API v2 that were refused for what was in them.",
    ["version"],
    registry=registry,
)
events_recorded = Counter(
    "alertmanager_events_recorded_total",
    "Events that outputs of the event recorder took (success), or could not write (error).",
    ["event_type", "output", "result"],
    registry=registry,
)
event_bytes = Counter(
    "alertmanager_event_recorder_bytes_written_total",
    "Bytes of the events that outputs took.",
    ["event_type", "output"],
    registry=registry,
)
events_dropped = Counter(
    "alertmanager_events_dropped_total",
    "Events dropped because too many waited to be written.",
    ["event_type"],
    registry=registry,
)
event_serialize_errors = Counter(
    "alertmanager_event_serialize_errors_total",
    "Events that could not be made into JSON: each is a defect of amproxy.",
    ["event_type"],
    registry=registry,
)
event_output_drops = Counter(
    "alertmanager_event_output_drops_total",
    "Events that an output lost: too many waited, or every attempt to deliver them failed.",
    ["output"],
    registry=registry,
)
event_queue = Gauge(
    "alertmanager_event_recorder_queue_length",
    "Events that wait to be written.",
    registry=registry,
    multiprocess_mode="livesum",
)
time_to_acknowledge = Histogram(
    "amproxy_time_to_acknowledge_seconds",
    "From an incident's start to its acknowledgement.",
    ["policy"],
    buckets=HUMAN_BUCKETS,
    registry=registry,
)
time_to_resolve = Histogram(
    "amproxy_time_to_resolve_seconds",
    "From an incident's start to its end.",
    ["policy"],
    buckets=HUMAN_BUCKETS,
    registry=registry,
)
notices = Counter(
    "amproxy_notices_total",
    "Notices sent to people who chose them.",
    ["kind", "channel"],
    registry=registry,
)
timer_lateness = Histogram(
    "amproxy_timer_lateness_seconds",
    "How late timers were taken up.",
    buckets=WIDE_BUCKETS,
    registry=registry,
)
nobody_on_call = Counter(
    "amproxy_nobody_on_call_total",
    "Steps that asked a schedule in vain.",
    ["schedule"],
    registry=registry,
)
acknowledgements = Counter(
    "amproxy_acknowledgements_total",
    "Incidents acknowledged; user is empty where nobody was named.",
    ["user"],
    registry=registry,
)
pages_by_time = Counter(
    "amproxy_pages_by_time_total",
    "Pages sent to people, by their own clock: day, night, weekend.",
    ["user", "time"],
    registry=registry,
)
calendar_fetches = Counter(
    "amproxy_calendar_fetch_total",
    "Looks at calendars of schedules: ok (a new text), not_modified, failed, invalid.",
    ["schedule", "outcome"],
    registry=registry,
)
unexpected_errors = Counter(
    "amproxy_unexpected_errors_total",
    "Errors that no code expected: each is a defect of amproxy.",
    ["stage"],
    registry=registry,
)
loop_stall = Histogram(
    "amproxy_loop_stall_seconds",
    "How late the process came to what was due: everybody has waited so long.",
    buckets=FAST_BUCKETS,
    registry=registry,
)
stuck = Counter(
    "amproxy_stuck_total",
    "Incidents, groups and messages that had lost their timer.",
    registry=registry,
)
part_running = Gauge(
    "amproxy_part_running",
    "1 while a part of the process runs; of several processes the lowest.",
    ["part"],
    registry=registry,
    multiprocess_mode="livemin",
)
part_restarts = Counter(
    "amproxy_part_restarts_total",
    "Parts that ended and began anew: each is a defect of amproxy.",
    ["part"],
    registry=registry,
)
redis_refusals = Counter(
    "amproxy_redis_refusals_total",
    "Commands that Redis refused, by the code of its error.",
    ["code"],
    registry=registry,
)
start_time = Gauge(
    "amproxy_start_time_seconds",
    "When the process was started; of several the latest.",
    registry=registry,
    multiprocess_mode="mostrecent",
)
connections = Gauge(
    "amproxy_connections",
    "Open connections of clients.",
    registry=registry,
    multiprocess_mode="livesum",
)
connections_cut = Counter(
    "amproxy_connections_cut_total",
    "Connections ended by a limit: full and evicted (too many), headers, headers_time, body_time, "
    "bodies (too many at once), unread (an answer that nobody reads), malformed.",
    ["reason"],
    registry=registry,
)
reload_successful = Gauge(
    "amproxy_config_last_reload_successful",
    "Whether the last load of the file was good.",
    registry=registry,
    multiprocess_mode="mostrecent",
)
reload_time = Gauge(
    "amproxy_config_last_reload_success_timestamp_seconds",
    "When the file was last loaded.",
    registry=registry,
    multiprocess_mode="mostrecent",
)
destinations_hanging = Gauge(
    "amproxy_destinations_hanging",
    "People and chats whose channel has not answered three times in a row.",
    ["channel"],
    registry=registry,
    multiprocess_mode="livesum",
)
undeliverable = Gauge(
    "amproxy_config_undeliverable",
    "Integrations and contacts in the file that cannot be delivered to.",
    registry=registry,
    multiprocess_mode="mostrecent",
)


# labels() costs a microsecond a call, and a push makes four: hence the caches.
@lru_cache(maxsize=4096)
def push_counter(source: str, code: int) -> Counter:
    return pushes.labels(source, str(code))


@lru_cache(maxsize=1024)
def push_duration_of(source: str) -> Histogram:
    return push_duration.labels(source)


@lru_cache(maxsize=1024)
def received_counter(source: str, status: str) -> Counter:
    return alerts_received.labels(source, status)


@lru_cache
def alertmanager_received_counter(status: str) -> Counter:
    return alertmanager_alerts_received.labels(status, "v2")


@lru_cache(maxsize=1024)
def deduplicated_counter(source: str) -> Counter:
    return alerts_deduplicated.labels(source)


def render(*more: Collector) -> bytes:
    """All metrics as Prometheus text; `more` are collectors made for this scrape."""
    scraped = CollectorRegistry()
    if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        MultiProcessCollector(scraped)  # type: ignore[no-untyped-call]
        texts = [generate_latest(scraped)]
    else:
        texts = [generate_latest(registry)]
    for collector in more:
        own = CollectorRegistry()
        own.register(collector)
        texts.append(generate_latest(own))
    return b"".join(texts)
