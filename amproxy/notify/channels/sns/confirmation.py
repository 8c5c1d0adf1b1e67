"""GET from Amazon SNS: its certificate, and the confirmation of a subscription.

Which addresses may be asked is decided where the handshake is read (accept/sns.py).
"""

from __future__ import annotations

from amproxy.errors import DeliveryError
from amproxy.text import phrase

SERVICE_NAME = "Amazon SNS"


async def fetch(url: str) -> bytes:
    """Return the body of a 200, as far as it is read. Raises DeliveryError otherwise."""
    # Once in the life of a subscription: nothing to keep open, nor to import before.
    from amproxy.notify.channels.http import HttpClients, send_request

    clients = HttpClients()
    try:
        response = await send_request(clients.client(), SERVICE_NAME, url, method="GET")
    finally:
        await clients.close()
    if response.status != 200:
        raise DeliveryError(
            phrase("failure.status", service=SERVICE_NAME, status=response.status), reason="refused"
        )
    return response.body
