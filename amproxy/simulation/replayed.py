"""A replay for people, in a terminal of 80 columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from amproxy.simulation import terminal
from amproxy.simulation.compare import Call, Compared
from amproxy.simulation.replay import Replay


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
