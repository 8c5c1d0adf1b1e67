"""Cards for the tests of channels, and hostile ones."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from amproxy.model import Alert
from amproxy.notify.message import Button, Card, Link, Picture

NOW = 1_767_603_600.0
HOSTILE = '<b>&lt;</b><a href="javascript:x">*_`<!channel> <@U1> & </i> \u202eevil\x00 😀 \ud800'


def alert(name: str = "a", *, over: bool = False, **annotations: str) -> Alert:
    ends = int((NOW - 60) * 1e9) if over else 0
    labels = {"alertname": "HighCPU", "severity": "critical", "pod": name}
    return Alert(
        fingerprint=name,
        labels=labels,
        annotations=annotations,
        starts_ns=int((NOW - 600) * 1e9),
        ends_ns=ends,
    )


def card(**changes: Any) -> Card:
    values: dict[str, Any] = {
        "kind": "incident",
        "title": "HighCPU on eu1",
        "number": 42,
        "state": "triggered",
        "state_text": "Triggered at 14:03 UTC",
        "why": "You are on call for platform (layer weekly)",
        "text": "CPU is above 90 %\nfor ten minutes",
        "labels": {"alertname": "HighCPU", "severity": "critical", "cluster": "eu1"},
        "alerts": [alert("web-1", summary="web-1 is hot"), alert("web-2", over=True)],
        "firing": 1,
        "resolved": 1,
        "links": [Link(text="Runbook", url="https://runbooks.example.org/cpu")],
        "buttons": [
            Button(action="acknowledge", text="Acknowledge", value="acknowledge:INC:1"),
            Button(action="resolve", text="Resolve", value="resolve:INC:1"),
            Button(action="snooze", text="Snooze 1h", value="snooze:INC:1:3600"),
            Button(action="snooze", text="Snooze 4h", value="snooze:INC:1:14400"),
        ],
        "url": "https://oncall.example.org/incidents/INC",
        "at": NOW,
    }
    return Card(**values | changes)


def resolved(**changes: Any) -> Card:
    return card(
        **{
            "state": "resolved",
            "state_text": "Resolved by Bob Birch at 14:20 UTC",
            "firing": 0,
            "resolved": 2,
        }
        | changes
    )


PICTURES = [
    Picture(url="https://images.example.org/g/1.png?a=1&b=2", text="Picture: HighCPU"),
    Picture(url="http://localhost/2.png", text="Picture: other"),
]

_anything = st.text(max_size=400) | st.sampled_from(
    [
        HOSTILE,
        HOSTILE * 40,
        "<" * 5000,
        "&" * 5000,
        '"' * 5000,
        "😀" * 5000,
        "x" * 100_000,
        "\n" * 50,
    ]
)
_labels = st.dictionaries(_anything, _anything, max_size=15)
_urls = st.sampled_from(
    [
        'https://e.org/?a=1&b=<">|',
        "http://localhost:9095/x",
        "http://[",
        "javascript:alert(1)",
        "https://e.org/" + "&" * 900,
        "http://a b.c/",
        "",
    ]
)

hostile_cards = st.builds(
    card,
    title=_anything,
    number=st.integers(0, 10**9),
    state=st.sampled_from(["triggered", "acknowledged", "snoozed", "resolved", "firing", "notice"]),
    state_text=_anything,
    why=_anything,
    text=_anything,
    labels=_labels,
    alerts=st.lists(
        st.builds(
            Alert,
            fingerprint=st.just("f"),
            labels=_labels,
            annotations=_labels,
            starts_ns=st.just(0),
        ),
        max_size=10,
    ),
    links=st.lists(st.builds(Link, text=_anything, url=_urls), max_size=12),
    pictures=st.lists(st.builds(Picture, text=_anything, url=_urls), max_size=5),
    url=_urls,
    news=_anything,
)
