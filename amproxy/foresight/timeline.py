"""A simulation as timelines for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from amproxy.config.structs import Config
from amproxy.correlate.flush import muted
from amproxy.decide.roster import Roster
from amproxy.foresight import render
from amproxy.foresight.entry import zone_of
from amproxy.foresight.mute import because
from amproxy.foresight.simulate import Simulation, Way


def simulate_text(
    config: Config, labels: Mapping[str, str], at: datetime, duration: float | None, answers: Sequence[tuple[str, float]], roster: Roster
) -> str:
    """`simulate` as timelines for people, one for each incident. Raises NotFound for an unknown person."""
    return story(Simulation(labels, at, duration, answers, roster), open_ended=duration is None)


def story(done: Simulation, *, open_ended: bool) -> str:
    """What happened, incident by incident; open_ended: nobody said how long to look."""
    entry = done.entry
    lines = render.hanging("Alert      ", render.labels(entry.labels))
    lines += render.hanging("Receivers  ", ", ".join(map(str, _receivers(done))))
    for way in done.ways:
        lines += ["", *_way(done, way, open_ended)]
    if not done.ways:
        lines += ["", "Nobody is paged: no receiver of this alert has oncall_configs."]
    if done.turns:
        lines += ["", *render.hanging("", "Round robin is taken to begin with the first of the team; the service goes on where it was.")]
    return "\n".join(lines)


def _receivers(done: Simulation) -> Iterator[str]:
    for group in done.entry.groups:
        by = muted(group, done.roster, done.start)
        yield f"{group.receiver} ({because(group, by)})" if by else group.receiver


def _way(done: Simulation, way: Way, open_ended: bool) -> Iterator[str]:
    config, policy = done.entry.config, done.entry.policy(way.integration)
    zone = zone_of(config, policy)
    told = [(done.start, f"the alert fires; its group waits {render.elapsed(way.group.group_wait)[1:]}")]
    told += render.story(config, [*way.before, *(way.course.facts if way.course else ())])
    yield from render.hanging("", way.course.incident.title if way.course else "No incident")
    yield from render.hanging("", f"receiver {way.group.receiver}, policy {policy.name}, times in {zone}")
    day, width = "", max(len(render.elapsed(at - done.start)) for at, _ in told)
    for at, text in told:
        shown = render.local(at, zone)
        if day != (day := shown.strftime("%a %Y-%m-%d")):
            yield day
        yield from render.hanging(f"  {shown:%H:%M:%S} {render.elapsed(at - done.start):>{width}}  ", text)
    yield from render.hanging("At the end: ", _end(done, way, zone, open_ended))


def _end(done: Simulation, way: Way, zone: str, open_ended: bool) -> str:
    after = f"after {render.elapsed(done.end - done.start)[1:]}"
    if way.course is None:
        return f"the group {'is still muted' if way.before else 'still waits'} {after}, and nobody is paged."
    incident, due = way.course.incident, way.course.due
    acknowledged = incident.state == "acknowledged"
    if due is not None:
        stopped = f"the look ahead stops {after}" + (" (--for looks further)" if open_ended else "")
        return f"{stopped}; {'the acknowledgement runs out' if acknowledged else 'the policy goes on'} at {render.when(due, zone)}."
    if acknowledged:
        return f"acknowledged by {render.person(done.entry.config, incident.acknowledged_by)}; nothing more is due."
    return "nobody has answered, and nobody else is paged." if way.course.pages else "nobody is paged at all."
