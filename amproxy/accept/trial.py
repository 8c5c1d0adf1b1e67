"""The test alert: it takes the ordinary road, from the webhook's decoder on."""

from __future__ import annotations

import json

from amproxy.clock import utc
from amproxy.config.structs import Source

TRIAL = Source(name="test", expire_after=3600.0)


def trial_body(now: float) -> bytes:
    """A webhook body with one firing alert; each call makes another alert, in a group of its own."""
    moment = f"{utc(now):%H:%M:%S}"
    labels = {"alertname": "TestAlert", "severity": "critical", "instance": f"test-{moment}"}
    annotations = {
        "summary": f"A test alert, sent from the page at {moment} UTC.",
        "description": "Nothing is wrong. Acknowledge it, or wait and see who is paged next.",
    }
    alert = {"status": "firing", "labels": labels, "annotations": annotations}
    return json.dumps(
        {"alerts": [alert], "groupKey": f"test-{now}", "groupLabels": {"alertname": "TestAlert", "instance": labels["instance"]}}
    ).encode()
