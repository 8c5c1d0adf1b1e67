"""Words and lines for a terminal of 80 columns. Every line that leaves goes through `hanging` or `table`: labels are hostile.

A policy's steps in words.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import zip_longest
from zoneinfo import ZoneInfo

from amproxy.clock import utc
from amproxy.config.structs import (
    Condition,
    Config,
    ForwardStep,
    IfNobody,
    NotifyStep,
    Policy,
    Step,
    Wait,
    WaitForAlertsStep,
    WaitUntilStep,
    WebhookStep,
)
from amproxy.labels.matchers import Matcher
from amproxy.model import Page
from amproxy.simulation.incident import SimulatedEntry
from amproxy.times import format_duration

WIDTH = 80
_MIN_CELL_WIDTH = 12  # columns that a cell of a table keeps


def printable_text(text: str) -> str:
    """Text from outside without what could steer a terminal or turn the line around; white space becomes a space."""
    return "".join(char if char.isprintable() else " " if char.isspace() else "" for char in text)


def wrap_hanging(prefix: str, text: str) -> list[str]:
    """`prefix` and then the text, wrapped under itself."""
    prefix = printable_text(prefix)
    indent = " " * len(prefix)
    return textwrap.wrap(printable_text(text), WIDTH, initial_indent=prefix, subsequent_indent=indent, break_on_hyphens=False) or [
        prefix.rstrip()
    ]


def render_table(rows: Sequence[Sequence[str]], wrap: Sequence[int]) -> str:
    """Rows in aligned columns. Where they are too wide, the columns of `wrap` are wrapped first, the widest of them most."""
    cells = [[printable_text(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    room = WIDTH - 2 * (len(widths) - 1)
    while sum(widths) > room and max(widths) > _MIN_CELL_WIDTH:
        soft = [column for column in wrap if widths[column] > _MIN_CELL_WIDTH] or range(len(widths))
        widths[max(soft, key=lambda column: widths[column])] -= 1
    lines = []
    for row in cells:
        wrapped = [textwrap.wrap(cell, width, break_on_hyphens=False) for cell, width in zip(row, widths, strict=True)]
        for parts in zip_longest(*wrapped, fillvalue=""):
            lines.append("  ".join(part.ljust(width) for part, width in zip(parts, widths, strict=True)).rstrip())
    return "\n".join(lines)


def zoned_time_text(at: datetime | float, zone: str) -> str:
    """ "Mon 2026-01-05 09:00" on the clock of a zone."""
    return to_local_time(at, zone).strftime("%a %Y-%m-%d %H:%M")


def to_local_time(at: datetime | float, zone: str) -> datetime:
    """A moment (or Unix seconds) as the clock of a zone shows it."""
    return (at if isinstance(at, datetime) else utc(at)).astimezone(ZoneInfo(zone))


def elapsed_text(seconds: float) -> str:
    """ "+30s", "+5m00s", "+1d02h00m00s"."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    parts = [(days, "d"), (hours, "h"), (minutes, "m"), (rest, "s")]
    while len(parts) > 1 and not parts[0][0]:
        parts.pop(0)
    return "+" + f"{parts[0][0]}{parts[0][1]}" + "".join(f"{count:02}{unit}" for count, unit in parts[1:])


def labels_text(found: Mapping[str, str]) -> str:
    """Labels as matchers would have them: `{alertname="Down", team="a"}`."""
    return "{" + ", ".join(str(Matcher(name, "=", value)) for name, value in sorted(found.items())) + "}"


def person_name(config: Config, name: str) -> str:
    """How a user is called."""
    user = config.users.get(name)
    return user.full_name if user and user.full_name else name


def people_names(config: Config, names: Iterable[str]) -> str:
    return ", ".join(person_name(config, name) for name in names)


def describe_page(config: Config, found: Page, whom: str = "", over: str = "") -> str:
    """ "Alice Ash over telegram (step 1: on call for platform: layer weekly)"; whom, over: of all that belong together."""
    whom, over = whom or describe_recipient(config, found), over or found.channel
    if not found.step:
        return f"{whom} over {over} ({'reminder' if found.kind == 'reminder' else 'by hand'}: {found.reason})"
    again = f", round {found.round}" if found.round > 1 else ""
    return f"{whom} over {over} (step {found.step}{again}: {found.reason})"


def describe_recipient(config: Config, found: Page) -> str:
    return person_name(config, found.user) if found.user else f"receiver {found.receiver}"


def describe_timeline(config: Config, facts: Sequence[SimulatedEntry]) -> list[tuple[float, str]]:
    """What happened, as Unix seconds and a text: what one step does at one moment stands together.

    A step that pages somebody at once is told by its pages alone.
    """
    together: dict[object, list[SimulatedEntry]] = {}
    for number, fact in enumerate(facts):
        together.setdefault((fact.entry.at, fact.entry.step) if fact.entry.step else number, []).append(fact)
    return [told for group in together.values() for told in _describe_entries(config, group)]


