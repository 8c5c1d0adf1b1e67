"""What messages say of alerts: texts, places, labels, times, and how what is cut is counted."""

from __future__ import annotations

from typing import Any

import pytest

from amproxy.model import Alert, Group, OutgoingMessage
from amproxy.notify.channels.alert_lines import alert_lines, describe_alerts
from amproxy.notify.channels.slack.blocks import fallback_text, render_blocks
from amproxy.notify.channels.telegram.text import (
    fit_group_text,
    fit_own_text,
    render_card,
)
from amproxy.notify.channels.text import (
    card_heading,
    card_links,
    clean_text,
    describe_state,
    hidden_labels,
    one_line,
    shared_labels,
)
from amproxy.notify.compose import group_card
from amproxy.notify.content import place_of, place_text
from amproxy.notify.message import Link
from amproxy.notify.templates import default_title
from tests.support.notify.cards import alert, card
from tests.support.standins.telegram_html import parse

NOW = 1_767_668_400.0  # 2026-01-06 03:00 UTC


def group_of(*alerts: Alert) -> Any:
    group = Group(id="g", key="k", receiver="r", route_key="{}", labels={"alertname": "Disk"})
    message = OutgoingMessage(
        id="m", kind="notification", channel="telegram", due=NOW, group=group, alerts=list(alerts)
    )
    return group_card(message, now=NOW, external_url="https://h.example.org")


def firing(name: str, minutes: float = 10, **annotations: str) -> Alert:
    return Alert(
        fingerprint=name,
        labels={"alertname": "Disk", "instance": name},
        annotations=annotations,
        starts_ns=int((NOW - minutes * 60) * 1e9),
    )


# ------------------------------------------------------------------------------------------ texts


def test_two_alerts_each_say_their_own_description() -> None:
    shown = group_of(
        firing("a", summary="Restarts", description="exit code 1"),
        firing("b", summary="Restarts", description="exit code 137 (OOMKilled)"),
    )
    assert shown.text == "Restarts"
    assert describe_alerts(shown) == [
        "🔥 instance=a\nexit code 1",
        "🔥 instance=b\nexit code 137 (OOMKilled)",
    ]


def test_annotations_of_any_name_are_shown_and_addresses_are_links() -> None:
    shown = group_of(
        firing(
            "a",
            impact="Shop is down",
            action="restart it",
            runbook="https://wiki.example.org/x",
            logs_url="https://logs.example.org/x",
            __orgId__="1",
        )
    )
    assert shown.text == "impact: Shop is down\naction: restart it"
    assert [(link.text, link.url) for link in shown.links] == [
        ("Runbook", "https://wiki.example.org/x"),
        ("Logs", "https://logs.example.org/x"),
    ]


def test_other_annotations_follow_the_usual_ones_and_are_counted_where_they_are_many() -> None:
    many = {f"note{number}": str(number) for number in range(11)}
    lines = group_of(firing("a", **many, summary="Full")).text.split("\n")
    assert lines[0] == "Full"
    assert lines[1:] == [*(f"note{n}: {n}" for n in range(8)), "… and 3 more annotations"]


# --------------------------------------------------------------------------- heading, state, time


@pytest.mark.parametrize(
    ("labels", "place"),
    [
        ({"namespace": "prod", "pod": "web-1", "instance": "10.0.0.1:8080"}, "prod/web-1"),
        ({"cluster": "eu1", "node": "n1", "instance": "10.0.0.1:8080"}, "eu1/n1"),
        ({"instance": "db-1:9100", "device": "/dev/sda1", "job": "node"}, "db-1:9100 /dev/sda1"),
        (
            {"job": "kube-state-metrics", "instance": "10.0.0.1:8080", "namespace": "a"},
            "a",
        ),
        ({"service": "checkout", "region": "eu"}, "checkout"),
        ({"severity": "critical"}, ""),
    ],
)
def test_a_place_is_the_most_exact_that_labels_say(labels: dict[str, str], place: str) -> None:
    assert place_of(labels) == place


