"""One person more in a rotation, and whoever has the turn keeps it, with the handoffs where they were."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from amproxy.edit.change import ConfigEntryChange, propose_change
from amproxy.oncall.roster import Roster

FILE = """\
route: {receiver: r}
receivers: [{name: r, oncall_configs: [{escalation_policy: p}]}]
users: [{name: ann, contacts: {console: x}}, {name: bob, contacts: {console: x}}, {name: cy, contacts: {console: x}}]
time_intervals: [{name: office, time_intervals: [{weekdays: ['monday:friday']}]}]
escalation_policies: [{name: p, steps: [{notify: {schedule: s}}]}]
schedules:
  - name: s
    timezone: Europe/Berlin
    layers:
      - {name: main, users: [ann, bob], rotation: ROTATION}
"""
OFFICE = ", active_time_intervals: [office]"
START = datetime(2026, 1, 5, 9, tzinfo=UTC)


@pytest.mark.parametrize(
    "rotation",
    [
        "{every: 1d, start: 2026-01-05T09:00}",
        "{every: 12h, start: 2024-10-10T06:00}",
        "{every: 2w, start: 2025-03-03T09:00}",
        "{every: 1mo, start: 2025-01-31T09:00}",
        f"{{every: 1d, start: 2026-01-05T09:00, advance: active_days}}{OFFICE}",
        f"{{every: 1w, start: 2025-12-01T09:00, advance: active_days}}{OFFICE}",
    ],
)
@pytest.mark.parametrize(
    "users", [["ann", "bob", "cy"], ["bob", "ann", "cy"], ["cy", "ann", "bob"]]
)
def test_whoever_has_the_turn_keeps_it(tmp_path: Path, rotation: str, users: list[str]) -> None:
    file = tmp_path / "routes.yaml"
    file.write_text(FILE.replace("ROTATION}", f"{rotation}}}"))
    rest: dict[str, object] = {"active_time_intervals": ["office"]} if OFFICE in rotation else {}
    words = dict(part.split(": ", 1) for part in rotation.partition("}")[0].strip("{").split(", "))
    layer = {"name": "main", "users": users, "rotation": words, **rest}
    for days in range(0, 40, 3):
        now = START + timedelta(days=days, hours=days % 7)
        change = ConfigEntryChange(
            section="schedules", name="s", set={"layers": [layer]}, keep_turns=True
        )
        found = propose_change(file, change, now)
        assert found.loaded and found.before
        before, after = Roster(found.before.config), Roster(found.loaded.config)
        was, will_be = (one.on_call("s", now) for one in (before, after))
        assert was.users == will_be.users, (now, found.diff)
        if was.users and was.next:
            assert was.until == will_be.until


def test_a_start_that_was_chosen_stays_and_so_does_a_layer_without_the_present_person(
    tmp_path: Path,
) -> None:
    file = tmp_path / "routes.yaml"
    file.write_text(FILE.replace("ROTATION", "{every: 1d, start: 2026-01-05T09:00}"))
    for users, start in ((["bob", "ann", "cy"], "2026-01-06T09:00"), (["cy"], "2026-01-05T09:00")):
        layer = {"name": "main", "users": users, "rotation": {"every": "1d", "start": start}}
        change = ConfigEntryChange(
            section="schedules", name="s", set={"layers": [layer]}, keep_turns=True
        )
        found = propose_change(file, change, START)
        assert found.loaded
        rotation = found.loaded.config.schedules["s"].layers[0].rotation
        assert rotation and rotation.start.isoformat() == f"{start}:00"
