"""A receiver's message, previewed on an alert that fires: the page and the API."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Annotated, Any, Final, NamedTuple

import msgspec
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import Route

from amproxy import offload
from amproxy.config.structs import Receiver
from amproxy.context import Context
from amproxy.correlate.flusher import current_group
from amproxy.errors import NotFound
from amproxy.model import Alert, Group, LoadedGroup
from amproxy.notify.channels.text import one_line
from amproxy.notify.preview import (
    PreviewedIntegration,
    PreviewedText,
    example_group,
    preview_receiver,
)
from amproxy.store.groups import load_groups
from amproxy.text import Phrase
from amproxy.text.render import arguments_of, code_of, in_english
from amproxy.web.http.api import operation
from amproxy.web.http.deps import Deps
from amproxy.web.http.query import parse_query
from amproxy.web.http.templates import PageTemplates

# One thread for all previews: neither pushes nor readers of alerts wait for a template, and many
# previews wait for each other.
_RENDERING: Final = ThreadPoolExecutor(max_workers=1, thread_name_prefix="preview")
MAX_OFFERED: Final = 20  # alerts that a page lets choose from
MAX_SEARCH: Final = 200  # characters


class PreviewParameters(msgspec.Struct, frozen=True, kw_only=True):
    alert: Annotated[
        str,
        msgspec.Meta(
            description="The fingerprint of an alert that fires. The newest unless given."
        ),
    ] = ""


class OfferedAlert(NamedTuple):
    alert: Alert
    routed: bool  # a group of the receiver has it


class Sample(NamedTuple):
    """The group that a message is filled in for, and other alerts to choose from."""

    group: Group
    alerts: list[Alert]  # those that are over, but still in the group, too
    alert: str  # the fingerprint of the one that was chosen; "" = an example
    routed: bool  # the group is the receiver's
    offered: list[OfferedAlert]  # at most MAX_OFFERED
    matching: int  # alerts that fire and have the words of the search


class ReceiverPreview(NamedTuple):
    sample: Sample
    firing: int  # of the sample's alerts
    integrations: list[PreviewedIntegration]


class PreviewedTextView(msgspec.Struct, kw_only=True):
    """One text; null where it is hidden, since it is a secret or holds one."""

    key: str
    template: str | None
    text: str | None
    characters: int | None  # of the whole text; more than 10,000 are cut
    default: bool
    error: str | None
    replaced: bool  # by the default text


class PreviewedIntegrationView(msgspec.Struct, kw_only=True):
    integration: str
    undeliverable: str | None
    undeliverable_code: str | None
    undeliverable_arguments: dict[str, Any] | None
    texts: list[PreviewedTextView]
    left_out: int


class ReceiverPreviewView(msgspec.Struct, kw_only=True):
    """The texts of a message; `alert` is null where nothing fires and an example stands in."""

    receiver: str
    alert: str | None
    routed: bool
    group_labels: dict[str, str]
    firing: int
    resolved: int
    integrations: list[PreviewedIntegrationView]


class ReceiversApi:
    def __init__(self, deps: Deps) -> None:
        self._context = deps.context

    @operation(
        "deliveries",
        "GET /api/v1/receivers/{name:path}/preview",
        "previewReceiver",
        "The texts of a receiver, filled in for alerts that fire",
    )
    async def preview(self, request: Request, query: PreviewParameters) -> ReceiverPreviewView:
        """Raises NotFound for a receiver that is gone, and for an alert that does not fire."""
        receiver = _find_receiver(self._context, request)
        found = await load_preview(self._context, receiver, query.alert)
        if query.alert and found.sample.alert != query.alert:
            raise NotFound(Phrase("refusal.alert_not_firing", {"alert": query.alert[:60]}))
        sample = found.sample
        return ReceiverPreviewView(
            receiver=receiver.name,
            alert=sample.alert or None,
            routed=sample.routed,
            group_labels=sample.group.labels,
            firing=found.firing,
            resolved=len(sample.alerts) - found.firing,
            integrations=[_integration_view(one) for one in found.integrations],
        )


class ReceiverPage:
    def __init__(self, deps: Deps, templates: PageTemplates) -> None:
        self._context, self._templates = deps.context, templates

    def routes(self) -> list[Route]:
        return [Route("/receivers/{name:path}", self.show, methods=["GET"])]

    async def show(self, request: Request) -> HTMLResponse:
        receiver = _find_receiver(self._context, request)
        wanted = parse_query(request, PreviewParameters).alert
        search = one_line(request.query_params.get("search", ""), MAX_SEARCH)
        found = await load_preview(self._context, receiver, wanted, search)
        return await self._templates.page(
            request,
            "receiver.html",
            receiver=receiver,
            preview=found,
            sample=found.sample,
            gone=bool(wanted) and found.sample.alert != wanted,
            search=search,
        )


async def load_preview(
    context: Context, receiver: Receiver, wanted: str, search: str = ""
) -> ReceiverPreview:
    """The message for the group of an alert; of the newest where that one does not fire.

    wanted: a fingerprint, "" = none. search: words of the alerts to choose from. Raises
    StoreUnavailable.
    """
    now = context.now()
    async with context.big_read:
        groups = await load_groups(context.wire)
        size = len(groups) + sum(len(one.alerts) for one in groups)
        words = search.casefold().replace('"', "").split()
        sample = await offload.run(
            *(size, find_sample, groups, receiver.name, wanted, words, int(now * 10**9))
        )
        await offload.scrap(*(one.alerts for one in groups), *(one.revisions for one in groups))
        if sample.routed:
            sample = sample._replace(group=current_group(context, sample.group)[0])
    # Always in a thread, because a template may take all the time that it is given; and when others
    # may read again.
    fill = partial(_fill, context, receiver, sample, now, context.external_url)
    return await asyncio.get_running_loop().run_in_executor(_RENDERING, fill)


def find_sample(
    groups: Iterable[LoadedGroup], receiver: str, wanted: str, words: list[str], now_ns: int
) -> Sample:
    """The group with the wanted alert, else with the newest; one of the receiver's if there is.

    An example where nothing fires.
    """
    offered: dict[str, OfferedAlert] = {}
    best: tuple[tuple[bool, bool, int, str], LoadedGroup, Alert] | None = None
    for loaded in groups:
        routed = loaded.group.receiver == receiver
        for alert in loaded.alerts:
            if alert.resolved(now_ns):
                continue
            if routed or alert.fingerprint not in offered:
                offered[alert.fingerprint] = OfferedAlert(alert, routed)
            rank = (alert.fingerprint == wanted, routed, alert.starts_ns, loaded.group.id)
            if best is None or rank > best[0]:
                best = rank, loaded, alert
    matching = [one for one in offered.values() if _has_words(one.alert, words)]
    shown = heapq.nlargest(
        *(MAX_OFFERED, matching),
        key=lambda one: (one.routed, one.alert.starts_ns, one.alert.fingerprint),
    )
    if best is None:
        group, alerts = example_group(receiver, now_ns / 10**9)
        return Sample(group, alerts, "", routed=True, offered=[], matching=0)
    (_, routed, *_), loaded, alert = best
    # a copy: the groups are emptied when all that is needed of them has been found
    alerts = list(loaded.alerts)
    return Sample(loaded.group, alerts, alert.fingerprint, routed, shown, len(matching))


def _has_words(alert: Alert, words: list[str]) -> bool:
    """True where every word stands in a label as NAME=VALUE, or in an annotation."""
    if not words:
        return True
    pairs = (*alert.labels.items(), *alert.annotations.items())
    text = "\n".join(f"{name}={value}" for name, value in pairs).casefold()
    return all(word in text for word in words)


def _fill(
    context: Context, receiver: Receiver, sample: Sample, now: float, external_url: str
) -> ReceiverPreview:
    now_ns = int(now * 10**9)
    return ReceiverPreview(
        sample,
        sum(not alert.resolved(now_ns) for alert in sample.alerts),
        preview_receiver(
            *(context.config, receiver, sample.group, sample.alerts),
            now=now,
            external_url=external_url,
        ),
    )


def _find_receiver(context: Context, request: Request) -> Receiver:
    name = request.path_params["name"]
    receiver = context.config.receivers.get(name)
    if receiver is None:
        raise NotFound(Phrase("refusal.no_receiver", {"receiver": name[:60]}))
    return receiver


def _integration_view(one: PreviewedIntegration) -> PreviewedIntegrationView:
    integration, reason = one.integration, one.integration.undeliverable
    return PreviewedIntegrationView(
        integration=f"{integration.kind}/{integration.index}",
        undeliverable=in_english(reason) if reason else None,
        undeliverable_code=code_of(reason),
        undeliverable_arguments=arguments_of(reason),
        texts=list(map(_text_view, one.texts)),
        left_out=one.left_out,
    )


def _text_view(one: PreviewedText) -> PreviewedTextView:
    return PreviewedTextView(
        key=one.key,
        template=None if one.hidden else one.template.text,
        text=None if one.hidden else one.text.text,
        characters=None if one.hidden else one.text.characters,
        default=one.default,
        error=one.error or None,
        replaced=one.replaced,
    )