@pytest.mark.parametrize(
    ("places", "title", "said"),
    [
        (["prod/web-1"], "Down (namespace=prod)", "web-1"),
        (["a"], "CustomAnn", "a"),
        (["db-1 /dev/sda", "db-1 /dev/sdb"], "Full", "db-1 /dev/sda, db-1 /dev/sdb"),
        (["db-1 /dev/sda", "db-2 /dev/sda", "db-3 /"], "Full", "db-1, db-2 and 1 more"),
        (["eu1/db-1", "eu1/db-2"], "Full", "eu1/db-1, db-2"),
        (["eu1/db-1"], "Full on db-1 in eu1", ""),
    ],
)
def test_a_heading_names_places_that_its_title_does_not(
    places: list[str], title: str, said: str
) -> None:
    assert place_text(places, title) == said


def test_the_first_line_says_what_how_bad_and_where_however_long_the_title_is() -> None:
    shown = card(title="T" * 300, severity="critical", place="web-1")
    for line in (
        render_card(shown)[1].split("\n")[0],
        fallback_text(shown).split("\n")[0],
        render_blocks(shown)[0]["text"]["text"],
    ):
        assert line.startswith("🔴 #42 TTT")
        assert line.endswith("TT… · critical · web-1")
    title = card_heading(card(title="Page is slow", severity="page", place="web-1"))[2]
    assert title == "Page is slow · web-1"


def test_a_group_says_once_how_many_fire_and_since_when() -> None:
    assert describe_state(group_of(firing("a"), firing("b", 5))) == "2 firing since 02:50 UTC"
    assert describe_state(group_of(firing("a"))) == "1 firing since 02:50 UTC"
    shown = group_of(firing("a"), firing("b", 5))
    assert describe_alerts(shown)[1] == "🔥 instance=b · since 02:55 UTC"


@pytest.mark.parametrize("starts_ns", [0, -62135596800 * 10**9, int((NOW + 900) * 1e9)])
def test_a_beginning_that_no_sender_can_know_is_not_told(starts_ns: int) -> None:
    one = Alert(fingerprint="a", labels={"alertname": "Disk"}, starts_ns=starts_ns)
    assert describe_state(group_of(one)) == "1 firing"


# ----------------------------------------------------------------------------------- what is cut


def test_labels_that_say_where_are_shown_before_those_that_say_by_which_way() -> None:
    labels = {f"a{number}": "x" for number in range(8)} | {
        "service": "s",
        "job": "j",
        "pod": "web-1",
        "node": "n1",
        "instance": "i",
        "device": "d",
        "severity": "critical",
    }
    shown = card(labels=labels)
    assert [name for name, _ in shared_labels(shown)] == [
        *("severity", "pod", "node", "instance", "device", "service", "a0", "a1"),
    ]
    assert hidden_labels(shown) == "… and 7 more labels"
    for text in (render_card(shown)[1], str(render_blocks(shown))):
        assert "… and 7 more labels" in text
    title = default_title({"alertname": "Down"} | dict.fromkeys(labels, "y" * 12), {})
    assert title.startswith("Down (severity=yyyyyyyyyyyy, pod=yyyyyyyyyyyy, node=")
    assert title.endswith("more)") and len(title) < 150


def test_labels_of_one_alert_are_cut_whole_and_counted() -> None:
    own = dict.fromkeys(("aaa", "job", "pod", "node", "zzz"), "v" * 40)
    one = Alert(fingerprint="f", labels=own, starts_ns=1)
    [line] = describe_alerts(card(alerts=[one], labels={}, firing=1, resolved=0))
    assert line == f"🔥 pod={'v' * 40}, node={'v' * 40}, aaa={'v' * 40}, … and 2 more labels"


def test_whatever_room_there_is_each_alert_is_shown_whole_or_counted() -> None:
    alerts = [alert(f"pod-{number}", summary="y" * 50) for number in range(10)]
    lines = alert_lines(card(alerts=alerts, firing=25, resolved=0, left_out=7))
    whole = "\n".join(lines.fit())
    assert whole.endswith("… and 15 more\n… and 7 more that the sender left out")
    for room in range(1500):
        fitting = lines.fit(room)
        assert sum(len(entry) + 1 for entry in fitting) <= room
        if fitting:
            shown = sum(entry.startswith("🔥") for entry in fitting)
            assert f"… and {25 - shown} more" in fitting


