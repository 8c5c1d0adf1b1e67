"""A simulation and a replay in words, for a terminal of 80 columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from msgspec.structs import replace

from amproxy.grouping.maintenance import window_bounds
from amproxy.oncall.roster import Roster
from amproxy.simulation.alert import group_muting, policy_of, zone_of_policy
from amproxy.simulation.group import SimulatedGroup
from amproxy.simulation.incident import SimulatedEntry
from amproxy.simulation.replay import ComparedIncident, ComparedPage, IncidentDestination, Replay
from amproxy.simulation.simulate import Simulation, SimulationRequest
from amproxy.simulation.terminal import (
    describe_timeline,
    elapsed_text,
    labels_text,
    person_name,
    reason_text,
    render_table,
    to_local_time,
    wrap_hanging,
    zoned_time_text,
)
from amproxy.text import phrase


def simulate_text(request: SimulationRequest, roster: Roster) -> str:
    """Return `simulate` as timelines, one for each group that pages.

    Raises NotFound for an unknown person.
    """
    simulation = Simulation(request, roster)
    lines = list(_request_lines(simulation))
    lines += wrap_hanging("Receivers  ", ", ".join(_receiver_texts(simulation)))
    for group in simulation.groups:
        lines += ["", *_group_lines(simulation, group)]
    if not simulation.groups:
        lines += ["", "Nobody is paged: no receiver of this alert has oncall_configs."]
    if simulation.surroundings.turns:
        begins = "Round robin is taken to begin with the first of the team"
        lines += ["", *wrap_hanging("", f"{begins}; the service goes on where it was.")]
    return "\n".join(lines)


def _request_lines(simulation: Simulation) -> Iterator[str]:
    """The alerts, and what people have muted by hand."""
    for alert, asked in zip(simulation.alerts, simulation.request.alerts, strict=True):
        after = f", after {elapsed_text(asked.start)[1:]}" if asked.start else ""
        yield from wrap_hanging("Alert      ", f"{labels_text(alert.labels)}{after}")
    for silence in simulation.request.silences:
        sets = [", ".join(map(str, matchers)) for matchers in silence.matcher_sets]
        bounds = silence.starts_ns / 10**9, silence.ends_ns / 10**9
        yield from _mute_lines(simulation, "Silence    ", " or ".join(sets), bounds)
    for window in simulation.request.windows:
        start, end = (at.timestamp() for at in window_bounds(window))
        text = ", ".join(map(str, window.matchers))
        yield from _mute_lines(simulation, "Window     ", text, (start, end))


def _mute_lines(
    simulation: Simulation, title: str, matchers: str, bounds: tuple[float, float]
) -> Iterator[str]:
    start, end = (elapsed_text(at - simulation.start)[1:] for at in bounds)
    yield from wrap_hanging(title, f"{{{matchers}}}, from {start} to {end}")


def _receiver_texts(simulation: Simulation) -> list[str]:
    """Each receiver, with what mutes its group when the simulation begins."""
    texts, start = [], simulation.start
    for alert in simulation.alerts:
        for group in alert.groups:
            muting = group_muting(group, [alert.firing(start)], simulation.surroundings, start)
            why = reason_text(simulation.roster.config, muting.why) if muting.is_muted else ""
            text = f" ({why})" if why else ""
            texts.append(f"{group.receiver}{text}")
    return list(dict.fromkeys(texts))


def _group_lines(simulation: Simulation, group: SimulatedGroup) -> Iterator[str]:
    config = simulation.roster.config
    policy = policy_of(config, group.integration)
    zone = zone_of_policy(config, policy)
    simulated = group.last_incident
    yield from wrap_hanging("", simulated.incident.title if simulated else "No incident")
    yield from wrap_hanging(
        "", f"receiver {group.group.receiver}, policy {policy.name}, times in {zone}"
    )
    yield from _timeline_lines(_timeline(simulation, group, zone), simulation.start, zone)
    yield from wrap_hanging("At the end: ", _describe_end(simulation, group, zone))


def _timeline(simulation: Simulation, group: SimulatedGroup, zone: str) -> list[tuple[float, str]]:
    """Return the timeline of a group from the alert on: Unix seconds and text."""
    length = simulation.end - simulation.start
    timeline: list[tuple[float, str]] = []
    for alert, asked in zip(simulation.alerts, simulation.request.alerts, strict=True):
        if group.group not in alert.groups or asked.start > length:
            continue
        several = len(simulation.alerts) > 1
        name = f"alert {labels_text(alert.labels)}" if several else "the alert"
        wait = elapsed_text(group.group.group_wait)[1:]
        waits = "" if timeline else f"; its group waits {wait}"
        timeline.append((simulation.start + asked.start, f"{name} fires{waits}"))
        if asked.end is not None and asked.end <= length:
            text = f"{name} ends; people hear of it when its group is looked at next"
            timeline.append((simulation.start + asked.end, text))
    entries = [_without_heading(entry) for entry in group.entries if entry.entry.kind != "ended"]
    timeline += describe_timeline(simulation.roster.config, entries, zone)
    return sorted(timeline, key=lambda line: line[0])


def _without_heading(entry: SimulatedEntry) -> SimulatedEntry:
    """Leave out of the opening what stands in the heading: receiver and policy."""
    if entry.entry.kind != "opened" or entry.entry.what is None:
        return entry
    reason = entry.entry.what.values["reason"]
    what = phrase("simulation.opened", reason=reason)
    return SimulatedEntry(replace(entry.entry, what=what), entry.page)


def _timeline_lines(
    timeline: Sequence[tuple[float, str]], start: float, zone: str
) -> Iterator[str]:
    """A line a day, and the time of each text where it differs from the one before."""
    day, before = "", ""
    width = max(len(elapsed_text(at - start)) for at, _ in timeline)
    for at, text in timeline:
        local = to_local_time(at, zone)
        if day != (day := local.strftime("%a %Y-%m-%d")):
            yield day
        clock = f"  {local:%H:%M:%S} {elapsed_text(at - start):>{width}}  "
        yield from wrap_hanging(" " * len(clock) if clock == before else clock, text)
        before = clock


def _describe_end(simulation: Simulation, group: SimulatedGroup, zone: str) -> str:
    after = f"after {elapsed_text(simulation.end - simulation.start)[1:]}"
    simulated = group.last_incident
    if simulated is None:
        if not group.alerts:
            return "the alert was over before its group was told, and nobody is paged."
        waits = "is still muted" if group.notes_before else "still waits"
        return f"the group {waits} {after}, and nobody is paged."
    incident, due = simulated.incident, simulated.due
    paged = any(one.pages for one in group.incidents)
    if incident.state == "resolved":
        text = "the incident is resolved" + ("." if paged else ", and nobody was paged.")
        still = " The alert still fires: a new incident may be opened." if group.alerts else ""
        return text + still
    acknowledged = incident.state == "acknowledged"
    if due is not None:
        further = " (--for looks further)" if simulation.request.duration is None else ""
        coming = "the acknowledgement runs out" if acknowledged else "the policy goes on"
        at = zoned_time_text(due, zone)
        return f"the look ahead stops {after}{further}; {coming} at {at}."
    if acknowledged:
        name = person_name(simulation.roster.config, incident.acknowledged_by)
        return f"acknowledged by {name}; nothing more is due."
    if incident.waiting_for:
        waiting_for = reason_text(simulation.roster.config, incident.waiting_for)
        return f"the policy stands still: it waits for {waiting_for}."
    return "nobody has answered, and nobody else is paged." if paged else "nobody is paged at all."


def replay_text(replay: Replay) -> str:
    """Return the differences, first the incidents that would have reached nobody.

    Times are in UTC.
    """
    if not replay.incidents:
        return "The history has no incidents in that time."
    starts = [one.record.start for one in replay.incidents]
    period = f"{zoned_time_text(starts[0], 'UTC')} to {zoned_time_text(max(starts), 'UTC')} UTC"
    replayed = _count_text(len(replay.incidents), "incident")
    lines = wrap_hanging("Replayed   ", f"{replayed} that began from {period}")
    lines += ["", *_unreached_lines(replay), *_changed_lines(replay)]
    lines += wrap_hanging("", _unchanged_text(replay))
    if replay.people:
        lines += ["", *_people_lines(replay)]
    if replay.turns:
        text = "Round robin takes the turns that were taken where the same step took them."
        lines += ["", *wrap_hanging("", text)]
    return "\n".join(lines)


def _unreached_lines(replay: Replay) -> Iterator[str]:
    unreached = [one for one in replay.incidents if one.reaches_nobody]
    if not unreached:
        return
    count = _count_text(len(unreached), "incident").upper()
    yield from wrap_hanging("!!! ", f"{count} WOULD HAVE REACHED NOBODY !!!")
    for compared in unreached:
        yield from _incident_lines(replay, compared)
    yield ""


def _changed_lines(replay: Replay) -> Iterator[str]:
    changed = [one for one in replay.different if not one.reaches_nobody]
    if not changed:
        return
    count = _count_text(len(changed), "incident")
    yield f"{count} would have paged differently (- only before, + only now)"
    for compared in changed:
        yield from _incident_lines(replay, compared)
    yield ""


def _incident_lines(replay: Replay, compared: ComparedIncident) -> Iterator[str]:
    incident, start = compared.record.incident, compared.record.start
    heading = f"#{incident.number} {incident.title}, {zoned_time_text(start, 'UTC')}"
    yield from wrap_hanging("  ", heading)
    yield from wrap_hanging("    ", _describe_destinations(compared))
    if compared.reaches_nobody:
        paged = [page for page in (*compared.only_before, *compared.same) if page.user]
        names = dict.fromkeys(person_name(replay.config, page.user) for page in paged)
        text = f"before: {_count_text(len(paged), 'page')} to {', '.join(names)}"
        yield from wrap_hanging("    - ", text)
        return
    yield from _page_lines(replay, compared)
    if compared.same:
        yield f"    = {_count_text(len(compared.same), 'page')} as before"
    for doubt in compared.uncertain:
        yield from wrap_hanging("    ? ", f"uncertain: {doubt}")


def _page_lines(replay: Replay, compared: ComparedIncident) -> Iterator[str]:
    """The pages that differ, a line for those of one time; with the day where it is another."""
    started_on = to_local_time(compared.record.start, "UTC").date()
    marked = [(page.at, "-", page) for page in compared.only_before]
    marked += [(page.at, "+", page) for page in compared.only_now]
    marked.sort(key=lambda line: line[:2])
    for (at, mark), lines in groupby(marked, key=lambda line: line[:2]):
        clock = to_local_time(at, "UTC")
        day = "" if clock.date() == started_on else f"{clock:%a %d} "
        text = _describe_pages(replay, [page for _, _, page in lines])
        yield from wrap_hanging(f"    {mark} {day}{clock:%H:%M:%S} ", text)


def _describe_destinations(compared: ComparedIncident) -> str:
    before = _describe_destination(compared.before)
    if compared.part_of:
        return f"{before}; now part of #{compared.part_of}"
    now = [_describe_destination(destination) for destination in compared.now]
    if now == [before]:
        return f"{before}, as before"
    return f"{before}; now {' and '.join(now) or 'no receiver that pages anybody'}"


def _describe_destination(destination: IncidentDestination) -> str:
    policy = f"policy {destination.policy}"
    return f"receiver {destination.receiver}, {policy}" if destination.receiver else policy


def _describe_pages(replay: Replay, pages: Sequence[ComparedPage]) -> str:
    """Return each person, or receiver, with the channels."""
    channels: dict[str, list[str]] = {}
    for page in pages:
        name = person_name(replay.config, page.user) if page.user else f"receiver {page.receiver}"
        suffix = " (reminder)" if page.kind == "reminder" else ""
        channels.setdefault(name + suffix, []).append(page.channel)
    return "; ".join(
        f"{name} over {', '.join(dict.fromkeys(over))}" for name, over in channels.items()
    )


def _unchanged_text(replay: Replay) -> str:
    unchanged = [one for one in replay.incidents if not one.different]
    nobody = sum(not any(page.user for page in one.same) for one in unchanged)
    count = _count_text(len(unchanged), "incident")
    text = f"{count} would have paged the same people at the same times (to a minute)"
    return text + (f", {nobody} of them nobody, then as now." if nobody else ".")


def _people_lines(replay: Replay) -> list[str]:
    rows = [("PERSON", "PAGES BEFORE", "NOW", "AT NIGHT BEFORE", "NOW", "")]
    for name, counts in replay.people.items():
        more = counts.now - counts.before
        numbers = (counts.before, counts.now, counts.night_before, counts.night_now)
        change = f"{more:+d}" if more else "same number"
        before, now, night_before, night_now = map(str, numbers)
        person = person_name(replay.config, name)
        rows.append((person, before, now, night_before, night_now, change))
    return render_table(rows, wrap=(0,)).split("\n")


def _count_text(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