def _describe_entries(config: Config, group: Sequence[SimulatedEntry]) -> Iterator[tuple[float, str]]:
    pages = _describe_pages(config, [fact.page for fact in group if fact.page])
    for entry, arrived in group:
        if arrived:
            if text := pages.get(arrived.id):
                yield entry.at, text
        elif entry.kind != "step" or entry.user or not pages:
            yield entry.at, entry.text


def _describe_pages(config: Config, found: Sequence[Page]) -> dict[str, str]:
    """Pages in words, by the id of the first of each line: the channels of one person, people who are paged alike."""
    channels: dict[tuple[str, str], list[Page]] = {}
    for one in found:
        channels.setdefault((describe_recipient(config, one), one.reason), []).append(one)
    alike: dict[tuple[str, str], list[tuple[str, Page]]] = {}
    for (whom, reason), pages in channels.items():
        alike.setdefault((", ".join(one.channel for one in pages), reason), []).append((whom, pages[0]))
    return {
        ones[0][1].id: describe_page(config, ones[0][1], ", ".join(whom for whom, _ in ones), over) for (over, _), ones in alike.items()
    }


def describe_step(config: Config, found: Step) -> str:
    """What a step does, and under which conditions."""
    match found:
        case Wait():
            return f"wait {format_duration(found.seconds)}"
        case WaitUntilStep():
            return f"wait until {found.interval}"
        case WaitForAlertsStep():
            return f"wait for more than {found.more_than} alerts within {format_duration(found.within)}"
        case NotifyStep():
            text = _describe_notify(config, found) + (", as important" if found.urgency == "important" else "")
        case WebhookStep():
            text = f"call the webhooks of receiver {found.receiver}"
        case ForwardStep():
            text = f"hand over to policy {found.policy}"
        case _:
            text = "resolve the incident"
    text += _describe_condition(found)
    if isinstance(found, NotifyStep) and found.if_nobody:
        text += f"; if nobody: {_describe_if_nobody(config, found.if_nobody)}"
    return text


def _describe_condition(found: Condition) -> str:
    text = f", only where {', '.join(found.matchers)}" if found.matchers else ""
    if found.active_time_intervals:
        text += f", only in {' or '.join(found.active_time_intervals)}"
    if found.mute_time_intervals:
        text += f", not in {' or '.join(found.mute_time_intervals)}"
    return text


def describe_policy_end(config: Config, policy: Policy) -> str:
    """What holds for the policy as a whole."""
    parts = [f"if nobody is on call: {_describe_if_nobody(config, policy.if_nobody)}"]
    if policy.repeat:
        again = "then again, once" if policy.repeat == 1 else f"then again, {policy.repeat} times"
        parts.insert(0, again + (f", from step {policy.repeat_from}" if policy.repeat_from > 1 else ""))
    if policy.acknowledge_timeout:
        text = f"an acknowledgement runs out after {format_duration(policy.acknowledge_timeout)}"
        if policy.acknowledge_reminder:
            text += f", with a reminder {format_duration(policy.acknowledge_reminder)} before"
        parts.append(text)
    if policy.after_snooze == "resume":
        parts.append("after a snooze the steps go on where they were")
    if policy.auto_resolve:
        parts.append(f"without news for {format_duration(policy.auto_resolve)} it is resolved")
    if policy.reopen_within:
        parts.append(f"alerts that return within {format_duration(policy.reopen_within)} open the same incident again")
    if policy.flapping:
        flapping = policy.flapping
        parts.append(
            f"after more than {flapping.more_than} returns in {format_duration(flapping.within)} it must fire for "
            f"{format_duration(flapping.hold)} before the steps run"
        )
    if policy.storm:
        parts.append(f"more than {policy.storm.more_than} pages in {format_duration(policy.storm.within)} become one message")
    return "; ".join(parts)


def _describe_notify(config: Config, found: NotifyStep) -> str:
    if found.schedule:
        who = "whose turn is next in" if found.position == "next" else "who is on call for"
        return f"page {who} schedule {found.schedule}"
    one = found.pick == "round_robin"
    if found.team:
        return f"page {'one member in turn' if one else 'everyone'} of team {found.team}"
    if found.users:
        return f"page {'one in turn of ' if one else ''}{people_names(config, found.users)}"
    return f"tell receiver {found.receiver}"


def _describe_if_nobody(config: Config, rule: IfNobody) -> str:
    if rule.kind == "user":
        return f"page {person_name(config, rule.user)}"
    return "wait for the next shift" if rule.kind == "wait_for_shift" else "go on with the next step"
