"""Messages published to a topic, an endpoint or a phone of Amazon SNS."""

from __future__ import annotations

from typing import Final

from amproxy.notify.channels.receiver import (
    EventChannel,
    group_digest,
    incident_text,
    state_ref,
)
from amproxy.notify.channels.sns.credentials import CredentialsFinder
from amproxy.notify.channels.sns.query import AwsClient
from amproxy.notify.channels.sns.settings import SnsSettings
from amproxy.notify.message import Card

MAX_MESSAGE: Final = 256 * 1024  # bytes
MAX_SMS: Final = 1600  # bytes
MAX_SUBJECT: Final = 100  # characters of an incident's; Amazon refuses a longer one of the file
_VERSION: Final = "2010-03-31"


class SnsChannel(EventChannel):
    """Amazon's Query API. Its requests are signed here: a whole client would weigh 20 MB."""

    name = "sns"
    service = "Amazon SNS"

    def __init__(self) -> None:
        super().__init__()
        self._client = AwsClient(self._clients)
        self._credentials = CredentialsFinder(self._client)

    def destination(self, settings: SnsSettings) -> str:
        """The topic, the endpoint or the phone."""
        return settings.topic_arn or settings.target_arn or settings.phone_number

    async def send(self, settings: SnsSettings, card: Card) -> dict[str, str]:
        """Publish a message. Raises DeliveryError."""
        region = self._credentials.region(settings.aws)
        credentials = await self._credentials.find(settings.aws, settings.http, region)
        await self._client.query(
            settings.http,
            self.service,
            settings.api_url or self._credentials.address("sns", region),
            _parameters(settings, card),
            service="sns",
            region=region,
            credentials=credentials,
        )
        return state_ref(card)


def _parameters(settings: SnsSettings, card: Card) -> dict[str, str]:
    limit = MAX_SMS if settings.phone_number else MAX_MESSAGE
    message = settings.message or incident_text(card, card.text or card.title)
    sent = _cut(message, limit)
    attributes = dict(settings.attributes)
    if sent != message:
        attributes["truncated"] = "true"
    found = {"Action": "Publish", "Version": _VERSION, "Message": sent}
    subject = settings.subject or incident_text(card, " ".join(card.title.split())[:MAX_SUBJECT])
    if subject:
        found["Subject"] = subject
    if settings.topic_arn:
        found["TopicArn"] = settings.topic_arn
        if settings.topic_arn.endswith(".fifo"):
            digest = group_digest(card)
            found |= {"MessageDeduplicationId": digest, "MessageGroupId": digest}
    if settings.phone_number:
        found["PhoneNumber"] = settings.phone_number
    if settings.target_arn:
        found["TargetArn"] = settings.target_arn
    for number, (name, value) in enumerate(sorted(attributes.items()), 1):
        place = f"MessageAttributes.entry.{number}"
        found |= {
            f"{place}.Name": name,
            f"{place}.Value.DataType": "String",
            f"{place}.Value.StringValue": value,
        }
    return found


def _cut(text: str, limit: int) -> str:
    """The text in at most `limit` bytes, whole characters."""
    encoded = text.encode()
    return text if len(encoded) <= limit else encoded[:limit].decode(errors="ignore")
