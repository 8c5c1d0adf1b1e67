"""AWS's Query API: where a service is, what a request looks like, and what a refusal says."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlencode

import httpx

from amproxy import clock
from amproxy.config.structs import HttpSettings
from amproxy.errors import DeliveryError
from amproxy.notify.channels.http import TIMEOUT, HttpClients, RemoteResponse, send_request
from amproxy.notify.channels.http_settings import settings_for_url
from amproxy.notify.channels.receiver import status_error
from amproxy.notify.channels.sns.signing import AwsCredentials, signed_headers
from amproxy.secret import hide_secrets
from amproxy.text import phrase

_FORM: Final = "application/x-www-form-urlencoded"
# Beginnings of regions whose domain is another than that of the rest.
_DOMAINS: Final = {"cn-": "amazonaws.com.cn", "us-iso-": "c2s.ic.gov", "us-isob-": "sc2s.sgov.gov"}
# Refusals that ask for patience, whatever their status; Amazon's own clients try again as well.
_THROTTLED: Final = frozenset(
    (
        *("Throttling", "ThrottlingException", "ThrottledException", "Throttled"),
        *("RequestThrottled", "RequestThrottledException", "TooManyRequestsException"),
        *("RequestLimitExceeded", "LimitExceededException", "BandwidthLimitExceeded"),
        *("SlowDown", "PriorRequestNotComplete", "RequestTimeout", "RequestTimeoutException"),
    )
)


class AwsClient:
    """Requests to AWS's services over the connections of one channel."""

    def __init__(self, clients: HttpClients) -> None:
        self._clients = clients

    async def exchange(
        self,
        http: HttpSettings,
        who: str,
        url: str,
        *,
        method: str = "GET",
        content: bytes = b"",
        headers: Mapping[str, str] | None = None,
        within: float = TIMEOUT,
    ) -> RemoteResponse:
        """Send one request and return its response, a 200. Raises DeliveryError.

        who: the other side's name for people.
        """
        response = await send_request(
            self._clients.client(settings_for_url(http, url), within),
            who,
            url,
            within=within,
            method=method,
            content=content,
            headers=headers,
            auth=None,  # a signature stands where http_config would put its credentials
        )
        if response.status != 200:
            raise _refusal(who, response)
        return response

    async def query(
        self,
        http: HttpSettings,
        who: str,
        url: str,
        parameters: Mapping[str, str],
        *,
        service: str,
        region: str,
        credentials: AwsCredentials | None,
    ) -> RemoteResponse:
        """POST the parameters of an action, signed unless there are no credentials.

        Raises DeliveryError.
        """
        try:
            address = httpx.URL(url)
        except httpx.InvalidURL:
            words = phrase("failure.bad_url", service=who)
            raise DeliveryError(words, permanent=True) from None
        if not address.path.endswith("/"):
            address = address.copy_with(path=f"{address.path}/")
        body = urlencode(sorted(parameters.items())).encode("ascii")
        headers = {"content-type": _FORM}
        if credentials is not None:
            headers = signed_headers(
                address,
                body,
                _FORM,
                credentials,
                region=region,
                service=service,
                now=clock.now(),
            )
        return await self.exchange(
            http, who, str(address), method="POST", content=body, headers=headers
        )


def endpoint(service: str, region: str) -> str:
    """A service's address in a region."""
    domain = next(
        (name for start, name in _DOMAINS.items() if region.startswith(start)), "amazonaws.com"
    )
    return f"https://{service}.{region}.{domain}/"


def xml_text(response: RemoteResponse, tag: str) -> str:
    """The text of the first element of a name in an answer; "" = there is none."""
    body = response.body.decode("utf-8", "replace")
    found = re.search(rf"<{tag}>([^<]*)</{tag}>", body)
    return html.unescape(found[1]).strip() if found else ""


def _refusal(who: str, response: RemoteResponse) -> DeliveryError:
    code = xml_text(response, "Code")
    # what follows the first line quotes the request
    message = xml_text(response, "Message").partition("\n")[0]
    words = ": ".join(filter(None, (code, message)))
    asks_patience = code in _THROTTLED
    retried = frozenset((response.status,) if asks_patience else ())
    error = status_error(who, response, retried, hide_secrets(words))
    if asks_patience:
        error.reason = "rate_limited"
    return error
