"""Lines for a terminal of 80 columns: tables, times, pages and steps in words.

Every line goes out through `wrap_hanging` or `render_table`: labels come from anywhere.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from itertools import zip_longest
from typing import Final
from zoneinfo import ZoneInfo

from amproxy.clock import utc
from amproxy.config.structs import (
    DEFAULT_STORM,
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
from amproxy.text import Words
from amproxy.text.render import PhraseRenderer, english
from amproxy.times import format_duration

WIDTH: Final = 80  # columns
_MIN_CELL_WIDTH: Final = 12  # columns that a cell of a table keeps


def printable_text(text: str) -> str:
    """Remove what could steer a terminal or turn the line around; white space becomes a space."""
    return "".join(char if char.isprintable() else " " if char.isspace() else "" for char in text)


def wrap_hanging(prefix: str, text: str) -> list[str]:
    """Return `prefix` and then the text, wrapped under itself."""
    prefix = printable_text(prefix)
    indent = " " * len(prefix)
    return textwrap.wrap(
        printable_text(text),
        WIDTH,
        initial_indent=prefix,
        subsequent_indent=indent,
        break_on_hyphens=False,
    ) or [prefix.rstrip()]


def render_table(rows: Sequence[Sequence[str]], wrap: Sequence[int]) -> str:
    """Align the columns of rows; where they are too wide, those of `wrap` are wrapped first."""
    cells = [[printable_text(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    room = WIDTH - 2 * (len(widths) - 1)
    while sum(widths) > room and max(widths) > _MIN_CELL_WIDTH:
        # A column at a time from the widest, so that all columns of `wrap` end about alike.
        soft = [column for column in wrap if widths[column] > _MIN_CELL_WIDTH] or range(len(widths))
        widths[max(soft, key=lambda column: widths[column])] -= 1
    lines = []
    for row in cells:
        wrapped = [
            textwrap.wrap(cell, width, break_on_hyphens=False)
            for cell, width in zip(row, widths, strict=True)
        ]
        for texts in zip_longest(*wrapped, fillvalue=""):
            padded = [text.ljust(width) for text, width in zip(texts, widths, strict=True)]
            lines.append("  ".join(padded).rstrip())
    return "\n".join(lines)


def zoned_time_text(at: datetime | float, zone: str) -> str:
    """Return a time as "Mon 2026-01-05 09:00" on the clock of a zone."""
    return to_local_time(at, zone).strftime("%a %Y-%m-%d %H:%M")


def to_local_time(at: datetime | float, zone: str) -> datetime:
    """Return an aware time, or Unix seconds, in a zone."""
    return (at if isinstance(at, datetime) else utc(at)).astimezone(ZoneInfo(zone))


def elapsed_text(seconds: float) -> str:
    """Return seconds as "+30s", "+5m00s", "+1d02h00m00s"."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    units = [(days, "d"), (hours, "h"), (minutes, "m"), (rest, "s")]
    while len(units) > 1 and not units[0][0]:
        units.pop(0)
    (count, unit), *smaller = units
    return f"+{count}{unit}" + "".join(f"{count:02}{unit}" for count, unit in smaller)


def labels_text(labels: Mapping[str, str]) -> str:
    """Return labels as matchers: `{alertname="Down", team="a"}`."""
    matchers = [str(Matcher(name, "=", value)) for name, value in sorted(labels.items())]
    return "{" + ", ".join(matchers) + "}"


def person_name(config: Config, name: str) -> str:
    """Return the full name of a user, else the name."""
    user = config.users.get(name)
    return user.full_name if user and user.full_name else name


def people_names(config: Config, names: Iterable[str]) -> str:
    return ", ".join(person_name(config, name) for name in names)


def describe_page(config: Config, page: Page, whom: str = "", over: str = "") -> str:
    """Return "Alice Ash over telegram (step 1: on call for platform: layer weekly)".

    whom, over: the people and channels of several pages that are described together.
    """
    whom, over = whom or describe_recipient(config, page), over or page.channel
    reason = reason_text(config, page.reason)
    if not page.step:
        kind = "reminder" if page.kind == "reminder" else "by hand"
        return f"{whom} over {over} ({kind}: {reason})"
    again = f", round {page.round}" if page.round > 1 else ""
    return f"{whom} over {over} (step {page.step}{again}: {reason})"


def reason_text(config: Config, reason: Words) -> str:
    """Return a reason in words."""
    return english(partial(person_name, config)).text(reason)


def describe_recipient(config: Config, page: Page) -> str:
    return person_name(config, page.user) if page.user else f"receiver {page.receiver}"


def describe_timeline(
    config: Config, entries: Sequence[SimulatedEntry], zone: str = "UTC"
) -> list[tuple[float, str]]:
    """Return a timeline as Unix seconds and texts, with all that one step does at once together.

    zone: of times in the texts. The pages of a step stand for its own entry.
    """
    together: dict[object, list[SimulatedEntry]] = {}
    for number, one in enumerate(entries):
        key = (one.entry.at, one.entry.step) if one.entry.step else number
        together.setdefault(key, []).append(one)
    words = english(partial(person_name, config), ZoneInfo(zone))
    return [line for group in together.values() for line in _describe_entries(config, group, words)]


