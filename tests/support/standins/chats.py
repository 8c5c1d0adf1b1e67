"""Chats on loopback that take a message as one POST of JSON, refusing what the real ones refuse."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.support.standins.services import RefusedRequest, ServiceStandIn, check
from tests.support.standins.serving import Request, Response

DISCORD_TOKEN = "kA3-d_very_long_token_of_an_incoming_webhook"
TEAMS_TOKEN = "aVeryLongSignatureOfAWorkflow0123456789"
MATTERMOST_TOKEN = "abcdefghijklmnopqrstuvwxyz"
WEBEX_TOKEN = "token of the bot"
WECHAT_SECRET = "secret of the application"
ROCKETCHAT_TOKEN, ROCKETCHAT_USER = "token of the person", "id of the person"
INCIDENTIO_TOKEN = "token of the source"


class Chat(ServiceStandIn):
    """A chat at one path."""

    path = "/"
    query = ""

    @property
    def url(self) -> str:
        return super().url + self.path + self.query

    @property
    def body(self) -> dict[str, Any]:
        """The message that was taken last."""
        return dict(json.loads(self.taken[-1].body))

    def forget(self) -> None:
        """Begin anew, for another test."""
        self.requests.clear()
        self.taken.clear()
        self.answers.clear()

    def take(self, request: Request) -> Response:
        check(request.method == "POST", 405, {"message": "405: Method Not Allowed"})
        check(request.path == self.path, 404, {"message": f"no such path: {request.path}"})
        check(f"?{request.query}" in (self.query, "?"), 401, {"message": "no such signature"})
        check(request.headers.get("content-type") == "application/json", 415, {"message": "type"})
        try:
            body = json.loads(request.body)
        except ValueError:
            raise RefusedRequest(400, {"message": "no JSON"}) from None
        return self.take_message(request, body)

    def take_message(self, request: Request, body: dict[str, Any]) -> Response:
        """The answer to a message. Raises RefusedRequest."""
        raise NotImplementedError


class DiscordStandIn(Chat):
    """https://discord.com/developers/docs/resources/webhook#execute-webhook"""

    path = f"/api/webhooks/123456789012345678/{DISCORD_TOKEN}"

    def take_message(self, request: Request, body: dict[str, Any]) -> Response:
        known = {"content", "embeds", "username", "avatar_url", "tts", "allowed_mentions"}
        _keys(body, known)
        _text(body, "content", 2000)
        _text(body, "username", 80)
        _fine("discord" not in body.get("username", "").lower(), 'username: contains "discord"')
        _web_url(body, "avatar_url")
        embeds = body.get("embeds", [])
        _fine(isinstance(embeds, list) and len(embeds) <= 10, "embeds: 10 or fewer")
        for embed in embeds:
            _keys(embed, {"title", "description", "color", "url"})
            _text(embed, "title", 256)
            _text(embed, "description", 4096)
            _fine(type(embed.get("color")) is int, "color: not an int")
        told = [body.get("content")] + [embed.get(key) for embed in embeds for key in embed]
        check(any(told), 400, {"message": "Cannot send an empty message", "code": 50006})
        return Response(204)


class TeamsConnectorStandIn(Chat):
    """A connector: a MessageCard with a summary or a text; 28 KB in all."""

    path = f"/webhookb2/11111111-2222/IncomingWebhook/{TEAMS_TOKEN}"

    def take_message(self, request: Request, body: dict[str, Any]) -> Response:
        known = {"@context", "@type", "type", "title", "summary", "text", "themeColor", "sections"}
        _keys(body, known)
        for key in body:
            _text(body, key, 28_000)
        _fine(body.get("summary") or body.get("text"), "Summary or Text is required.")
        check(len(request.body) <= 28 * 1024, 413, "Webhook message size limit exceeded")
        return Response(200, b"1")


