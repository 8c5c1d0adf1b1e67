"""POST /slack/interactivity: where Slack reports button presses. Signed requests only."""

from __future__ import annotations

import asyncio
import logging

from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from amproxy.context import Context
from amproxy.errors import DeliveryError, StoreUnavailable
from amproxy.notify.channels.slack import presses as slack_presses
from amproxy.notify.message import Press
from amproxy.respond.actions import handle_press
from amproxy.secret import reveal

log = logging.getLogger(__name__)

MAX_BODY = 1 << 20  # bytes
PATH = "/slack/interactivity"
MAX_TRIES = 20  # while Redis is away, a second apart: Slack does not send a press again


class SlackEndpoint:
    """Answers within Slack's three seconds, whatever the press comes to; what it came to is told by response_url."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def routes(self) -> list[Route]:
        return [Route(PATH, self.interactivity, methods=["POST"])]

    async def interactivity(self, request: Request) -> Response:
        body = b""
        async for part in request.stream():
            body += part
            if len(body) > MAX_BODY:
                return _error_response(413, "too large", "the body is too large")
        config = self._context.config.global_
        try:
            secret = reveal(config.slack_signing_secret, config.slack_signing_secret_file)
            slack_presses.verify_signature(secret, request.headers, body, self._context.now())
            presses = slack_presses.parse_interactivity(body)
        except OSError:
            return _error_response(503, "try again", "the signing secret cannot be read")
        except slack_presses.BadSlackSignature as error:
            return _error_response(401, "unauthorized", str(error))
        except slack_presses.BadInteractivityRequest as error:
            return _error_response(400, "malformed", str(error))
        return Response(status_code=200, background=BackgroundTask(self._do, presses))

    async def _do(self, presses: list[Press]) -> None:
        for pressed in presses:
            text = await self._press(pressed)
            try:
                await slack_presses.send_reply(pressed.reply_to, text)
            except DeliveryError as error:
                log.warning("the one who pressed in Slack could not be told: %s", error)

    async def _press(self, pressed: Press) -> str:
        for _ in range(MAX_TRIES):
            try:
                return await handle_press(self._context, pressed)
            except StoreUnavailable:
                await asyncio.sleep(1)
        return "Nothing done: amproxy cannot reach its Redis. Please try again."


def _error_response(status: int, error: str, detail: str) -> Response:
    return JSONResponse({"error": error, "detail": detail}, status)
