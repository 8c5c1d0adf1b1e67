"""Whatever happens to an incident, in whatever order, under whatever policy: what must always hold."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tests.support.properties  # noqa: F401  # the settings of property tests
from amproxy.errors import Conflict
from amproxy.machine.events import Event, Failed, Hold, Sent, Skipped, TimerTick
from amproxy.machine.transition import next_due
from amproxy.model import Change, Incident, Page
from amproxy.text import LANGUAGES, IncidentNumber, Phrase, load_texts, phrase
from amproxy.text.render import PhraseRenderer
from tests.support.machine.anything import acts, deeds, gates, people, policies, waits
from tests.support.machine.incidents import Drive

_pack, _unpack = msgspec.msgpack.Encoder().encode, msgspec.msgpack.Decoder(Incident).decode
WORDS = {language: PhraseRenderer(load_texts(language)) for language in LANGUAGES}
HAPPENINGS = (
    "wait",
    "wait",
    "wait",
    "late",
    "act",
    "act",
    "act",
    "alerts",
    "delivery",
    "delivery",
    "hold",
    "hold",
)
MOST_TICKS = 300  # of one stretch of time


class Watched(Drive):
    """A drive that looks at every transition."""

    def do(self, event: Event) -> Change:
        before, stored = self.incident, _pack(self.incident)
        try:
            change = super().do(event)
        finally:
            assert _pack(before) == stored, "a transition must not change what it is given"
        self.check(before, change)
        return change

    def check(self, before: Incident, change: Change) -> None:
        after, now = change.incident, self.now
        assert after.version == before.version + 1
        assert _unpack(_pack(after)) == after
        assert all(entry.at == now for entry in change.timeline)
        for entry in change.timeline:
            assert entry.what and not entry.text, "a sentence is stored"
            assert all(WORDS[language].text(entry.what) for language in LANGUAGES)
        stored = [
            after.held_by,
            after.waiting_for,
            after.news,
            *(one.reason for one in after.pages),
        ]
        assert all(one == "" or isinstance(one, Phrase) for one in stored), "a sentence is stored"
        assert change.timer == next_due(after)
        assert change.timer is None or change.timer > now, "what is due now is done now"
        known = {page.id: page for page in after.pages}
        self.check_pages(
            before,
            after,
            [known[message.page] for message in change.outbox if message.kind == "page"],
        )
        if after.state == "resolved":
            assert change.timer is None and not after.chains
        if after.state == "triggered":
            ended = (
                after.step_due is None
                and after.waiting == ""
                and after.position >= len(after.plan.steps)
            )
            assert change.timer is not None or after.waiting == "alerts" or ended, "it is stuck"
            if change.timer is None and after.epoch > before.epoch and ended:
                assert "ended" in [entry.kind for entry in change.timeline], (
                    "it triggered again and did nothing"
                )

    def check_pages(self, before: Incident, after: Incident, pages: list[Page]) -> None:
        if (
            before.state == after.state != "triggered"
            and before.epoch == after.epoch
            and before.version
        ):
            allowed = [
                page
                for page in pages
                if after.state == "acknowledged" and (page.insists or page.kind == "reminder")
            ]
            assert pages == allowed, f"paged while {after.state}"
        if before.held_until is not None and after.held_until is not None:
            assert all(page.insists for page in pages), "paged while held back"
        people = [(page.user, page.channel) for page in pages if page.user and page.kind == "page"]
        steps = [
            (page.user, page.integration, page.channel, page.policy, page.step) for page in pages
        ]
        assert len(set(steps)) == len(steps), "a step ran twice at one moment"
        assert people.count(("bob", "telegram")) <= 1, "one page of one moment is enough"

    def wait(self, seconds: float) -> None:
        """Every timer comes in time."""
        began, end, ticks = self.now, self.now + seconds, 0
        while (due := next_due(self.incident)) is not None and due <= end:
            ticks += 1
            self.now = max(self.now, due)
            self.do(TimerTick())
            if (
                ticks == MOST_TICKS
            ):  # policies that hand over to each other in a circle go on for ever, once a minute
                assert self.now - began > ticks * 5, "a busy loop"
                break
        self.now = max(self.now, end)


@st.composite
def drives(draw: st.DrawFn) -> Watched:
    # few resolve or stand still, so that much can happen to them
    steps = st.one_of(
        people,
        people,
        people,
        deeds,
        waits,
        waits,
        waits,
        draw(st.sampled_from((waits, waits, waits, gates))),
    )
    known = draw(policies(steps))
    fields = {
        "common_labels": {"a": "b"},
        "urgency": draw(st.sampled_from((None, "important"))),
        "firing": draw(st.integers(1, 3)),
    }
    return Watched(config={"policies": known}, incident={**fields, "plan": known["main"]})


def happen(drive: Watched, data: st.DataObject) -> None:
    """One thing that may happen."""
    due = [page for page in drive.incident.pages if page.state == "due"]
    what = data.draw(st.sampled_from(HAPPENINGS))
    if what == "wait":
        drive.wait(data.draw(st.sampled_from((1.0, 60.0, 240.0, 900.0, 6000.0))))
    elif what == "late":  # the timers were away
        drive.now += data.draw(st.sampled_from((60.0, 4000.0)))
        drive.do(TimerTick(pushed_at=data.draw(st.none() | st.just(drive.now - 10))))
    elif what == "act":
        drive.do(data.draw(acts(drive.now, drive.incident.epoch)))
    elif what == "alerts":
        change_alerts(drive, data.draw(st.integers(0, 3)), data.draw(st.integers(0, 3)))
    elif what == "hold":
        until = drive.now + data.draw(st.sampled_from((-5.0, 300.0, 9000.0)))
        drive.do(
            Hold(
                reason=data.draw(
                    st.sampled_from(
                        (
                            phrase("mute.in_windows", windows=("a",)),
                            phrase("mute.in_windows", windows=("b",)),
                        )
                    )
                ),
                until=until,
            )
        )
    elif due:
        drive.do(
            delivery(
                drive,
                data.draw(st.sampled_from(due)),
                data.draw(st.sampled_from(("sent", "failed", "skipped"))),
            )
        )


def change_alerts(drive: Watched, firing: int, fresh: int) -> None:
    if drive.incident.state == "resolved" and firing and not drive.incident.merged_into:
        drive.come_back(firing)
    else:
        drive.alerts(firing, min(firing, fresh))


def delivery(drive: Watched, page: Page, outcome: str) -> Event:
    events: dict[str, Event] = {
        "sent": Sent(page=page.id, ref={"m": page.id}, look=drive.incident.look, attempt=1),
        "failed": Failed(page=page.id, error="blocked", attempt=1),
        "skipped": Skipped(
            page=page.id, reason=phrase("outcome.is_merged", incident=IncidentNumber(1))
        ),
    }
    return events[outcome]


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(drive=drives(), data=st.data())
def test_whatever_happens_an_incident_is_never_stuck_never_busy_and_pages_nobody_who_must_not_be(
    drive: Watched, data: Any
) -> None:
    for _ in range(data.draw(st.integers(1, 25))):
        try:
            happen(drive, data)
        except Conflict as error:
            assert str(error)
    drive.wait(30000.0)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(drive=drives())
def test_a_policy_that_nobody_disturbs_comes_to_an_end_or_waits_for_something(
    drive: Watched,
) -> None:
    drive.wait(10 * 86400.0)