class TeamsWorkflowStandIn(Chat):
    """A workflow: a message with adaptive cards; 28 KB in all."""

    path = "/workflows/0123456789abcdef/triggers/manual/paths/invoke"
    query = f"?api-version=1&sig={TEAMS_TOKEN}"

    def take_message(self, request: Request, body: dict[str, Any]) -> Response:
        check(request.query, 401, {"error": {"code": "DirectApiAuthorizationRequired"}})
        _keys(body, {"type", "attachments"})
        _fine(body.get("type") == "message", "type")
        (attachment,) = body["attachments"]
        _keys(attachment, {"contentType", "contentUrl", "content"})
        _fine(attachment["contentType"] == "application/vnd.microsoft.card.adaptive", "contentType")
        _fine(attachment["contentUrl"] is None, "contentUrl")
        card = attachment["content"]
        _keys(card, {"$schema", "type", "version", "body", "actions", "msteams"})
        _fine((card["type"], card["msteams"]) == ("AdaptiveCard", {"width": "full"}), "card")
        _fine(card["version"] in ("1.2", "1.3", "1.4", "1.5"), "version")
        for block in card["body"]:
            _keys(block, {"type", "text", "weight", "size", "wrap", "style", "color"})
            _fine(block["type"] == "TextBlock" and isinstance(block["text"], str), "block")
            _fine(block.get("wrap", True) in (True, False), "wrap")
            colours = ("Default", "Good", "Warning", "Attention", "Accent")
            _fine(block.get("color", "Good") in colours, "color")
        check(len(request.body) <= 28 * 1024, 413, {"error": {"code": "RequestEntityTooLarge"}})
        return Response(202)


class WebexStandIn(Chat):
    """https://developer.webex.com/docs/api/v1/messages/create-a-message"""

    path = "/v1/messages"

    def take_message(self, request: Request, body: dict[str, Any]) -> Response:
        asked = request.headers.get("authorization")
        check(asked == f"Bearer {WEBEX_TOKEN}", 401, {"message": "token", "trackingId": "T"})
        _keys(body, {"roomId", "markdown", "text", "toPersonEmail", "toPersonId"})
        check(body.get("roomId") == "room", 404, {"message": "Could not find a room"})
        _fine(isinstance(body.get("markdown"), str) and body["markdown"], "markdown or text")
        _fine(len(body["markdown"].encode()) <= 7439, "Message length limited to 7439 bytes")
        return Response.json({"id": "1", "roomId": "room"})


class WechatStandIn(Chat):
    """WeCom: `gettoken`, then `message/send`. A token is good until `over` is called."""

    path = "/cgi-bin/"

    def __init__(self) -> None:
        super().__init__()
        self.token = 1

    def over(self) -> None:
        """Let the token that is known be over."""
        self.token += 1

    def forget(self) -> None:
        super().forget()
        self.token = 1

    def take(self, request: Request) -> Response:
        asked = {name: values[0] for name, values in parse_qs(request.query).items()}
        if request.path == "/cgi-bin/gettoken":
            check(request.method == "GET", 405, {"errcode": 43001})
            right = {"corpid": "corp", "corpsecret": WECHAT_SECRET}
            if asked != right:
                return Response.json({"errcode": 40001, "errmsg": "invalid credential"})
            token = {"access_token": f"token-{self.token}", "expires_in": 7200}
            return Response.json({"errcode": 0, "errmsg": "ok"} | token)
        check(request.path == "/cgi-bin/message/send", 404, {"errcode": 404})
        check(request.headers.get("content-type") == "application/json", 415, {"errcode": 43002})
        if asked != {"access_token": f"token-{self.token}"}:
            return Response.json({"errcode": 42001, "errmsg": "access_token expired"})
        return self.take_message(request, json.loads(request.body))

    def take_message(self, request: Request, body: dict[str, Any]) -> Response:
        kind = body.get("msgtype")
        _keys(
            body, {"touser", "toparty", "totag", "agentid", "msgtype", "safe", "text", "markdown"}
        )
        for key in ("touser", "toparty", "totag", "agentid", "safe"):
            _text(body, key, 1000)
        if kind not in ("text", "markdown"):
            return Response.json({"errcode": 40008, "errmsg": "invalid message type"})
        if not any(body.get(key) for key in ("touser", "toparty", "totag")):
            return Response.json({"errcode": 40003, "errmsg": "invalid user"})
        if not body[kind]["content"]:
            return Response.json({"errcode": 44004, "errmsg": "empty content"})
        return Response.json({"errcode": 0, "errmsg": "ok", "msgid": "1"})


