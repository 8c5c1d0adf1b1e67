"""A simulation as timelines for people."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from amproxy.oncall.roster import Roster
from amproxy.simulation import terminal
from amproxy.simulation.alert import zone_of
from amproxy.simulation.group import Lane
from amproxy.simulation.incident import Fact
from amproxy.simulation.mute import because, muting
from amproxy.simulation.simulate import Asked, Simulation


def simulate_text(asked: Asked, roster: Roster) -> str:
    """`simulate` as timelines for people, one for each group that pages. Raises NotFound for an unknown person."""
    done = Simulation(asked, roster)
    entry = done.entry
    lines = terminal.hanging("Alert      ", terminal.labels(entry.labels))
    lines += terminal.hanging("Receivers  ", ", ".join(map(str, _receivers(done))))
    for lane in done.lanes:
        lines += ["", *_lane(done, lane)]
    if not done.lanes:
        lines += ["", "Nobody is paged: no receiver of this alert has oncall_configs."]
    if done.turns:
        lines += ["", *terminal.hanging("", "Round robin is taken to begin with the first of the team; the service goes on where it was.")]
    return "\n".join(lines)


def _receivers(done: Simulation) -> Iterator[str]:
    for group in done.entry.groups:
        by = muting(group, done.entry.labels, done.roster, done.start)
        yield f"{group.receiver} ({because(group, by)})" if by else group.receiver


def _lane(done: Simulation, lane: Lane) -> Iterator[str]:
    config, policy = done.entry.config, done.entry.policy(lane.integration)
    zone = zone_of(config, policy)
    told = [(done.start, f"the alert fires; its group waits {terminal.elapsed(lane.group.group_wait)[1:]}")]
    told += terminal.story(config, [_short(fact) for fact in lane.facts if fact.entry.kind != "ended"])
    if done.over <= done.end:
        told.append((done.over, "the alert ends; people hear of it when its group is looked at next"))
        told.sort(key=lambda one: one[0])
    yield from terminal.hanging("", lane.course.incident.title if lane.course else "No incident")
    yield from terminal.hanging("", f"receiver {lane.group.receiver}, policy {policy.name}, times in {zone}")
    day, before, width = "", "", max(len(terminal.elapsed(at - done.start)) for at, _ in told)
    for at, text in told:
        shown = terminal.local(at, zone)
        if day != (day := shown.strftime("%a %Y-%m-%d")):
            yield day
        clock = f"  {shown:%H:%M:%S} {terminal.elapsed(at - done.start):>{width}}  "
        yield from terminal.hanging(" " * len(clock) if clock == before else clock, text)
        before = clock
    yield from terminal.hanging("At the end: ", _end(done, lane, zone))


def _short(fact: Fact) -> Fact:
    """Without what stands above: receiver and policy."""
    if fact.entry.kind != "opened":
        return fact
    return Fact(replace(fact.entry, text=fact.entry.text.partition(":")[0] + "."), fact.page)


def _end(done: Simulation, lane: Lane, zone: str) -> str:
    after = f"after {terminal.elapsed(done.end - done.start)[1:]}"
    if lane.course is None:
        if not lane.alerts:
            return "the alert was over before its group was told, and nobody is paged."
        return f"the group {'is still muted' if lane.before else 'still waits'} {after}, and nobody is paged."
    incident, due = lane.course.incident, lane.course.due
    paged = any(course.pages for course in lane.courses)
    if incident.state == "resolved":
        text = "the incident is resolved" + ("." if paged else ", and nobody was paged.")
        return text + (" The alert still fires: a new incident may be opened." if lane.alerts else "")
    if due is not None:
        stopped = f"the look ahead stops {after}" + (" (--for looks further)" if done.asked.duration is None else "")
        coming = "the acknowledgement runs out" if incident.state == "acknowledged" else "the policy goes on"
        return f"{stopped}; {coming} at {terminal.when(due, zone)}."
    if incident.state == "acknowledged":
        return f"acknowledged by {terminal.person(done.entry.config, incident.acknowledged_by)}; nothing more is due."
    if incident.waiting_for:
        return f"the policy stands still: it waits for {incident.waiting_for}."
    return "nobody has answered, and nobody else is paged." if paged else "nobody is paged at all."