def test_what_the_sender_left_out_is_counted_where_one_alert_says_all() -> None:
    shown = card(alerts=[], firing=1, resolved=0, left_out=7)
    for text in (render_card(shown)[1], fallback_text(shown), str(render_blocks(shown))):
        assert "… and 7 more that the sender left out" in text


def test_graver_alerts_are_not_cut_in_favour_of_others() -> None:
    alerts = [alert(f"p{number}") for number in range(30)]
    for one in alerts[:29]:
        one.labels["severity"] = "warning"
    [first, *_] = describe_alerts(card(alerts=alerts, labels={}, firing=30, resolved=0))
    assert "severity=critical" in first


def test_links_that_are_cut_are_counted() -> None:
    links = [Link(text=f"L{n}", url=f"https://e.org/{n}") for n in range(10)]
    assert card_links(card(links=links))[-1] == (
        "… and 3 more",
        "https://oncall.example.org/incidents/INC",
    )


# --------------------------------------------------------------------------- markup, escape codes


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b[1;38;5;196mred\x1b[m", "red"),
        ("\x9b31mred\x9b0m", "red"),
        ("\x1b]0;owned\x07title", "title"),
        ("\x1b]8;;https://e.org\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1bP1$tx\x1b\\text", "text"),
        ("\x1b(Btext\x1b=", "text"),
        ("cut \x1b[3", "cut"),
        ("a [31m that is text", "a [31m that is text"),
    ],
)
def test_sequences_of_terminals_are_removed_whole(text: str, clean: str) -> None:
    assert clean_text(text) == one_line(text, 100) == clean


def test_own_html_is_cut_at_whole_lines_and_stays_html() -> None:
    lines = [f"<b>{number}</b> &lt;disk&gt; {'x' * 60}" for number in range(200)]
    text, mode, plain = fit_own_text("<pre>\n" + "\n".join(lines) + "\n</pre>", "HTML")
    shown, entities = parse(text)
    assert mode == "HTML"
    assert text.endswith("</pre>\n…")
    assert 3900 < len(shown) <= 4096
    assert shown.split("\n")[-2] == shown.split("\n")[-2][:3] + shown.split("\n")[-2][3:]
    assert shown.rstrip("\n…").endswith("x" * 60)
    assert {"b", "pre"} <= {entity.kind for entity in entities}
    assert "<b>" not in plain and "0 <disk> xxx" in plain and len(plain) == 4096


def test_own_html_whose_markup_alone_is_long_goes_out_whole() -> None:
    text = "\n".join(f'<a href="https://e.org/{"p" * 80}">{n}</a>' for n in range(100))
    assert fit_own_text(text, "HTML")[:2] == (text, "HTML")


def test_own_html_of_one_long_line_goes_out_as_plain_text_without_tags() -> None:
    text, mode, _ = fit_own_text(f"<b>{'x' * 5000}</b>", "HTML")
    assert (text, mode) == ("x" * 4095 + "…", "")


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("<b>" + "&lt;" * 4096 + "</b>", True),
        ("<b>" + "&lt;" * 4097 + "</b>", False),
        ("&nbsp;" * 683, False),  # an entity that Telegram does not know is shown as it is
        ('<a href="https://e.org/">x</a>' * 1000, True),
        ('<a href="https://e.org/">x</a>' * 1100, False),  # 33,000 bytes
        ("<!-- -->" + "x" * 4089, False),
    ],
)
def test_html_of_a_group_that_is_too_long_is_replaced_by_a_notice(text: str, fits: bool) -> None:
    found, mode, _ = fit_group_text(text, "HTML")
    assert mode == "HTML"
    if fits:
        assert found == text
    else:
        assert found.startswith("Alertmanager notification could not be sent: message length")


def test_markup_that_telegram_refuses_goes_out_without_tags() -> None:
    assert fit_own_text("<b>a</i> &amp; load < 5", "HTML")[2] == "a & load < 5"
    assert fit_own_text(r"\#1 a\.b", "MarkdownV2")[2] == "#1 a.b"
