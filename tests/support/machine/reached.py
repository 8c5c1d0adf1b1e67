"""Whom the steps of `position: next` page, compared with the shifts of the schedule, on generated cases.

`python -m tests.support.machine.reached --cases 1000 [--seed N]` runs any number of them.
"""

from __future__ import annotations

import argparse
from collections import Counter
from datetime import datetime, timedelta

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from msgspec.structs import replace

import tests.support.properties  # noqa: F401  # the settings of property tests
from amproxy.clock import utc
from amproxy.config.structs import Layer, NotifyStep, Override, Policy, Step, Wait
from amproxy.machine import transition
from amproxy.machine.events import Opened, TimerTick
from amproxy.machine.transition import next_due
from amproxy.model import Incident, Swap
from amproxy.oncall.roster import Roster
from tests.support.config.configs import REACHES
from tests.support.oncall.rosters import PEOPLE, hours, layer, override, roster, taken
from tests.support.oncall.rosters import utc as utc_time

FIRST = utc_time("2026-01-05T00:00")
LONG = timedelta(days=200)  # everybody of a generated rotation has had a turn by then
STEPS = 6

minutes = st.integers(0, 14 * 24 * 60)
people = st.sampled_from(PEOPLE)
turn = st.one_of(people, st.just("alice+bob"), st.just("carol+dave"))


@st.composite
def layers(draw: st.DrawFn) -> Layer:
    hour = draw(st.integers(0, 23))
    return layer(
        "turns",
        *draw(st.lists(turn, min_size=1, max_size=5)),
        every=draw(st.sampled_from(["8h", "12h", "1d", "2d", "1w", "3w"])),
        start=f"2025-12-29T{hour:02}:00",
    )


@st.composite
def upper_layers(draw: st.DrawFn) -> list[Layer]:
    if draw(st.booleans()):
        return []
    return [replace(draw(layers()), name="office", active_time_intervals=("office",))]


@st.composite
def overrides(draw: st.DrawFn) -> Override:
    start = FIRST + timedelta(minutes=draw(minutes))
    end = start + timedelta(minutes=draw(st.integers(1, 5 * 24 * 60)))
    return override(draw(turn), naive(start), naive(end))


@st.composite
def swapped(draw: st.DrawFn) -> Swap:
    start = FIRST + timedelta(minutes=draw(minutes))
    who, by = draw(st.lists(people, min_size=2, max_size=2, unique=True))
    return taken(who, by, start, start + timedelta(days=draw(st.integers(1, 20))))


@st.composite
def rosters(draw: st.DrawFn) -> Roster:
    away = FIRST + timedelta(minutes=draw(minutes))
    absences = {
        draw(people): [(naive(away), naive(away + timedelta(days=draw(st.integers(1, 9)))))]
    }
    made = roster(
        draw(layers()),
        *draw(upper_layers()),
        zone="UTC",
        overrides=draw(st.lists(overrides(), max_size=2)),
        by_hand=draw(st.lists(overrides(), max_size=2)),
        absences=absences if draw(st.booleans()) else {},
        swaps=draw(st.lists(swapped(), max_size=1)),
        intervals=hours("office", "09:00", "17:00", "UTC"),
    )
    users = {
        name: replace(user, contacts={"telegram": "1"}) for name, user in made.config.users.items()
    }
    config = replace(made.config, users=users, global_=REACHES)
    return Roster(config, made.overrides, swaps=made.swaps)


def naive(at: datetime) -> str:
    return at.replace(tzinfo=None).isoformat()


def check_case(who: Roster, start: int, waits: list[int]) -> Counter[str]:
    """Run one incident through its steps and check each page; count what they came to."""
    steps: list[Step] = [NotifyStep(schedule="main")]
    for wait in waits:
        steps += [Wait(seconds=wait * 60.0), NotifyStep(schedule="main", position="next")]
    plan = Policy(name="main", steps=tuple(steps))
    incident = Incident(
        id="i", number=1, title="x", policy="main", plan=plan, group="g", firing=1, started_at=0.0
    )
    now = (FIRST + timedelta(minutes=start)).timestamp()
    incident = transition(incident, Opened(reason="first notification"), now, who).incident
    while (due := next_due(incident)) is not None:
        incident = transition(incident, TimerTick(), due, who).incident
    paged: dict[str, float] = {}
    tally: Counter[str] = Counter()
    for number in range(1, len(steps) + 1, 2):
        pages = [page for page in incident.pages if page.step == number]
        if pages and number > 1:
            tally[judge(who, pages[0].due, {page.user for page in pages}, paged)] += 1
        paged |= {page.user: page.due for page in pages}
    return tally


def judge(who: Roster, at: float, told: set[str], paged: dict[str, float]) -> str:
    """Judge one step of `position: next` by the shifts; return which rule it followed."""
    shifts = who.shifts("main", utc(at), utc(at) + LONG)
    on_call = set(shifts[0].users)
    if on_call - paged.keys():
        assert told == on_call - paged.keys()
        return "on call"
    for shift in shifts[1:]:
        present = {user for user in shift.users if not who.absent(user, utc(at))}
        if present - paged.keys():
            assert told == present - paged.keys(), (shift, paged)
            return "comes"
    assert told <= paged.keys()
    later = {user for shift in shifts for user in shift.users if not who.absent(user, utc(at))}
    assert not told & on_call or not later - on_call
    return "again"


def run(cases: int, number: int | None = None) -> Counter[str]:
    """Check so many generated cases; return how often each rule was followed."""
    tally: Counter[str] = Counter()

    @settings(
        max_examples=cases,
        database=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )
    @given(
        who=rosters(),
        start=minutes,
        waits=st.lists(st.integers(1, 3 * 24 * 60), min_size=1, max_size=STEPS),
    )
    def check(who: Roster, start: int, waits: list[int]) -> None:
        tally.update(check_case(who, start, waits))

    (seed(number)(check) if number is not None else check)()
    return tally


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=None, help="the same cases at each run")
    options = parser.parse_args()
    print(f"held: {dict(run(options.cases, options.seed))}")


if __name__ == "__main__":
    main()
