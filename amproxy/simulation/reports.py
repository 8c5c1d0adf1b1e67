"""A simulation as timelines for people.

A replay for people, in a terminal of 80 columns.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from msgspec.structs import replace

from amproxy.oncall.roster import Roster
from amproxy.simulation import terminal
from amproxy.simulation.alert import muting_names, muting_text, zone_of_policy
from amproxy.simulation.group import SimulatedGroup
from amproxy.simulation.incident import SimulatedEntry
from amproxy.simulation.replay import ComparedIncident, ComparedPage, Replay
from amproxy.simulation.simulate import Simulation, SimulationRequest


def simulate_text(asked: SimulationRequest, roster: Roster) -> str:
    """`simulate` as timelines for people, one for each group that pages. Raises NotFound for an unknown person."""
    done = Simulation(asked, roster)
    entry = done.entry
    lines = terminal.wrap_hanging("Alert      ", terminal.labels_text(entry.labels))
    lines += terminal.wrap_hanging("Receivers  ", ", ".join(map(str, _receiver_texts(done))))
    for lane in done.lanes:
        lines += ["", *_group_lines(done, lane)]
    if not done.lanes:
        lines += ["", "Nobody is paged: no receiver of this alert has oncall_configs."]
    if done.turns:
        lines += [
            "",
            *terminal.wrap_hanging("", "Round robin is taken to begin with the first of the team; the service goes on where it was."),
        ]
    return "\n".join(lines)


def _receiver_texts(done: Simulation) -> Iterator[str]:
    for group in done.entry.groups:
        by = muting_names(group, done.entry.labels, done.roster, done.start)
        yield f"{group.receiver} ({muting_text(group, by)})" if by else group.receiver


def _group_lines(done: Simulation, lane: SimulatedGroup) -> Iterator[str]:
    config, policy = done.entry.config, done.entry.policy(lane.integration)
    zone = zone_of_policy(config, policy)
    told = [(done.start, f"the alert fires; its group waits {terminal.elapsed_text(lane.group.group_wait)[1:]}")]
    told += terminal.describe_timeline(config, [_without_heading(fact) for fact in lane.facts if fact.entry.kind != "ended"])
    if done.over <= done.end:
        told.append((done.over, "the alert ends; people hear of it when its group is looked at next"))
        told.sort(key=lambda one: one[0])
    yield from terminal.wrap_hanging("", lane.course.incident.title if lane.course else "No incident")
    yield from terminal.wrap_hanging("", f"receiver {lane.group.receiver}, policy {policy.name}, times in {zone}")
    day, before, width = "", "", max(len(terminal.elapsed_text(at - done.start)) for at, _ in told)
    for at, text in told:
        shown = terminal.to_local_time(at, zone)
        if day != (day := shown.strftime("%a %Y-%m-%d")):
            yield day
        clock = f"  {shown:%H:%M:%S} {terminal.elapsed_text(at - done.start):>{width}}  "
        yield from terminal.wrap_hanging(" " * len(clock) if clock == before else clock, text)
        before = clock
    yield from terminal.wrap_hanging("At the end: ", _describe_end(done, lane, zone))


def _without_heading(fact: SimulatedEntry) -> SimulatedEntry:
    """Without what stands above: receiver and policy."""
    if fact.entry.kind != "opened":
        return fact
    return SimulatedEntry(replace(fact.entry, text=fact.entry.text.partition(":")[0] + "."), fact.page)


def _describe_end(done: Simulation, lane: SimulatedGroup, zone: str) -> str:
    after = f"after {terminal.elapsed_text(done.end - done.start)[1:]}"
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
        return f"{stopped}; {coming} at {terminal.zoned_time_text(due, zone)}."
    if incident.state == "acknowledged":
        return f"acknowledged by {terminal.person_name(done.entry.config, incident.acknowledged_by)}; nothing more is due."
    if incident.waiting_for:
        return f"the policy stands still: it waits for {incident.waiting_for}."
    return "nobody has answered, and nobody else is paged." if paged else "nobody is paged at all."


def replay_text(found: Replay) -> str:
    """What would have been different, those who would have reached nobody first. Times are in UTC."""
    if not found.incidents:
        return "The history has no incidents in that time."
    starts = [one.record.start for one in found.incidents]
    lost = [one for one in found.incidents if one.lost]
    changed = [one for one in found.different if not one.lost]
    span = f"{terminal.zoned_time_text(starts[0], 'UTC')} to {terminal.zoned_time_text(max(starts), 'UTC')} UTC"
    lines = terminal.wrap_hanging("Replayed   ", f"{_count_text(len(found.incidents), 'incident')} that began from {span}")
    lines += ["", *_lost_lines(found, lost), *_changed_lines(found, changed)]
    lines += terminal.wrap_hanging("", _unchanged_text(found))
    if found.people:
        lines += ["", *_people_lines(found)]
    if found.turns:
        lines += [
            "",
            *terminal.wrap_hanging("", "Round robin takes the turns that were taken where the same step took them."),
        ]
    return "\n".join(lines)


def _lost_lines(found: Replay, lost: Sequence[ComparedIncident]) -> Iterator[str]:
    if not lost:
        return
    yield from terminal.wrap_hanging("!!! ", f"{_count_text(len(lost), 'incident').upper()} WOULD HAVE REACHED NOBODY !!!")
    for one in lost:
        yield from _incident_lines(found, one)
    yield ""


def _changed_lines(found: Replay, changed: Sequence[ComparedIncident]) -> Iterator[str]:
    if not changed:
        return
    yield f"{_count_text(len(changed), 'incident')} would have paged differently (- only before, + only now)"
    for one in changed:
        yield from _incident_lines(found, one)
    yield ""


def _incident_lines(found: Replay, one: ComparedIncident) -> Iterator[str]:
    seen = one.record.incident
    yield from terminal.wrap_hanging("  ", f"#{seen.number} {seen.title}, {terminal.zoned_time_text(one.record.start, 'UTC')}")
    yield from terminal.wrap_hanging("    ", _describe_destinations(one))
    if one.lost:
        paged = [call for call in (*one.only_before, *one.same) if call.user]
        whom = ", ".join(dict.fromkeys(terminal.person_name(found.config, call.user) for call in paged))
        yield from terminal.wrap_hanging("    - ", f"before: {_count_text(len(paged), 'page')} to {whom}")
        return
    marked = [(call.at, "-", call) for call in one.only_before] + [(call.at, "+", call) for call in one.only_now]
    for (at, mark), calls in groupby(sorted(marked, key=lambda three: three[:2]), key=lambda three: three[:2]):
        clock = terminal.to_local_time(at, "UTC")
        day = "" if clock.date() == terminal.to_local_time(one.record.start, "UTC").date() else f"{clock:%a %d} "
        yield from terminal.wrap_hanging(f"    {mark} {day}{clock:%H:%M:%S} ", _describe_pages(found, [call for _, _, call in calls]))
    if one.same:
        yield f"    = {_count_text(len(one.same), 'page')} as before"
    for doubt in one.uncertain:
        yield from terminal.wrap_hanging("    ? ", f"uncertain: {doubt}")


def _describe_destinations(one: ComparedIncident) -> str:
    before = f"receiver {one.before.receiver}, policy {one.before.policy}" if one.before.receiver else f"policy {one.before.policy}"
    if one.part_of:
        return f"{before}; now part of #{one.part_of}"
    ways = [f"receiver {way.receiver}, policy {way.policy}" if way.receiver else f"policy {way.policy}" for way in one.now]
    if ways == [before]:
        return f"{before}, as before"
    return f"{before}; now {' and '.join(ways) or 'no receiver that pages anybody'}"


def _describe_pages(found: Replay, calls: Sequence[ComparedPage]) -> str:
    """Each person, or receiver, with the channels."""
    channels: dict[str, list[str]] = {}
    for call in calls:
        whom = terminal.person_name(found.config, call.user) if call.user else f"receiver {call.receiver}"
        channels.setdefault(f"{whom} (reminder)" if call.kind == "reminder" else whom, []).append(call.channel)
    return "; ".join(f"{whom} over {', '.join(dict.fromkeys(over))}" for whom, over in channels.items())


def _unchanged_text(found: Replay) -> str:
    nobody = sum(not one.different and not any(call.user for call in one.same) for one in found.incidents)
    unchanged = len(found.incidents) - len(found.different)
    text = f"{_count_text(unchanged, 'incident')} would have paged the same people at the same times (to a minute)"
    return text + (f", {nobody} of them nobody, then as now." if nobody else ".")


def _people_lines(found: Replay) -> list[str]:
    rows = [("PERSON", "PAGES BEFORE", "NOW", "AT NIGHT BEFORE", "NOW", "")]
    for name, load in found.people.items():
        more = load.now - load.before
        rows.append(
            (terminal.person_name(found.config, name), str(load.before), str(load.now), str(load.night_before), str(load.night_now),
             f"{more:+d}" if more else "same number")
        )  # fmt: skip
    return terminal.render_table(rows, wrap=(0,)).split("\n")


def _count_text(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
