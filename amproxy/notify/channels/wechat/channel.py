"""Messages by WeChat: a token for the application first, then the message."""

from __future__ import annotations

import time
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qsl, urlencode, urlsplit

from amproxy.errors import DeliveryError
from amproxy.notify.channels.chat import ChatChannel, own_text, own_title
from amproxy.notify.channels.http import (
    RemoteResponse,
    clean_for_log,
    unreadable_response_error,
)
from amproxy.notify.channels.receiver import reveal_secret, state_ref
from amproxy.notify.channels.wechat.settings import WechatSettings
from amproxy.notify.message import Card
from amproxy.secret import HIDDEN, hide_secrets
from amproxy.text import Phrase, phrase

TOKEN_LIFETIME: Final = 7200.0  # seconds
# Answers that say that the token is over, or not the one that counts.
_TOKEN_OVER: Final = frozenset((42001, 40014))
# Answers that ask for patience. A group that is refused so is told anew at its next flush.
_BUSY: Final = frozenset((-1, 45009))


class _Token(NamedTuple):
    text: str
    until: float  # time.monotonic()


class WechatChannel(ChatChannel):
    """An application of WeCom. Its tokens are kept, for as long as WeChat lets them live."""

    name = "wechat"
    service = "WeChat"
    retried = frozenset(range(300, 500))  # any answer but 200 is tried again

    def __init__(self) -> None:
        super().__init__()
        self._tokens: dict[str, _Token] = {}  # by destination

    def destination(self, settings: WechatSettings) -> str:
        """The application, which its secret tells from others. Raises DeliveryError."""
        return f"{settings.api_url} {settings.corp_id} {_api_secret(settings)}"

    async def send(self, settings: WechatSettings, card: Card) -> dict[str, str]:
        """Send a message. Raises DeliveryError."""
        application = self.destination(settings)
        token = await self._token(settings, application)
        url = _method_url(settings.api_url, "message/send", access_token=token)
        response = await self._post(settings, card, url, _message(settings, card))
        answer = response.json()
        code = answer.get("errcode", 0) if isinstance(answer, dict) else None
        if response.status != 200 or type(code) is not int:
            raise unreadable_response_error(self.service)
        if code in _TOKEN_OVER:
            self._tokens.pop(application, None)
        if code:
            raise DeliveryError(
                _refusal(answer, token),
                permanent=code not in _TOKEN_OVER and (code not in _BUSY or card.kind == "group"),
                reason="auth_error" if code in _TOKEN_OVER else "client_error",
            )
        return state_ref(card)

    async def _token(self, settings: WechatSettings, application: str) -> str:
        """The application's token, asked for anew where none is known. Raises DeliveryError."""
        known = self._tokens.get(application)
        if known is not None and time.monotonic() < known.until:
            return known.text
        url = _method_url(
            settings.api_url.partition("?")[0],
            "gettoken",
            corpid=settings.corp_id,
            corpsecret=_api_secret(settings),
        )
        response = await self._ask(settings, url, retried=self.retried, method="GET")
        answer = response.json()
        if not isinstance(answer, dict):
            words = phrase("failure.no_token", service=self.service)
            raise DeliveryError(words, reason="server_error")
        token = answer.get("access_token")
        if not isinstance(token, str) or not token:
            raise DeliveryError(_refusal(answer), permanent=True, reason="auth_error")
        now = time.monotonic()
        # with the ones that are over: a secret that was changed leaves one
        self._tokens = {name: one for name, one in self._tokens.items() if now < one.until}
        self._tokens[application] = _Token(token, now + TOKEN_LIFETIME)
        return token

    def _failure_words(self, response: RemoteResponse) -> str:
        """Nothing: it may quote the token."""
        return ""


def _api_secret(settings: WechatSettings) -> str:
    return reveal_secret(
        WechatChannel.service, "api_secret", settings.api_secret, settings.api_secret_file
    )


def _method_url(api_url: str, method: str, **query: str) -> str:
    """The address of a method, with the query of the API's address and its own."""
    parts = urlsplit(api_url)
    path = parts.path if parts.path.endswith("/") else f"{parts.path}/"
    pairs = [
        pair for pair in parse_qsl(parts.query, keep_blank_values=True) if pair[0] not in query
    ]
    text = urlencode(sorted([*pairs, *query.items()]))
    return parts._replace(path=path + method, query=text).geturl()


def _message(settings: WechatSettings, card: Card) -> dict[str, Any]:
    text = settings.message or "\n".join(filter(None, (own_title(card), own_text(card))))
    in_markdown = settings.message_type == "markdown"
    recipients = {
        "touser": settings.to_user,
        "toparty": settings.to_party,
        "totag": settings.to_tag,
        "agentid": settings.agent_id,
    }
    return {
        # Alertmanager sends both, one of them empty.
        "text": {"content": "" if in_markdown else text},
        **{key: value for key, value in recipients.items() if value},
        "safe": "0",
        "msgtype": settings.message_type,
        "markdown": {"content": text if in_markdown else ""},
    }


def _refusal(answer: dict[str, Any], token: str = "") -> Phrase:
    """The words of WeChat, without the token."""
    code, said = (
        clean_for_log(hide_secrets(str(answer.get(name, default))))
        for name, default in (("errcode", 0), ("errmsg", ""))
    )
    if token:
        code, said = code.replace(token, HIDDEN), said.replace(token, HIDDEN)
    if not said:
        return phrase("failure.status", service=WechatChannel.service, status=code)
    return phrase("failure.status_said", service=WechatChannel.service, status=code, said=said)
