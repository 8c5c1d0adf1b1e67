"""GET from Amazon SNS: its certificate, and the confirmation of a subscription.

Which addresses may be asked is decided where the handshake is read (accept/sns.py).
"""

from __future__ import annotations

from amproxy.errors import DeliveryError
from amproxy.notify.channels.http import HttpClients, send_request


async def fetch(url: str) -> bytes:
    """Return the body of a 200, as far as it is read. Raises DeliveryError otherwise."""
    clients = HttpClients()  # once in the life of a subscription: nothing to keep open
    try:
        response = await send_request(clients.client(), "Amazon SNS", url, method="GET")
    finally:
        await clients.close()
    if response.status != 200:
        raise DeliveryError(f"Amazon SNS: answered {response.status}", reason="refused")
    return response.body
