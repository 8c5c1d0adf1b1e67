"""Pages on the terminal."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tests.support.properties  # noqa: F401  # the settings of property tests
from amproxy.config.structs import Global
from amproxy.errors import DeliveryError
from amproxy.model import Alert
from amproxy.notify.channels.console import ConsoleChannel
from amproxy.notify.message import Button, Card, Link


class Terminal:
    def __init__(self, colours: bool = False) -> None:
        self.text = ""
        self.channel = ConsoleChannel(self.write, colours=colours)

    def write(self, text: str) -> None:
        self.text += text


def card(**changes: object) -> Card:
    fields = {
        "kind": "incident",
        "number": 42,
        "state": "triggered",
        "title": "HighCPU on eu1",
        "state_text": "Triggered at 14:00 UTC",
        "why": "You are on call for platform",
        "text": "CPU above 90%\nsince 13:55",
        "labels": {"severity": "critical"},
        "alerts": [
            Alert(
                fingerprint="f", labels={"severity": "critical", "instance": "web-1"}, starts_ns=1
            )
        ],
        "firing": 1,
        "buttons": [
            Button(
                action="acknowledge",
                text="Acknowledge",
                value="acknowledge:i1:1",
                url="http://127.0.0.1/a",
            )
        ],
        "links": [Link(text="Runbook", url="https://runbooks.example.org/cpu")],
        "url": "http://127.0.0.1/incidents/i1",
        "at": 1_800_000_000.0,
    }
    return Card(**(fields | changes))  # type: ignore[arg-type]


async def test_a_page_is_a_framed_block_that_says_all_and_rings() -> None:
    terminal = Terminal()
    await terminal.channel.send(terminal.channel.person(Global(), "alice"), card())
    first, *body, last = terminal.text.splitlines()
    assert first.startswith("\a┌─ #42 triggered ─")
    assert last.startswith("└──")
    assert all(line.startswith("│ ") for line in body)
    for text in (
        "HighCPU on eu1",
        "Triggered at 14:00 UTC",
        "You are on call for platform",
        "to alice",
        "CPU above 90%",
        "since 13:55",
        "severity=critical",
        "instance=web-1",
        "Acknowledge: http://127.0.0.1/a",
        "https://runbooks.example.org/cpu",
        "http://127.0.0.1/incidents/i1",
    ):
        assert any(text in line for line in body), text


async def test_only_what_nobody_has_answered_rings() -> None:
    terminal = Terminal()
    await terminal.channel.send("", card(state="resolved"))
    assert "\a" not in terminal.text


async def test_a_change_is_one_line_and_the_same_again_is_none() -> None:
    terminal = Terminal()
    ref = await terminal.channel.send("", card())
    terminal.text = ""
    ref = await terminal.channel.edit(
        "", ref, card(state="acknowledged", state_text="Acknowledged by Bob at 14:03 UTC")
    )
    assert terminal.text == "#42 acknowledged HighCPU on eu1: Acknowledged by Bob at 14:03 UTC\n"
    await terminal.channel.edit("", ref, card(state="acknowledged"))
    assert terminal.text.count("\n") == 1


async def test_news_is_told_though_the_state_is_the_same() -> None:
    terminal = Terminal()
    ref = await terminal.channel.send("", card())
    await terminal.channel.edit("", ref, card(news="2 more alerts\n!"))
    assert terminal.text.endswith("HighCPU on eu1: 2 more alerts !\n")


async def test_colours_come_only_where_they_are_wanted() -> None:
    plain, coloured = Terminal(), Terminal(colours=True)
    for terminal in (plain, coloured):
        await terminal.channel.send("", card())
    assert "\x1b" not in plain.text
    assert "\x1b[1;31m#42 triggered \x1b[0m" in coloured.text


async def test_by_default_it_writes_to_standard_error_without_colours_where_that_is_no_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    await ConsoleChannel().send("", card())
    out, err = capsys.readouterr()
    assert out == ""
    assert "HighCPU on eu1" in err
    assert "\x1b" not in err


async def test_a_closed_terminal_is_an_error_of_the_delivery() -> None:
    def closed(text: str) -> None:
        raise ValueError("I/O operation on closed file")

    with pytest.raises(DeliveryError, match="closed") as caught:
        await ConsoleChannel(closed).send("", card())
    assert caught.value.permanent


@given(st.text())
async def test_text_from_alerts_moves_no_cursor_rings_no_bell_and_leaves_no_frame(
    hostile: str,
) -> None:
    hostile = f"\x1b[2J\x1b]0;owned\a\u202e\r{hostile}\n└\x9b2J\x85"
    terminal = Terminal()
    links = [
        Link(text=hostile, url="javascript:alert(1)"),
        Link(text=hostile, url="https://example.org/\x1b[2J"),
    ]
    alert = Alert(
        fingerprint="f", labels={hostile: hostile}, annotations={"summary": hostile}, starts_ns=1
    )
    shown = card(
        state="resolved",
        title=hostile,
        state_text=hostile,
        why=hostile,
        text=hostile,
        labels={hostile: hostile},
        alerts=[alert],
    )
    await terminal.channel.send(
        hostile,
        Card(**{name: getattr(shown, name) for name in shown.__struct_fields__} | {"links": links}),
    )
    await terminal.channel.edit(hostile, {}, card(title=hostile, state_text=hostile))
    assert not re.search(
        "[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", terminal.text
    )
    *block, change = terminal.text.removesuffix("\n").split("\n")
    assert all(line.startswith("│ ") for line in block[1:-1])
    assert change.startswith("#42 triggered")
