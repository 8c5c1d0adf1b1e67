"""A maintenance window of the file, and alerts for it to hide."""

from __future__ import annotations

from amproxy.config.structs import Maintenance
from amproxy.correlate.incoming import WholeAlert
from amproxy.correlate.ingest import ingest
from amproxy.labels.intervals import parse_time_interval
from amproxy.labels.matchers import parse_matcher
from amproxy.model import Alert
from tests.support.web.website import Site

DAILY = parse_time_interval("daily", [{"times": [{"start_time": "09:00", "end_time": "12:00"}]}])
IN_FILE = Maintenance(
    name="nightly/backup",
    matchers=(parse_matcher('job="backup"'),),
    timezone="Europe/Berlin",
    active_time_intervals=("daily",),
)


async def push(site: Site, *labels: dict[str, str]) -> None:
    """Alerts that fire without end."""
    now_ns = int(site.context.now() * 10**9)
    incoming = []
    for one in labels:
        placement = site.context.placer.place(one)
        alert = Alert(fingerprint=placement.fingerprint, labels=one, starts_ns=now_ns)
        incoming.append(
            WholeAlert(
                placement=placement,
                starts_ns=now_ns,
                ends_ns=0,
                timeout=False,
                lapses_ns=0,
                content=bytes(8),
                alert=alert,
            )
        )
    await ingest(site.context, incoming, now_ns, hurry=False)
