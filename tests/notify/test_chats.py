"""What all chats of receivers share: which answers are tried again, secrets, and the texts of incidents."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from typing import Any

import msgspec
import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import settings as hypothesis_settings

import tests.support.properties  # noqa: F401  # the settings of property tests
from amproxy.errors import DeliveryError
from amproxy.notify.message import BundleEntry, Card
from amproxy.secret import hide_secrets
from tests.support.notify.cards import card, hostile_cards, resolved
from tests.support.notify.chats import CHATS, ChatCase
from tests.support.notify.groups import group_card
from tests.support.standins.chats import Chat
from tests.support.standins.serving import Response

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(scope="module", params=CHATS, ids=lambda case: case.name)
def case(request: pytest.FixtureRequest) -> ChatCase:
    found: ChatCase = request.param
    return found


@pytest.fixture(scope="module")
def started(case: ChatCase) -> Iterator[Chat]:
    with case.stand_in() as service:
        yield service


@pytest.fixture
def service(started: Chat) -> Iterator[Chat]:
    started.forget()
    yield started
    started.assert_no_surprises()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def channel(case: ChatCase) -> AsyncIterator[Any]:
    made = case.channel()
    yield made
    await made.close()


def with_text(case: ChatCase, service: Chat) -> Any:
    """Settings whose texts are not empty, as a group's are once they are rendered."""
    plain = case.settings(service)
    texts = {name: "x" for name in ("title", "summary", "text", "message") if hasattr(plain, name)}
    return msgspec.structs.replace(plain, **texts)


async def failure(channel: Any, settings: Any, card: Card) -> DeliveryError:
    with pytest.raises(DeliveryError) as caught:
        await channel.send(settings, card)
    return caught.value


@pytest.mark.parametrize("status", [302, 400, 401, 403, 404, 408, 413, 429, 500, 503, 504])
async def test_a_group_is_tried_again_as_by_alertmanager_and_a_page_whenever_it_may_help(
    case: ChatCase, service: Chat, channel: Any, status: int
) -> None:
    settings = with_text(case, service)
    again = status >= 500 or status in case.retried
    for one, wanted in ((group_card(), again), (card(), again or status in (408, 429))):
        service.answers = [Response(status, headers={"Retry-After": "7", "Location": "/"})]
        error = await failure(channel, settings, one)
        assert (not error.permanent, error.retry_after) == (wanted, 7.0)
        assert str(status) in str(error)
        assert error.ambiguous == (status == 504)
        service.answers = []
        await channel.send(settings, one)  # the next attempt arrives


async def test_who_refuses_and_quotes_all_that_came_betrays_no_secret(
    case: ChatCase, service: Chat, channel: Any
) -> None:
    settings = with_text(case, service)
    await channel.send(settings, group_card())
    request = service.requests[-1]
    quoted = f"no {request.path}?{request.query} at {service.url} {request.headers} {case.secret}"
    for status in (400, 500, 200):
        told = {"message": quoted, "error": quoted, "errmsg": quoted, "errcode": 40001}
        service.answers = [Response.json(told | {"success": False}, status)]
        with contextlib.suppress(DeliveryError):
            await channel.send(settings, group_card())
            continue
        service.answers = [Response.json(told | {"success": False}, status)]
        error = await failure(channel, settings, group_card())
        assert case.secret not in str(error) and "token-1" not in str(error)
    assert case.secret not in hide_secrets(f"{case.secret} was refused")


async def test_the_connection_may_break_or_be_refused(
    case: ChatCase, service: Chat, channel: Any
) -> None:
    settings = with_text(case, service)
    await channel.send(settings, group_card())
    service.answers = [Response(drop=True)]
    error = await failure(channel, settings, group_card())
    assert (error.permanent, error.reason, error.ambiguous) == (False, "network", True)
    with case.stand_in() as gone:
        nowhere = with_text(case, gone)
    error = await failure(channel, nowhere, group_card())
    assert (error.permanent, error.reason, error.ambiguous) == (False, "network", False)
    assert case.secret not in str(error)


async def test_an_incident_is_told_of_at_its_beginning_and_at_its_end_in_its_own_words(
    case: ChatCase, service: Chat, channel: Any
) -> None:
    plain = case.settings(service)
    ref = await channel.send(plain, card())
    if case.name != "incidentio":  # it takes alerts, and words its messages itself
        told = str(service.body)
        for words in ("HighCPU on eu1", "CPU is above 90 %", "oncall.example.org/incidents/INC"):
            assert words in told
    ref = await channel.edit(plain, ref, card(state="acknowledged"))
    begun = len(service.taken)
    ref = await channel.edit(plain, ref, resolved())
    await channel.edit(plain, ref, resolved())
    assert len(service.taken) == begun + 1


async def test_an_end_that_nobody_wants_is_not_told(
    case: ChatCase, service: Chat, channel: Any
) -> None:
    quiet = msgspec.structs.replace(case.settings(service), send_resolved=False)
    ref = await channel.send(quiet, card())
    told = len(service.taken)
    assert await channel.edit(quiet, ref, resolved()) == ref
    assert len(service.taken) == told


async def test_a_bundle_names_each_of_its_incidents(
    case: ChatCase, service: Chat, channel: Any
) -> None:
    entries = [
        BundleEntry(incident=str(n), number=n, state="triggered", title=f"Disk {n}", url="")
        for n in (7, 8)
    ]
    await channel.send(case.settings(service), card(kind="bundle", text="", entries=entries))
    if case.name != "incidentio":
        assert "#7 Disk 7" in str(service.body) and "#8 Disk 8" in str(service.body)


async def test_messages_to_one_destination_share_its_limit(
    case: ChatCase, service: Chat, channel: Any
) -> None:
    limit = channel.rate_limit(case.settings(service))
    assert limit == channel.rate_limit(with_text(case, service))
    with case.stand_in() as other:
        assert limit != channel.rate_limit(case.settings(other))
    assert case.secret not in str(limit)


async def test_nobody_is_paged_by_a_contact(case: ChatCase, channel: Any) -> None:
    with pytest.raises(DeliveryError):
        channel.person(None, "x")


@pytest.mark.filterwarnings("ignore:.*is not an async function")
def test_whatever_an_incident_says_each_chat_takes_it() -> None:
    short = [
        case for case in CHATS if case.name != "incidentio"
    ]  # that gets alerts, as webhooks do
    with asyncio.Runner() as runner, contextlib.ExitStack() as stack:
        known = [(case, stack.enter_context(case.stand_in()), case.channel()) for case in short]

        async def send(hostile: Card) -> None:
            for case, service, channel in known:
                await channel.send(case.settings(service), hostile)

        @given(hostile=hostile_cards)
        @hypothesis_settings(deadline=None, max_examples=15)
        def holds(hostile: Card) -> None:
            runner.run(send(hostile))

        holds()
        for _, service, channel in known:
            service.assert_no_surprises()
            runner.run(channel.close())
