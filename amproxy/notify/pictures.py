"""Pictures of messages: Grafana's own where the alert brought one, else a plot that is drawn here.

No text waits for one. In a chat the picture follows the message, as a reply, once the chat has the
text; a mail, which cannot be changed, takes along what is there within a second. A picture that
does not come is a line of the log and a number, and never a page that failed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Final, Protocol, runtime_checkable
from zoneinfo import ZoneInfo

from amproxy import metrics
from amproxy.context import Context
from amproxy.errors import DeliveryError, StoreUnavailable
from amproxy.log import EventLog
from amproxy.model import Alert
from amproxy.notify.grafana import embedded_picture
from amproxy.notify.message import Card
from amproxy.notify.plots.plotter import NoPlot, Plotter, may_have_plot
from amproxy.notify.plots.series import Plot
from amproxy.store.pictures import load_picture
from amproxy.text import load_texts

log = EventLog(__name__)

MAX_FOLLOWING: Final = 20  # pictures under way; in a storm further ones are left out
_PNG: Final = b"\x89PNG\r\n\x1a\n"


@runtime_checkable
class PictureReplies(Protocol):
    """A channel that can add a picture below a message."""

    async def reply_picture(
        self, settings: Any, ref: dict[str, str], picture: bytes, text: str
    ) -> None:
        """Send a PNG as a silent reply to the message of `ref`. Raises DeliveryError.

        text: what it shows, for those who cannot see it.
        """


@runtime_checkable
class EmbeddedPictures(Protocol):
    """A channel whose messages have the picture of their card in them (`Card.plot`)."""

    embeds_pictures: bool


class MessagePictures:
    """The pictures of one process's messages."""

    def __init__(self, context: Context, plotter: Plotter) -> None:
        self._context, self._plotter = context, plotter
        self._following: set[asyncio.Task[None]] = set()

    async def find(self, card: Card, zone: str) -> bytes:
        """The PNG that belongs to a card; b"" = there is none, or not in time.

        zone: of its times.
        """
        if card.state == "resolved" or card.pictures:  # a picture with an address is there already
            return b""
        if picture := await self._embedded(card.alerts):
            return picture
        if not may_have_plot(self._context.config.metrics, card.alerts):
            return b""
        try:
            plot = await self._plotter.plot(card.incident, card.alerts)
            return await asyncio.to_thread(draw_png, plot, zone)
        except NoPlot:  # counted and logged by the plotter
            return b""
        except Exception:  # a defect of a drawing must not keep a page from going out
            metrics.unexpected_errors.labels("plot").inc()
            log.exception("drawing a picture failed", incident=card.incident)
            return b""

    def follow(
        self, channel: PictureReplies, settings: Any, ref: dict[str, str], card: Card, zone: str
    ) -> None:
        """Let the picture of a card follow its message, which has just arrived."""
        if not ref:
            return
        if len(self._following) >= MAX_FOLLOWING:
            metrics.plots.labels("left_out").inc()
            return
        task = asyncio.create_task(self._follow(channel, settings, ref, card, zone))
        self._following.add(task)
        task.add_done_callback(self._following.discard)

    async def close(self) -> None:
        """Give up what is under way: the messages themselves have arrived."""
        for task in self._following:
            task.cancel()
        await asyncio.gather(*self._following, return_exceptions=True)

    async def _follow(
        self, channel: PictureReplies, settings: Any, ref: dict[str, str], card: Card, zone: str
    ) -> None:
        if not (picture := await self.find(card, zone)):
            return
        try:
            await channel.reply_picture(settings, ref, picture, picture_text(card))
        except DeliveryError as error:
            metrics.plots.labels("refused").inc()
            log.warning("a picture was not taken", incident=card.incident, error=error)
        except Exception:  # as for messages: a defect in a channel stops nothing else
            metrics.unexpected_errors.labels("plot").inc()
            log.exception("sending a picture failed", incident=card.incident)

    async def _embedded(self, alerts: Sequence[Alert]) -> bytes:
        """The first PNG that came in an alert; Grafana sends no other kind."""
        for digest in filter(None, map(embedded_picture, alerts)):
            try:
                picture = await load_picture(self._context.wire, digest)
            except StoreUnavailable:
                return b""
            if picture and picture.startswith(_PNG):
                return picture
        return b""


def picture_text(card: Card) -> str:
    """The words that stand for the picture of a card."""
    return f"Metric of {card.title}"


def draw_png(plot: Plot, zone: str) -> bytes:
    """The picture of a plot; in a thread, because it takes some hundredths of a second."""
    # Here because nobody needs Pillow and its 20 MB before there is something to draw.
    from amproxy.notify.plots import drawing, png

    drawn = drawing.draw_plot(plot, png.WIDTH, png.HEIGHT, ZoneInfo(zone), load_texts("en"))
    return png.render_png(drawn)
