"""The one clock: a wait takes as long as it should, whatever is done to the system's clock."""

from __future__ import annotations

import pytest

from amproxy.clock import APPROACH, BOOT, CONFIRMED_AFTER, LONGEST_RESUMED, SteadyClock

HOUR = 3600.0
START = 1_750_000_000.0


class Machine:
    """A system clock that can be set, and the seconds since the machine was started."""

    def __init__(self, up: float = 1_000_000.0) -> None:
        self.system, self.up = START, up
        self.clock = SteadyClock(lambda: self.system, lambda: self.up)

    def wait(self, seconds: float) -> None:
        """Pass time as the service does, which looks at the clock at least every second."""
        whole, rest = divmod(seconds, 1.0)
        for step in [1.0] * int(whole) + [rest]:
            self.system += step
            self.up += step
            self.clock.now()

    def set(self, by: float) -> None:
        self.system += by


@pytest.fixture
def machine() -> Machine:
    return Machine()


def test_without_a_jump_it_is_the_systems_clock(machine: Machine) -> None:
    machine.wait(100.25)
    assert machine.clock.now() == pytest.approx(machine.system, abs=1e-3)
    assert machine.clock.jump == 0


@pytest.mark.parametrize("by", [-1.9, -0.3, 0.3, 1.9])
def test_a_small_correction_is_followed_at_once(machine: Machine, by: float) -> None:
    machine.wait(5)
    machine.set(by)
    assert machine.clock.now() == pytest.approx(machine.system, abs=1e-3)
    assert machine.clock.jump == 0


@pytest.mark.parametrize("by", [-HOUR, HOUR, -30.0, 10 * 365 * 24 * HOUR])
def test_what_was_due_in_five_minutes_is_due_in_five_minutes(machine: Machine, by: float) -> None:
    due = machine.clock.now() + 300
    machine.wait(60)
    machine.set(by)
    machine.wait(239)
    assert machine.clock.now() < due
    machine.wait(2)
    assert machine.clock.now() >= due


def test_a_jump_that_is_undone_has_no_effect(machine: Machine) -> None:
    begun = machine.clock.now()
    machine.set(8 * HOUR)
    machine.wait(500)
    assert machine.clock.jump == pytest.approx(8 * HOUR)
    machine.set(-8 * HOUR)
    machine.wait(100)
    assert machine.clock.now() == pytest.approx(begun + 600, abs=1e-3)
    assert machine.clock.jump == 0


@pytest.mark.parametrize("by", [-HOUR, HOUR])
def test_a_jump_that_lasts_is_made_up_for_slowly(machine: Machine, by: float) -> None:
    machine.set(by)
    machine.wait(CONFIRMED_AFTER)
    assert machine.clock.jump == pytest.approx(by, abs=1)
    before = machine.clock.now()
    machine.wait(300)
    assert machine.clock.now() - before == pytest.approx(
        300 + (300 * APPROACH if by > 0 else -300 * APPROACH), abs=0.5
    )
    machine.wait(HOUR / APPROACH)
    assert machine.clock.jump == 0
    assert machine.clock.now() == pytest.approx(machine.system, abs=1e-3)


def test_a_second_jump_must_last_as_well(machine: Machine) -> None:
    machine.set(-HOUR)
    machine.wait(CONFIRMED_AFTER - 1)
    machine.set(2 * HOUR)
    machine.wait(CONFIRMED_AFTER - 1)
    assert machine.clock.now() == pytest.approx(START + 2 * CONFIRMED_AFTER - 2, abs=1e-3)
    assert machine.clock.jump == pytest.approx(HOUR)


def test_time_goes_on_while_the_machine_is_suspended(machine: Machine) -> None:
    machine.system += 5 * HOUR
    machine.up += 5 * HOUR
    assert machine.clock.now() == pytest.approx(START + 5 * HOUR)
    assert machine.clock.jump == 0


def test_a_clock_that_is_set_after_the_boot_is_followed_at_once() -> None:
    machine = Machine(up=20.0)
    machine.wait(10)
    machine.set(200 * 24 * HOUR)
    machine.wait(BOOT - 100)
    assert machine.clock.now() == pytest.approx(machine.system, abs=1e-3)


def test_one_that_is_set_back_after_the_boot_holds_nothing_up() -> None:
    machine = Machine(up=20.0)
    machine.set(-2 * HOUR)
    machine.wait(10)
    assert machine.clock.now() == pytest.approx(START + 10, abs=1e-3)


def test_a_process_that_was_stopped_while_it_looked_sees_no_jump(machine: Machine) -> None:
    counts = [machine.up, machine.up + 60, machine.up + 60]
    systems = [machine.system + 60, machine.system + 60]
    clock = machine.clock
    clock._count = lambda: counts.pop(0)
    clock._system = lambda: systems.pop(0)
    assert clock.now() == pytest.approx(START + 60)


def test_after_a_crash_the_time_of_the_last_run_goes_on(machine: Machine) -> None:
    last = machine.clock.now()
    again = Machine()
    again.set(-HOUR)
    again.clock = SteadyClock(lambda: again.system, lambda: again.up)
    assert again.clock.resume(last)
    assert again.clock.now() == pytest.approx(last, abs=1)
    again.wait(60)
    assert again.clock.jump == pytest.approx(-HOUR)
    assert again.clock.now() == pytest.approx(last + 60, abs=1)


@pytest.mark.parametrize("ahead", [-HOUR, 0.0, 1.0, LONGEST_RESUMED + 60])
def test_a_time_that_is_past_or_nonsense_is_not_resumed(machine: Machine, ahead: float) -> None:
    assert not machine.clock.resume(machine.clock.now() + ahead)
    assert machine.clock.now() == pytest.approx(machine.system, abs=1e-3)
