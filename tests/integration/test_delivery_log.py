"""Every attempt to deliver is written down with what became of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec

from amproxy.apply import apply_event
from amproxy.config.structs import Config, Integration, NotifyStep, Receiver, Storm, Wait
from amproxy.errors import DeliveryError
from amproxy.machine.events import Acknowledge
from amproxy.notify.channels.webhook.settings import WebhookSettings
from amproxy.respond import test_messages
from amproxy.respond.test_messages import build_test_pages
from amproxy.store import deliveries, keys
from amproxy.store.commit import Operations, commit
from amproxy.store.deliveries import Delivery
from amproxy.store.incidents import enqueue
from amproxy.text import Phrase, phrase
from tests.support.integration.house import House, config, plan
from tests.support.waiting import soon
from tests.support.words import said

Build = Callable[[Config], Awaitable[House]]
HOOK = Receiver(
    name="hook",
    integrations=(
        Integration(kind="webhook", index=0, send_resolved=True, settings=WebhookSettings()),
    ),
)


async def push(house: House, *names: str) -> None:
    assert (
        await house.post("/api/v2/alerts", [{"labels": {"alertname": name}} for name in names])
    )[0] == 200


async def log(house: House) -> list[Delivery]:
    """Oldest first."""
    page = await deliveries.list_deliveries(house.context.wire, lambda delivery: True, limit=1000)
    return [one.delivery for one in reversed(page.items)]


async def entries(house: House, count: int) -> list[Delivery]:
    async def enough() -> list[Delivery]:
        found = await log(house)
        return found if len(found) >= count else []

    found: list[Delivery] = await soon(enough)
    return found


async def test_a_page_that_fails_and_one_that_arrives_are_both_written_down(
    house_of: Build,
) -> None:
    house = await house_of(config(plan(NotifyStep(users=("ann",)))))
    house.chat.refuse = lambda address, card: DeliveryError(
        f"{address} has blocked the bot", permanent=True
    )
    await push(house, "Disk")
    failed, sent = await entries(house, 2)
    [incident] = await house.incidents()
    about = ((incident.id, incident.number),)
    assert (failed.kind, failed.user, failed.channel, failed.outcome, failed.incidents) == (
        "page",
        "ann",
        "console",
        "failed",
        about,
    )
    assert failed.error == "… has blocked the bot", "an address may be a secret"
    assert (sent.channel, sent.outcome, sent.subject, sent.error) == ("email", "sent", "Disk", "")
    assert sent.ms is not None and sent.ms < 60000 and abs(sent.at - house.context.now()) < 60


async def test_an_error_is_stored_as_a_code_with_what_the_other_side_said(house_of: Build) -> None:
    house = await house_of(config(plan(NotifyStep(users=("ann",)))))

    def refusal(text: str) -> Phrase:
        return phrase("failure.status_said", service="Chat", status=403, said=text)

    house.chat.refuse = lambda address, card: DeliveryError(
        refusal(f"{address} has blocked the bot"), permanent=True
    )
    await push(house, "Disk")
    failed, _ = await entries(house, 2)
    assert failed.error == refusal("… has blocked the bot"), "an address may be a secret"
    assert str(failed.error) == "Chat: 403 … has blocked the bot"
    [incident] = await house.incidents()
    page = next(one for one in incident.pages if one.channel == "console")
    assert isinstance(page.error, Phrase) and page.error.key == "failure.status_said"
    assert any("Chat: 403" in line for line in await house.timeline(incident))
    contacts = await deliveries.load_contact_outcomes(house.context.wire)
    assert contacts["ann", "console"].error == failed.error


async def test_each_attempt_is_an_entry_of_its_own(house_of: Build) -> None:
    house = await house_of(config(plan(NotifyStep(users=("ann",)))))
    answers = iter(
        [DeliveryError("busy", reason="server_error"), DeliveryError("busy", reason="server_error")]
    )
    house.chat.refuse = lambda address, card: next(answers, None)
    await push(house, "Disk")
    found = await entries(house, 3)
    assert [(one.outcome, one.attempt) for one in found] == [
        ("retry", 1),
        ("retry", 2),
        ("sent", 3),
    ]
    last = await deliveries.load_last(house.context.wire)
    assert last["console"]["sent"] == found[2] and last["console"]["failed"] == found[1]
    assert (await deliveries.load_rates(house.context.wire, house.context.now() - 3600))[
        "console"
    ] == deliveries.DeliveryRate(attempts=3, failed=2)


async def test_a_page_that_an_answer_overtook_is_written_down_as_not_sent(house_of: Build) -> None:
    house = await house_of(config(plan(NotifyStep(users=("ann",)), Wait(seconds=600))))
    house.chat.refuse = lambda address, card: DeliveryError("busy", retry_after=3)
    await push(house, "Disk")
    await entries(house, 1)
    [incident] = await house.incidents()
    await apply_event(house.context, incident.id, Acknowledge(user="bob", via="api"), Operations())
    *_, last = await entries(house, 2)
    assert (last.outcome, last.user, last.ms) == (
        "skipped",
        "ann",
        None,
    ) and "cknowledged" in said(last.error)


async def test_what_a_receiver_is_told_is_written_down_with_what_it_is_about(
    house_of: Build,
) -> None:
    base = config()
    route = msgspec.structs.replace(base.route, receiver="hook")
    house = await house_of(msgspec.structs.replace(base, route=route, receivers={"hook": HOOK}))
    await push(house, "Disk")
    [told] = await entries(house, 1)
    assert (told.kind, told.receiver, told.integration, told.user) == (
        "notification",
        "hook",
        "webhook/0",
        "",
    )
    assert (told.subject, told.outcome, told.incidents) == ("alertname=Disk", "sent", ())
    assert await test_messages.send_test_notification(house.context, "hook") == ("webhook/0",)
    _, tested = await entries(house, 2)
    assert (tested.subject, tested.outcome) == ("alertname=TestAlert", "sent")
    [_, card] = [card for _, card in house.hook.sent]
    assert card.alerts[0].labels["receiver"] == "hook"
    assert await house.context.wire.call("SCARD", keys.GROUPS) == 1, "a test leaves no group behind"


async def test_a_bundle_is_one_entry_that_is_found_by_each_of_its_incidents(
    house_of: Build,
) -> None:
    storm = Storm(more_than=1, within=3.0)
    house = await house_of(config(plan(NotifyStep(users=("ann",)), storm=storm)))
    await push(house, *(f"Disk{number}" for number in range(5)))
    first, bundle = await entries(house, 2)
    assert (first.kind, len(first.incidents)) == ("page", 1)
    assert (bundle.kind, bundle.outcome, len(bundle.incidents)) == ("bundle", "sent", 4)
    every = {number for one in (first, bundle) for _, number in one.incidents}
    assert every == {incident.number for incident in await house.incidents()}


async def test_a_test_page_is_a_notice_in_the_log(house_of: Build) -> None:
    house = await house_of(config())
    house.mail.refuse = lambda address, card: DeliveryError("no such mailbox", permanent=True)
    operations = Operations()
    for message in build_test_pages(
        house.context.config.users["ann"], ("console", "email"), house.context.now()
    ):
        enqueue(operations, message)
    assert await commit(house.context.wire, operations)
    house.context.wake(outbox=True)
    found = {one.channel: one for one in await entries(house, 2)}
    assert (found["console"].kind, found["console"].outcome, str(found["console"].subject)) == (
        "notice",
        "sent",
        "Test page",
    )
    assert (found["email"].outcome, found["email"].error) == ("failed", "no such mailbox")
