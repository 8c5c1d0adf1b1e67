"""Whether a page still stands at the moment of sending. Pure."""

from __future__ import annotations

from amproxy.model import Incident, Page


def why_not(incident: Incident, page: Page) -> str:
    """Why a page that is due is not sent after all; "" = it is.

    A page goes out while nobody has answered; one that insists also while somebody else has acknowledged. A reminder goes out while
    the one whom it reminds holds the acknowledgement.
    """
    if incident.merged_into:
        return f"#{incident.number} is part of another incident by now"
    if page.kind == "reminder":
        if incident.state != "acknowledged":
            return f"#{incident.number} is {incident.state} by now"
        return "" if incident.acknowledged_by == page.user else f"#{incident.number} is acknowledged by somebody else by now"
    if incident.state == "triggered":
        return ""
    if incident.state == "acknowledged" and page.insists and incident.acknowledged_by != page.user:
        return ""
    return f"#{incident.number} is {incident.state} by now"
