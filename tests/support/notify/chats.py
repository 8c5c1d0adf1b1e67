"""Every chat that serves receivers: its channel, its stand-in, and settings with which it takes a message."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from amproxy.config.channels import channel_kind, load_name
from amproxy.config.structs import HttpSettings
from amproxy.notify.channels.discord.settings import DiscordSettings
from amproxy.notify.channels.incidentio.settings import IncidentioSettings
from amproxy.notify.channels.mattermost.settings import MattermostSettings
from amproxy.notify.channels.msteams.settings import TeamsSettings
from amproxy.notify.channels.rocketchat.settings import RocketChatSettings
from amproxy.notify.channels.webex.settings import WebexSettings
from amproxy.notify.channels.wechat.settings import WechatSettings
from amproxy.notify.message import Card
from amproxy.secret import Secret
from tests.support.standins import chats
from tests.support.standins.chats import Chat


@dataclass(frozen=True)
class ChatCase:
    """settings: of a stand-in, without any text of its own."""

    name: str
    stand_in: type[Chat]
    settings: Callable[[Any], Any]
    retried: frozenset[int] = frozenset()  # statuses besides 5xx
    secret: str = ""  # one that stands in the settings

    def channel(self) -> Any:
        return load_name(channel_kind(self.name).channel)()


def bearer(token: str) -> HttpSettings:
    return HttpSettings(authorization_credentials=Secret(token))


CHATS = [
    ChatCase(
        "discord",
        chats.DiscordStandIn,
        lambda service: DiscordSettings(webhook_url=Secret(service.url)),
        frozenset((429,)),
        chats.DISCORD_TOKEN,
    ),
    ChatCase(
        "msteams",
        chats.TeamsConnectorStandIn,
        lambda service: TeamsSettings(webhook_url=Secret(service.url)),
        secret=chats.TEAMS_TOKEN,
    ),
    ChatCase(
        "msteamsv2",
        chats.TeamsWorkflowStandIn,
        lambda service: TeamsSettings(webhook_url=Secret(service.url)),
        secret=chats.TEAMS_TOKEN,
    ),
    ChatCase(
        "webex",
        chats.WebexStandIn,
        lambda service: WebexSettings(
            api_url=service.url, room_id="room", http=bearer(chats.WEBEX_TOKEN)
        ),
        frozenset((429,)),
        chats.WEBEX_TOKEN,
    ),
    ChatCase(
        "wechat",
        chats.WechatStandIn,
        lambda service: WechatSettings(
            api_url=service.url,
            corp_id="corp",
            api_secret=Secret(chats.WECHAT_SECRET),
            to_user="@all",
            agent_id="7",
        ),
        frozenset(range(300, 500)),
        chats.WECHAT_SECRET,
    ),
    ChatCase(
        "rocketchat",
        chats.RocketChatStandIn,
        lambda service: RocketChatSettings(
            api_url=service.api_url,
            token=Secret(chats.ROCKETCHAT_TOKEN),
            token_id=Secret(chats.ROCKETCHAT_USER),
            channel="#ops",
        ),
        secret=chats.ROCKETCHAT_TOKEN,
    ),
    ChatCase(
        "mattermost",
        chats.MattermostStandIn,
        lambda service: MattermostSettings(webhook_url=Secret(service.url)),
        secret=chats.MATTERMOST_TOKEN,
    ),
    ChatCase(
        "incidentio",
        chats.IncidentioStandIn,
        lambda service: IncidentioSettings(url=service.url, http=bearer(chats.INCIDENTIO_TOKEN)),
        frozenset((429,)),
        chats.INCIDENTIO_TOKEN,
    ),
]


BY_NAME = {case.name: case for case in CHATS}


async def sent(name: str, card: Card, **changes: Any) -> dict[str, Any]:
    """The message that a chat took for a card, with settings changed so."""
    case = BY_NAME[name]
    with case.stand_in() as service:
        channel = case.channel()
        try:
            await channel.send(msgspec.structs.replace(case.settings(service), **changes), card)
        finally:
            await channel.close()
        service.assert_no_surprises()
        return service.body
