"""Email: what it says, and how its mails hang together. The server is stricter than real ones."""

from __future__ import annotations

from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

import tests.support.properties  # noqa: F401  # the settings of property tests
from amproxy.model import Alert
from amproxy.notify.channels.email.channel import EmailChannel
from amproxy.notify.channels.email.message import build_mail
from amproxy.notify.channels.text import one_line
from amproxy.notify.message import Button, Card, Link, Picture
from tests.support.notify.mails import NOW, card, settings
from tests.support.standins.smtp import SmtpServer, _problem


@pytest.fixture
def server() -> Iterator[SmtpServer]:
    with SmtpServer() as started:
        yield started
        started.assert_no_surprises()


class Page(HTMLParser):
    """The HTML part as a mail program sees it."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: set[str] = set()
        self.targets: list[str] = []
        self.pictures: list[dict[str, str | None]] = []
        self.text = ""
        self.feed(source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}
        self.targets += [value or "" for name, value in attrs if name == "href"]
        self.pictures += [dict(attrs)] if tag == "img" else []

    def handle_data(self, data: str) -> None:
        self.text += data


# ------------------------------------------------------------------------------------------------------ what it says


async def test_both_parts_say_all_that_a_person_wants_to_know(server: SmtpServer) -> None:
    await EmailChannel().send(settings(server), card())
    (mail,) = server.mails
    page = Page(mail.part("html"))
    for told in (mail.part("plain"), page.text):
        for text in (
            "#42",
            "triggered",
            "HighCPU on eu1",
            "Triggered at 14:00 UTC",
            "You are on call for platform (layer weekly)",
        ):
            assert text in told
        for text in (
            "CPU above 90% <b>&",
            "since 13:55",
            "severity",
            "critical",
            "instance=web-1",
            "Acknowledge",
            "Runbook",
        ):
            assert text in told
    assert "b" not in page.tags
    assert page.targets == [
        "http://127.0.0.1/act/a?x=1&y=2",
        "http://127.0.0.1/incidents/i1",
        "https://runbooks.example.org/cpu",
    ]
    assert "Acknowledge: http://127.0.0.1/act/a?x=1&y=2" in mail.part("plain")


async def test_a_picture_is_shown_with_a_text_in_its_place(server: SmtpServer) -> None:
    url = "https://images.example.org/1.png?a=1&b=2"
    shown = card(pictures=[Picture(url=url, text='Picture: "Disk"')])
    ref = await EmailChannel().send(settings(server), shown)
    over = replace(shown, state="resolved", state_text="Resolved")
    await EmailChannel().edit(settings(server), ref, over)
    first, last = server.mails
    page = Page(first.part("html"))
    [picture] = page.pictures
    assert (picture["src"], picture["alt"]) == (url, 'Picture: "Disk"')
    assert url in page.targets
    assert f'Picture: "Disk": {url}' in first.part("plain")
    assert Page(last.part("html")).pictures == []


async def test_a_button_without_a_link_is_not_shown(server: SmtpServer) -> None:
    await EmailChannel().send(settings(server), card())
    assert "Resolve" not in server.mails[0].part("plain") + server.mails[0].part("html")


async def test_the_headers_are_those_of_a_machine_that_wants_no_answer(server: SmtpServer) -> None:
    await EmailChannel().send(settings(server), card())
    (mail,) = server.mails
    assert mail.header("Subject") == "[#42 triggered] HighCPU on eu1"
    assert mail.header("From") == "On call <oncall@example.org>"
    assert mail.header("To") == "alice@example.org"
    assert mail.header("Date") == "Fri, 15 Jan 2027 08:00:00 +0000"
    assert mail.header("Auto-Submitted") == "auto-generated"
    assert (mail.sender, mail.recipients) == ("oncall@example.org", ["alice@example.org"])
    assert mail.message.get_content_type() == "multipart/alternative"


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({"kind": "group", "number": 0, "state": "firing"}, "[firing] HighCPU on eu1"),
        ({"kind": "notice", "number": 0, "state": "notice", "title": "Test page"}, "Test page"),
        (
            {"title": "a\r\nBcc: everybody@example.org"},
            "[#42 triggered] a Bcc: everybody@example.org",
        ),
        ({"title": "磁盘已满 — «voll» 🙂"}, "[#42 triggered] 磁盘已满 — «voll» 🙂"),
    ],
)
async def test_the_subject_names_number_state_and_title(
    server: SmtpServer, changes: dict[str, Any], wanted: str
) -> None:
    await EmailChannel().send(settings(server), card(**changes))
    assert server.mails[0].header("Subject") == wanted


@pytest.mark.parametrize(
    "subject",
    [
        "[FIRING:2] Disk (<b>a & b</b> \"c\" 'd' `e` ${HOME} {{ .Status }} \u00e9\U0001f642 ops)",
        "\u041f\u043e\u0440\u043e\u0433 " * 20 + "x",
    ],
)
async def test_a_long_subject_in_any_letters_arrives_as_it_was(
    server: SmtpServer, subject: str
) -> None:
    await EmailChannel().send(replace(settings(server), subject=subject), card())
    assert server.mails[0].header("Subject") == subject


async def test_texts_and_headers_of_the_file_take_the_place_of_our_own(server: SmtpServer) -> None:
    headers = {
        "subject": "Mine",
        "X-Team": "platform\r\nBcc: x@example.org",
        "Bcc": "x@example.org",
        "Bad Name": "x",
        "To": "team@example.org",
    }
    await EmailChannel().send(
        settings(server, headers=headers, text="plain words", html="<p>own</p>"), card()
    )
    (mail,) = server.mails
    assert (mail.header("Subject"), mail.header("X-Team"), mail.header("To")) == (
        "Mine",
        "platform Bcc: x@example.org",
        "team@example.org",
    )
    assert (mail.part("plain").strip(), mail.part("html").strip()) == ("plain words", "<p>own</p>")
    assert mail.recipients == ["alice@example.org"]


HOSTILE = st.text(max_size=300) | st.sampled_from(
    [
        "\r\nBcc: x@y.z\r\n\r\n<script>",
        "\x00\x85\u2028.",
        "<" * 3000,
        "\n.\n" * 9,
        "ü" * 2000,
        '"><img src=x onerror=y>',
    ]
)


@given(HOSTILE, HOSTILE, HOSTILE)
def test_no_text_breaks_headers_lines_or_html(title: str, value: str, url: str) -> None:
    quiet = Page(compose_part(card(), "html"))
    alert = Alert(
        fingerprint="f",
        labels={value: title, "instance": value},
        annotations={"summary": value},
        starts_ns=1,
    )
    shown = card(
        title=title,
        state_text=value,
        why=title,
        text=value,
        labels={title: value},
        alerts=[alert],
        buttons=[Button(action="acknowledge", text=title, value="x", url=url)],
        links=[Link(text=value, url=url), Link(text=title, url="https://example.org/")],
    )
    content = build_mail(settings(headers={"X-Own": value}), shown).content
    assert _problem(content) == ""
    assert subject_of(content) == f"[#42 triggered] {one_line(title, 250) or '(no title)'}".split()
    page = Page(compose_part(shown, "html"))
    assert set(page.tags) <= set(quiet.tags) | {"table", "tr", "td", "p"}
    assert page.attributes <= quiet.attributes
    assert all(target.startswith(("http://", "https://")) for target in page.targets)


def compose_part(card: Card, kind: str) -> str:
    from tests.support.standins.smtp import Mail

    return Mail("", [], build_mail(settings(), card).content, False, "").part(kind)


def subject_of(content: bytes) -> list[str]:
    """The words of the subject as mail programs decode it."""
    from email import message_from_bytes
    from email.header import decode_header, make_header

    return str(
        make_header(decode_header(str(message_from_bytes(content)["Subject"]).replace("\r\n", "")))
    ).split()


# ------------------------------------------------------------------------------------------------------- ids and threads


async def test_another_attempt_has_the_same_message_id_and_another_page_has_not(
    server: SmtpServer,
) -> None:
    for one in (
        card(),
        card(at=NOW + 60, state="acknowledged"),
        card(key="p2"),
        card(key=""),
        card(key="", at=NOW + 1),
    ):
        await EmailChannel().send(settings(server), one)
    first, again, *others = [mail.header("Message-ID") for mail in server.mails]
    assert first == again
    assert len({first, *others}) == 4
    assert first.endswith("@example.org>")


async def test_all_mails_of_an_incident_are_one_thread(server: SmtpServer) -> None:
    for one in (card(), card(key="p2"), card(key="p3", incident="i2")):
        await EmailChannel().send(settings(server), one)
    first, second, other = [mail.header("References") for mail in server.mails]
    assert first == second == server.mails[0].header("In-Reply-To")
    assert other != first
    assert first not in {mail.header("Message-ID") for mail in server.mails}


async def test_a_long_domain_does_not_break_the_ids(server: SmtpServer) -> None:
    await EmailChannel().send(settings(server, from_=f"a@{'long.' * 20}example.org"), card())
    assert b"=?" not in server.mails[0].content.split(b"\r\n\r\n")[0]


async def test_only_the_end_is_told_by_a_second_mail_in_the_same_thread(server: SmtpServer) -> None:
    channel = EmailChannel()
    ref = await channel.send(settings(server), card())
    ref = await channel.edit(
        settings(server), ref, card(state="acknowledged", state_text="Acknowledged by Bob")
    )
    assert len(server.mails) == 1
    over = card(state="resolved", state_text="Resolved by Bob at 14:03 UTC")
    ref = await channel.edit(settings(server), ref, over)
    assert await channel.edit(settings(server), ref, over) == ref
    first, second = server.mails
    assert second.header("Subject") == "[#42 resolved] HighCPU on eu1"
    assert second.header("In-Reply-To") == first.header("Message-ID")
    assert second.header("References").split() == [
        first.header("References"),
        first.header("Message-ID"),
    ]
    assert "Resolved by Bob at 14:03 UTC" in second.part("plain")
    assert "severity" not in second.part("plain")


async def test_the_mail_of_the_end_has_the_same_id_at_each_attempt(server: SmtpServer) -> None:
    channel = EmailChannel()
    ref = await channel.send(settings(server), card())
    for at in (NOW, NOW + 60):
        await channel.edit(
            settings(server), ref, card(state="resolved", state_text="Resolved by Bob", at=at)
        )
    ids = [mail.header("Message-ID") for mail in server.mails]
    assert ids[1] == ids[2] != ids[0]
