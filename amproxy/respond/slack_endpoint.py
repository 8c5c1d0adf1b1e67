"""POST /slack/interactivity: signed requests in which Slack reports button presses."""

from __future__ import annotations

from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from tenacity import retry, retry_if_exception_type, stop_after_attempt, wait_fixed

from amproxy.context import Context
from amproxy.errors import DeliveryError, StoreUnavailable
from amproxy.log import EventLog
from amproxy.notify.channels.slack.presses import (
    BadInteractivityRequest,
    BadSlackSignature,
    parse_interactivity,
    send_reply,
    verify_signature,
)
from amproxy.notify.channels.slack.settings import SlackSettings
from amproxy.notify.message import Press
from amproxy.respond.actions import handle_press
from amproxy.secret import reveal

log = EventLog(__name__)

PATH = "/slack/interactivity"
MAX_BODY = 1 << 20  # bytes
# While Redis is away, a press is tried again: Slack does not send it a second time.
MAX_TRIES = 20
RETRY_INTERVAL = 1.0  # seconds


class SlackEndpoint:
    """Responds within Slack's three seconds; the result of a press follows by response_url."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def routes(self) -> list[Route]:
        return [Route(PATH, self.interactivity, methods=["POST"])]

    async def interactivity(self, request: Request) -> Response:
        body = b""
        # Bounded while it comes in: the signature is checked only once all of it is here.
        async for chunk in request.stream():
            body += chunk
            if len(body) > MAX_BODY:
                return _error_response(413, "too large", "the body is too large")
        slack = self._context.config.global_.channels.get("slack", SlackSettings())
        try:
            secret = reveal(slack.signing_secret, slack.signing_secret_file)
            verify_signature(secret, request.headers, body, self._context.now())
            presses = parse_interactivity(body)
        except OSError:
            return _error_response(503, "try again", "the signing secret cannot be read")
        except BadSlackSignature as error:
            return _error_response(401, "unauthorized", str(error))
        except BadInteractivityRequest as error:
            return _error_response(400, "malformed", str(error))
        return Response(status_code=200, background=BackgroundTask(self._handle, presses))

    async def _handle(self, presses: list[Press]) -> None:
        for pressed in presses:
            try:
                text = await self._perform(pressed)
            except StoreUnavailable:
                text = "Nothing done: amproxy cannot reach its Redis. Please try again."
            try:
                await send_reply(pressed.reply_to, text)
            except DeliveryError as error:
                log.warning("an answer in Slack was not given", error=error)

    @retry(
        retry=retry_if_exception_type(StoreUnavailable),
        stop=stop_after_attempt(MAX_TRIES),
        wait=wait_fixed(RETRY_INTERVAL),
        reraise=True,
    )
    async def _perform(self, pressed: Press) -> str:
        return await handle_press(self._context, pressed)


def _error_response(status: int, error: str, detail: str) -> Response:
    return JSONResponse({"error": error, "detail": detail}, status)
