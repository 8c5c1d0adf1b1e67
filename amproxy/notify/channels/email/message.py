"""A card as a mail: MIME, addresses, ids that keep a thread together, subject, text and HTML.

Nothing here knows SMTP.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from email.errors import MessageError
from email.header import Header
from email.headerregistry import Address, UnstructuredHeader
from email.message import EmailMessage
from email.policy import EmailPolicy
from email.utils import format_datetime
from importlib.resources import files
from typing import Any

import msgspec
from jinja2 import Environment

from amproxy import clock
from amproxy.errors import DeliveryError
from amproxy.notify.channels.alert_lines import describe_alerts
from amproxy.notify.channels.email.settings import EmailSettings, parse_addresses
from amproxy.notify.channels.receiver import group_digest
from amproxy.notify.channels.text import (
    card_heading,
    card_links,
    card_pictures,
    clean_text,
    clip_text,
    describe_state,
    entry_lines,
    hidden_labels,
    is_link_url,
    one_line,
    shared_labels,
)
from amproxy.notify.message import Card
from amproxy.text import phrase

_LONGEST_TEXT = 8000  # characters
MOST_ALERTS = 100  # of one mail, which has room for them
# Characters of a domain in an id: a header line that cannot be folded must stay below 78.
_LONGEST_DOMAIN = 36
PLOT_ADDRESS = "cid:metric@amproxy"  # of the picture in a mail, within that mail
_COLOURS = {
    "triggered": "#c62828",
    "firing": "#c62828",
    "acknowledged": "#9a6700",
    "snoozed": "#6247aa",
    "resolved": "#2e7d32",
}
_HEADER_NAME = re.compile(r"[!-9;-~]+")
# Not for the file to set. Bcc would be shown to all recipients.
_RESERVED_HEADERS = {
    *("mime-version", "content-type", "content-transfer-encoding"),
    *("message-id", "date", "bcc"),
}
_TEMPLATE = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(
    files(__package__).joinpath("email.html").read_text("utf-8")
)


class _MailPolicy(EmailPolicy):
    """SMTP's, with texts that are not ASCII encoded whole.

    The library encodes words of them, and readers see a second space where it breaks the line.
    """

    def fold_binary(self, name: str, value: Any) -> bytes:
        if not isinstance(value, UnstructuredHeader) or str(value).isascii():
            return super().fold_binary(name, value)
        encoded = Header(str(value), "utf-8", header_name=name).encode(linesep=self.linesep)
        return f"{name}: {encoded}{self.linesep}".encode("ascii")


_POLICY = _MailPolicy(linesep="\r\n")


class Mail(msgspec.Struct, frozen=True, kw_only=True):
    """A mail ready to go out."""

    id: str  # Message-ID: the same at each attempt, so that a mail that arrives twice is known
    sender: str
    recipients: list[str]
    content: bytes


def build_mail(settings: EmailSettings, card: Card, answers: str = "") -> Mail:
    """The mail of a card. answers: the Message-ID of the mail that it follows up.

    Raises DeliveryError (permanent) where an address is nonsense or there is none.
    """
    sender = _read_addresses(settings.from_)[0]
    recipients = _read_addresses(settings.to)
    message = EmailMessage(_POLICY)
    if answers:
        id = _make_message_id(sender.domain, "mail", answers, card.state_text)
    else:
        id = _first_message_id(sender.domain, settings, card)
    root = _thread_id(sender.domain, settings, card)
    message["From"] = sender
    message["To"] = recipients
    message["Subject"] = one_line(settings.subject, 900) or mail_subject(card)
    message["Date"] = format_datetime(clock.utc(card.at))
    message["Message-ID"] = id
    if root or answers:
        message["In-Reply-To"] = answers or root
        message["References"] = " ".join(filter(None, (root, answers)))
    message["Auto-Submitted"] = "auto-generated"  # no vacation answers, please
    message["X-Auto-Response-Suppress"] = "All"
    _set_headers(message, settings)
    html, text = settings.html, settings.text
    if card.kind != "group":  # a group has the texts of the file, and those alone
        html, text = html or render_html(card), text or render_plain_text(card)
    message["MIME-Version"] = "1.0"
    message.make_alternative()
    for body, kind in ((text, "plain"), (html, "html")):
        if body:
            message.add_alternative(body, subtype=kind, cte="quoted-printable")
    if html and PLOT_ADDRESS in html:
        part = message.get_payload(-1)
        assert isinstance(part, EmailMessage)  # the last alternative, which is the HTML
        cid = f"<{PLOT_ADDRESS.removeprefix('cid:')}>"
        part.add_related(
            card.plot, "image", "png", cid=cid, filename="metric.png", disposition="inline"
        )
    return Mail(
        id=id,
        sender=sender.addr_spec,
        recipients=list({to.addr_spec: 0 for to in recipients}),  # each once, in order
        content=message.as_bytes(),
    )


def mail_subject(card: Card) -> str:
    """One line: "[#42 triggered] HighCPU on eu1"; of a notice the title alone."""
    _, number, title = card_heading(card)
    mark = " ".join(filter(None, (number, "" if card.state == "notice" else card.state)))
    return f"[{mark}] {title}" if mark else title


def render_plain_text(card: Card) -> str:
    """The text part, in lines of any length."""
    return "\n\n".join("\n".join(block) for block in _text_blocks(card) if block) + "\n"


def render_html(card: Card) -> str:
    """The HTML part; every text in it is escaped."""
    return _TEMPLATE.render(
        subject=mail_subject(card),
        colour=_COLOURS.get(card.state, "#455a64"),
        card=card,
        heading=card_heading(card),
        state=describe_state(card),
        why=one_line(card.why, 250),
        text=_body_text(card),
        entries=[(one.text, one.url if is_link_url(one.url) else "") for one in entry_lines(card)],
        labels=shared_labels(card),
        more_labels=hidden_labels(card),
        alerts=describe_alerts(card, most=MOST_ALERTS),
        pictures=card_pictures(card),
        plot=PLOT_ADDRESS if card.plot else "",
        buttons=_button_links(card),
        links=card_links(card),
    )


def _read_addresses(text: str) -> list[Address]:
    found = parse_addresses(text)
    if not found:
        words = phrase("failure.email_address", address=one_line(text, 100))
        raise DeliveryError(words, permanent=True)
    return [Address(name, addr_spec=address) for name, address in found]


def _first_message_id(domain: str, settings: EmailSettings, card: Card) -> str:
    """The id of a first mail; the time of the card tells mails without a key apart."""
    key = card.key or str(card.at)
    return _make_message_id(domain, "mail", settings.to, card.incident, card.group_key, key)


def _thread_id(domain: str, settings: EmailSettings, card: Card) -> str:
    """The id that all mails of an incident refer to, or of a group where the file wants a thread.

    "" for other cards. No mail has it; mail programs take it for the root of the thread.
    """
    if card.kind == "group":
        # Alertmanager's, so that its threads go on
        day = f"{clock.utc(card.at):%Y-%m-%d}" if settings.thread_by_date else ""
        return f"<alert-{group_digest(card)[:16]}-{day}@alertmanager>" if settings.threading else ""
    if card.incident:
        return _make_message_id(domain, "incident", card.incident)
    return _make_message_id(domain, "group", card.group_key) if card.group_key else ""


def _make_message_id(domain: str, *words: str) -> str:
    digest = hashlib.sha256("\0".join(words).encode("utf-8", "replace")).hexdigest()[:24]
    usable = len(domain) <= _LONGEST_DOMAIN and domain[0] != "["
    return f"<{digest}@{domain if usable else 'amproxy.invalid'}>"


def _set_headers(message: EmailMessage, settings: EmailSettings) -> None:
    """Add the headers of the file, in place of our own where the names are equal."""
    for name, value in settings.headers.items():
        if name.lower() in _RESERVED_HEADERS or not _HEADER_NAME.fullmatch(name):
            continue
        try:
            del message[name]
            # one line: a line break in a value from an alert would start a header of its own
            message[name] = one_line(value, 900)
        except (ValueError, MessageError):
            words = phrase("failure.email_header", header=name)
            raise DeliveryError(words, permanent=True) from None


def _text_blocks(card: Card) -> Iterator[list[str]]:
    head = (mail_subject(card), describe_state(card), one_line(card.why, 250))
    yield [text for text in head if text]
    yield [_body_text(card)] if card.text else []
    yield [one.text for one in entry_lines(card)]
    more = hidden_labels(card)
    yield [*(f"{name}: {value}" for name, value in shared_labels(card)), *([more] if more else [])]
    yield describe_alerts(card, most=MOST_ALERTS)
    yield [f"{text}: {url}" for text, url in _button_links(card)]
    yield [f"{one.text}: {one.url}" for one in card_pictures(card)]
    yield [f"{text}: {url}" for text, url in card_links(card)]


def _body_text(card: Card) -> str:
    return clip_text(clean_text(card.text), _LONGEST_TEXT)


def _button_links(card: Card) -> list[tuple[str, str]]:
    """Text and address of each button that has a link: a mail carries no presses."""
    return [
        (one_line(button.text, 60), button.url)
        for button in card.buttons
        if is_link_url(button.url)
    ]