def _describe_entries(
    config: Config, group: Sequence[SimulatedEntry], words: PhraseRenderer
) -> Iterator[tuple[float, str]]:
    pages = _describe_pages(config, [one.page for one in group if one.page])
    for entry, page in group:
        if page:
            if text := pages.get(page.id):
                yield entry.at, text
        elif entry.kind != "step" or entry.user or not pages:
            yield entry.at, words.text(entry.words)


def _describe_pages(config: Config, pages: Sequence[Page]) -> dict[str, str]:
    """Return a line for people who are paged alike, by the id of their first page."""
    by_person: dict[tuple[str, Words], list[Page]] = {}
    for page in pages:
        by_person.setdefault((describe_recipient(config, page), page.reason), []).append(page)
    alike: dict[tuple[str, Words], list[tuple[str, Page]]] = {}
    for (whom, reason), own in by_person.items():
        channels = ", ".join(page.channel for page in own)
        alike.setdefault((channels, reason), []).append((whom, own[0]))
    lines = {}
    for (channels, _), people in alike.items():
        first = people[0][1]
        lines[first.id] = describe_page(
            config, first, ", ".join(who for who, _ in people), channels
        )
    return lines


def describe_step(config: Config, step: Step) -> str:
    """Return the work of a step, and its conditions."""
    match step:
        case Wait():
            return f"wait {format_duration(step.seconds)}"
        case WaitUntilStep():
            return f"wait until {step.interval}"
        case WaitForAlertsStep():
            within = format_duration(step.within)
            return f"wait for more than {step.more_than} alerts within {within}"
        case NotifyStep():
            text = _describe_notify(config, step)
            text += ", as important" if step.urgency == "important" else ""
        case WebhookStep():
            text = f"call the webhooks of receiver {step.receiver}"
        case ForwardStep():
            text = f"hand over to policy {step.policy}"
        case _:
            text = "resolve the incident"
    text += _describe_condition(step)
    if isinstance(step, NotifyStep) and step.if_nobody:
        text += f"; if nobody: {_describe_if_nobody(config, step.if_nobody)}"
    return text


def _describe_notify(config: Config, step: NotifyStep) -> str:
    if step.schedule:
        who = "whose turn is next in" if step.position == "next" else "who is on call for"
        return f"page {who} schedule {step.schedule}"
    one = step.pick == "round_robin"
    if step.team:
        return f"page {'one member in turn' if one else 'everyone'} of team {step.team}"
    if step.users:
        return f"page {'one in turn of ' if one else ''}{people_names(config, step.users)}"
    return f"tell receiver {step.receiver}"


def _describe_condition(condition: Condition) -> str:
    text = f", only where {', '.join(condition.matchers)}" if condition.matchers else ""
    if condition.active_time_intervals:
        text += f", only in {' or '.join(condition.active_time_intervals)}"
    if condition.mute_time_intervals:
        text += f", not in {' or '.join(condition.mute_time_intervals)}"
    return text


def _describe_if_nobody(config: Config, rule: IfNobody) -> str:
    if rule.kind == "user":
        return f"page {person_name(config, rule.user)}"
    waits = rule.kind == "wait_for_shift"
    return "wait for the next shift" if waits else "go on with the next step"


def describe_policy_end(config: Config, policy: Policy) -> str:
    """Return the settings of a policy as a whole, beside its steps."""
    texts = []
    if policy.repeat:
        again = "then again, once" if policy.repeat == 1 else f"then again, {policy.repeat} times"
        start = f", from step {policy.repeat_from}" if policy.repeat_from > 1 else ""
        texts.append(again + start)
    texts.append(f"if nobody is on call: {_describe_if_nobody(config, policy.if_nobody)}")
    if policy.acknowledge_timeout:
        text = f"an acknowledgement runs out after {format_duration(policy.acknowledge_timeout)}"
        if policy.acknowledge_reminder:
            text += f", with a reminder {format_duration(policy.acknowledge_reminder)} before"
        texts.append(text)
    if policy.after_snooze == "resume":
        texts.append("after a snooze the steps go on where they were")
    if policy.auto_resolve:
        texts.append(f"without news for {format_duration(policy.auto_resolve)} it is resolved")
    if policy.reopen_within:
        within = format_duration(policy.reopen_within)
        texts.append(f"alerts that return within {within} open the same incident again")
    if policy.reopen_on == "matchers":
        selected = ", ".join(policy.reopen_matchers)
        texts.append(f"a new alert with {selected} pages anew whoever has answered")
    elif policy.reopen_on == "new_alerts":
        texts.append("every new alert pages anew, whoever has answered")
    elif policy.reopen_on == "never":
        texts.append("a graver alert does not page anew once somebody has answered")
    if flapping := policy.flapping:
        within, hold = format_duration(flapping.within), format_duration(flapping.hold)
        returns = f"after more than {flapping.more_than} returns in {within}"
        texts.append(f"{returns} it must fire for {hold} before the steps run")
    storm = policy.storm
    if storm is None:
        texts.append("every page is a message of its own")
    elif storm != DEFAULT_STORM:
        within = format_duration(storm.within)
        texts.append(f"more than {storm.more_than} pages in {within} become one message")
    return "; ".join(texts)