class RocketChatStandIn(Chat):
    """https://developer.rocket.chat/apidocs/post-message"""

    path = "/chat/api/v1/chat.postMessage"

    @property
    def api_url(self) -> str:
        return self.url.removesuffix("api/v1/chat.postMessage")

    def take_message(self, request: Request, body: dict[str, Any]) -> Response:
        asked = (request.headers.get("x-auth-token"), request.headers.get("x-user-id"))
        right = (ROCKETCHAT_TOKEN, ROCKETCHAT_USER)
        check(asked == right, 401, {"status": "error", "message": "You must be logged in"})
        _keys(body, {"channel", "text", "alias", "emoji", "avatar", "attachments"})
        if not str(body.get("channel", "")).startswith(("#", "@")):
            return Response.json({"success": False, "error": "[invalid-channel]"}, 400)
        for attachment in body["attachments"]:
            _keys(attachment, {*_ROCKETCHAT_TEXTS, "fields", "actions"})
            for key in _ROCKETCHAT_TEXTS:
                _text(attachment, key, 5000)
            for field in attachment.get("fields", ()):
                _keys(field, {"short", "title", "value"})
                _fine(isinstance(field["short"], bool), "short")
            for action in attachment.get("actions", ()):
                _keys(action, {"type", "text", "url", "msg", "is_webview", "msg_in_chat_window"})
                _fine(action["type"] == "button", "type")
        return Response.json({"success": True, "ts": 1, "message": {}})


_ROCKETCHAT_TEXTS = ("title", "title_link", "text", "image_url", "thumb_url", "color")


class MattermostStandIn(Chat):
    """https://developers.mattermost.com/integrate/webhooks/incoming/"""

    path = f"/hooks/{MATTERMOST_TOKEN}"

    def take_message(self, request: Request, body: dict[str, Any]) -> Response:
        texts = {"text", "channel", "username", "icon_url", "icon_emoji", "type"}
        _keys(body, texts | {"attachments", "props", "priority"})
        for key in texts:
            _text(body, key, 16383)
        _fine(body.get("text") or body.get("attachments"), "no text specified")
        _fine(body.get("type", "custom_").startswith("custom_"), "type")
        for attachment in body.get("attachments", ()):
            for key, value in attachment.items():
                _fine(key == "fields" or isinstance(value, str), f"{key}: no text")
            for field in attachment.get("fields", ()):
                _keys(field, {"title", "value", "short"})
        priority = body.get("priority", {})
        _keys(priority, {"priority", "requested_ack", "persistent_notifications"})
        level = priority.get("priority", "standard")
        _fine(level in ("urgent", "important", "standard"), "priority")
        _fine(not priority.get("requested_ack") or level != "standard", "requested_ack")
        _fine(not priority.get("persistent_notifications") or level == "urgent", "persistent")
        return Response(200, b"ok")


class IncidentioStandIn(Chat):
    """https://api-docs.incident.io: an alert source of the kind Alertmanager; 512 KB."""

    path = "/v2/alert_events/alertmanager/01SOURCE"

    def take_message(self, request: Request, body: dict[str, Any]) -> Response:
        asked = request.headers.get("authorization")
        check(asked == f"Bearer {INCIDENTIO_TOKEN}", 401, {"message": "no valid token"})
        check(len(request.body) <= 512 * 1024, 429, {"message": "too large"})
        maps = {"groupLabels", "commonLabels", "commonAnnotations", "routeLabels", "metadata"}
        texts = {"receiver", "status", "externalURL", "version", "groupKey", "notification_reason"}
        _keys(body, maps | texts | {"alerts", "truncatedAlerts"})
        _fine(texts <= set(body) and body["version"] == "1", "missing")
        _fine(body["status"] in ("firing", "resolved") and body["alerts"], "status")
        for key in maps & set(body):
            _fine(all(isinstance(value, str) for value in body[key].values()), key)
        return Response.json({"status": "success"}, 202)


def _keys(values: dict[str, Any], known: set[str]) -> None:
    _fine(set(values) <= known, f"unknown: {sorted(set(values) - known)}")


def _text(values: dict[str, Any], key: str, limit: int) -> None:
    """Refuse a text that is none, too long, or empty although it may be left out."""
    text = values.get(key, "x")
    _fine(isinstance(text, str) and len(text) <= limit, f"{key}: {limit} or fewer in length")


def _web_url(values: dict[str, Any], key: str) -> None:
    found = urlsplit(values.get(key, "https://e.org"))
    _fine(found.scheme in ("http", "https") and found.netloc, f"{key}: not well formed")


def _fine(fine: object, error: str) -> None:
    check(fine, 400, {"message": "Invalid Form Body", "errors": [error]})
