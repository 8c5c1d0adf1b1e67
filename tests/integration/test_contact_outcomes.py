"""What becomes of deliveries is remembered for each contact."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from amproxy.config.channels import address_digest
from amproxy.config.structs import Config, NotifyStep
from amproxy.errors import DeliveryError
from amproxy.model import Outcome
from amproxy.respond.test_messages import build_test_pages
from amproxy.store import deliveries
from amproxy.store.commit import Operations, commit
from amproxy.store.deliveries import ContactOutcomes, save_contact_outcome
from amproxy.store.incidents import enqueue
from tests.support.integration.house import House, config, plan
from tests.support.waiting import soon

Build = Callable[[Config], Awaitable[House]]


async def push(house: House, name: str) -> None:
    assert (await house.post("/api/v2/alerts", [{"labels": {"alertname": name}}]))[0] == 200


def outcomes(house: House) -> Awaitable[ContactOutcomes]:
    return deliveries.load_contact_outcomes(house.context.wire)


async def test_a_contact_is_known_to_fail_and_to_work_again(house_of: Build) -> None:
    house = await house_of(config(plan(NotifyStep(users=("ann",)))))
    house.chat.refuse = lambda address, card: DeliveryError(
        f"{address} has blocked the bot", permanent=True
    )
    await push(house, "Disk1")
    await soon(lambda: len(house.mail.sent) == 1)

    async def known() -> ContactOutcomes:
        found = await outcomes(house)
        return found if len(found) == 2 else {}

    found = await soon(known)
    assert (found["ann", "console"].ok, found["ann", "console"].error) == (
        False,
        "… has blocked the bot",
    )
    assert found["ann", "email"].ok
    house.chat.refuse = lambda address, card: None
    await push(house, "Disk2")

    async def works() -> bool:
        return (await outcomes(house))["ann", "console"].ok

    await soon(works)


async def test_a_test_page_counts_like_a_page(house_of: Build) -> None:
    house = await house_of(config())
    operations = Operations()
    for message in build_test_pages(
        house.context.config.users["ann"], ("console", "email"), house.context.now()
    ):
        enqueue(operations, message)
    house.mail.refuse = lambda address, card: DeliveryError("no such mailbox", permanent=True)
    assert await commit(house.context.wire, operations)
    house.context.wake(outbox=True)

    async def known() -> ContactOutcomes:
        found = await outcomes(house)
        return found if len(found) == 2 else {}

    found = await soon(known)
    assert found["ann", "console"].ok and not found["ann", "email"].ok
    [(address, card)] = house.chat.sent
    assert (address, card.title) == ("ann", "Test page")


def test_an_outcome_is_written_when_it_says_something_new_or_once_an_hour() -> None:
    def written(before: Outcome | None, ok: bool, at: float, address: str = "1") -> bool:
        operations = Operations()
        save_contact_outcome(
            operations,
            "ann",
            "console",
            before,
            Outcome(ok=ok, at=at, address=address_digest(address)),
        )
        return bool(operations.ops)

    before = Outcome(ok=True, at=1000.0, address=address_digest("1"))
    assert written(None, True, 1000.0)
    assert not written(before, True, 4500.0)
    assert written(before, True, 4700.0)
    assert written(before, False, 1001.0)
    assert written(before, True, 1001.0, address="2")
