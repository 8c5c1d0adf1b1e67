"""A simulation as timelines for people.

A replay for people, in a terminal of 80 columns.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from msgspec.structs import replace

from amproxy.oncall.roster import Roster
from amproxy.simulation import terminal
from amproxy.simulation.alert import because, muting, zone_of
from amproxy.simulation.group import Lane
from amproxy.simulation.incident import Fact
from amproxy.simulation.replay import Call, Compared, Replay
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


def replay_text(found: Replay) -> str:
    """What would have been different, those who would have reached nobody first. Times are in UTC."""
    if not found.incidents:
        return "The history has no incidents in that time."
    starts = [one.record.start for one in found.incidents]
    lost = [one for one in found.incidents if one.lost]
    changed = [one for one in found.different if not one.lost]
    span = f"{terminal.when(starts[0], 'UTC')} to {terminal.when(max(starts), 'UTC')} UTC"
    lines = terminal.hanging("Replayed   ", f"{_count(len(found.incidents), 'incident')} that began from {span}")
    lines += ["", *_lost(found, lost), *_changed(found, changed)]
    lines += terminal.hanging("", _rest(found))
    if found.people:
        lines += ["", *_people(found)]
    if found.turns:
        lines += [
            "",
            *terminal.hanging("", "Round robin takes the turns that were taken where the same step took them."),
        ]
    return "\n".join(lines)


def _lost(found: Replay, lost: Sequence[Compared]) -> Iterator[str]:
    if not lost:
        return
    yield from terminal.hanging("!!! ", f"{_count(len(lost), 'incident').upper()} WOULD HAVE REACHED NOBODY !!!")
    for one in lost:
        yield from _incident(found, one)
    yield ""


def _changed(found: Replay, changed: Sequence[Compared]) -> Iterator[str]:
    if not changed:
        return
    yield f"{_count(len(changed), 'incident')} would have paged differently (- only before, + only now)"
    for one in changed:
        yield from _incident(found, one)
    yield ""


def _incident(found: Replay, one: Compared) -> Iterator[str]:
    seen = one.record.incident
    yield from terminal.hanging("  ", f"#{seen.number} {seen.title}, {terminal.when(one.record.start, 'UTC')}")
    yield from terminal.hanging("    ", _ways(one))
    if one.lost:
        paged = [call for call in (*one.only_before, *one.same) if call.user]
        whom = ", ".join(dict.fromkeys(terminal.person(found.config, call.user) for call in paged))
        yield from terminal.hanging("    - ", f"before: {_count(len(paged), 'page')} to {whom}")
        return
    marked = [(call.at, "-", call) for call in one.only_before] + [(call.at, "+", call) for call in one.only_now]
    for (at, mark), calls in groupby(sorted(marked, key=lambda three: three[:2]), key=lambda three: three[:2]):
        clock = terminal.local(at, "UTC")
        day = "" if clock.date() == terminal.local(one.record.start, "UTC").date() else f"{clock:%a %d} "
        yield from terminal.hanging(f"    {mark} {day}{clock:%H:%M:%S} ", _calls(found, [call for _, _, call in calls]))
    if one.same:
        yield f"    = {_count(len(one.same), 'page')} as before"
    for doubt in one.uncertain:
        yield from terminal.hanging("    ? ", f"uncertain: {doubt}")


def _ways(one: Compared) -> str:
    before = f"receiver {one.before.receiver}, policy {one.before.policy}" if one.before.receiver else f"policy {one.before.policy}"
    if one.part_of:
        return f"{before}; now part of #{one.part_of}"
    ways = [f"receiver {way.receiver}, policy {way.policy}" if way.receiver else f"policy {way.policy}" for way in one.now]
    if ways == [before]:
        return f"{before}, as before"
    return f"{before}; now {' and '.join(ways) or 'no receiver that pages anybody'}"


def _calls(found: Replay, calls: Sequence[Call]) -> str:
    """Each person, or receiver, with the channels."""
    channels: dict[str, list[str]] = {}
    for call in calls:
        whom = terminal.person(found.config, call.user) if call.user else f"receiver {call.receiver}"
        channels.setdefault(f"{whom} (reminder)" if call.kind == "reminder" else whom, []).append(call.channel)
    return "; ".join(f"{whom} over {', '.join(dict.fromkeys(over))}" for whom, over in channels.items())


def _rest(found: Replay) -> str:
    nobody = sum(not one.different and not any(call.user for call in one.same) for one in found.incidents)
    unchanged = len(found.incidents) - len(found.different)
    text = f"{_count(unchanged, 'incident')} would have paged the same people at the same times (to a minute)"
    return text + (f", {nobody} of them nobody, then as now." if nobody else ".")


def _people(found: Replay) -> list[str]:
    rows = [("PERSON", "PAGES BEFORE", "NOW", "AT NIGHT BEFORE", "NOW", "")]
    for name, load in found.people.items():
        more = load.now - load.before
        rows.append(
            (terminal.person(found.config, name), str(load.before), str(load.now), str(load.night_before), str(load.night_now),
             f"{more:+d}" if more else "same number")
        )  # fmt: skip
    return terminal.table(rows, wrap=(0,)).split("\n")


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
