"""What a mail says: subject, plain text and HTML of a card. Nothing here knows about SMTP or MIME.

A card as a mail: addresses, ids that keep a thread together, headers that nothing from outside can break.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, getaddresses
from importlib.resources import files

import msgspec
from jinja2 import Environment

from amproxy import clock
from amproxy.config.structs import EmailSettings
from amproxy.errors import DeliveryError
from amproxy.notify.channels.text import (
    card_heading,
    card_links,
    clean_text,
    clip_text,
    describe_alerts,
    describe_state,
    entry_lines,
    is_link_url,
    one_line,
    shared_labels,
)
from amproxy.notify.message import Card

_LONGEST_TEXT = 8000  # characters
_COLOURS = {"triggered": "#c62828", "firing": "#c62828", "acknowledged": "#9a6700", "snoozed": "#6247aa", "resolved": "#2e7d32"}
_TEMPLATE = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(
    files(__package__).joinpath("email.html").read_text("utf-8")
)


def mail_subject(card: Card) -> str:
    """One line: "[#42 triggered] HighCPU on eu1"; of a notice the title alone."""
    _, number, title = card_heading(card)
    mark = " ".join(part for part in (number, "" if card.state == "notice" else card.state) if part)
    return f"[{mark}] {title}" if mark else title


def render_plain_text(card: Card) -> str:
    """The text part, its lines as long as they come."""
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
        alerts=describe_alerts(card),
        buttons=_button_links(card),
        links=card_links(card),
    )


def _text_blocks(card: Card) -> Iterator[list[str]]:
    yield [text for text in (mail_subject(card), describe_state(card), one_line(card.why, 250)) if text]
    yield [_body_text(card)] if card.text else []
    yield [one.text for one in entry_lines(card)]
    yield [f"{name}: {value}" for name, value in shared_labels(card)]
    yield describe_alerts(card)
    yield [f"{text}: {url}" for text, url in _button_links(card)]
    yield [f"{text}: {url}" for text, url in card_links(card)]


def _body_text(card: Card) -> str:
    return clip_text(clean_text(card.text), _LONGEST_TEXT)


def _button_links(card: Card) -> list[tuple[str, str]]:
    """A mail carries no presses: only buttons that have a link are shown."""
    return [(one_line(button.text, 60), button.url) for button in card.buttons if is_link_url(button.url)]


_ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9_.\-\[\]:]{1,253}")
_HEADER_NAME = re.compile(r"[!-9;-~]+")
_RESERVED_HEADERS = {"mime-version", "content-type", "content-transfer-encoding", "message-id", "date", "bcc"}  # not for the file to set
_LONGEST_DOMAIN = 36  # in an id: a header line that cannot be folded has to stay below 78 characters


class Mail(msgspec.Struct, frozen=True, kw_only=True):
    """Ready to go out."""

    id: str  # Message-ID: the same at each attempt, so that a mail that arrives twice can be known
    sender: str
    recipients: list[str]
    content: bytes


def build_mail(settings: EmailSettings, card: Card, answers: str = "") -> Mail:
    """The mail that tells of a card; `answers`: the Message-ID of the one that it follows up.

    Raises DeliveryError (permanent) where an address is nonsense or there is none.
    """
    sender = parse_addresses(settings.from_)[0]
    recipients = parse_addresses(settings.to)
    message = EmailMessage(SMTP)
    id = _make_message_id(sender.domain, "mail", answers, card.state_text) if answers else _first_message_id(sender.domain, settings, card)
    root = _thread_id(sender.domain, card)
    message["From"] = sender
    message["To"] = recipients
    message["Subject"] = mail_subject(card)
    message["Date"] = format_datetime(clock.utc(card.at))
    message["Message-ID"] = id
    if root or answers:
        message["In-Reply-To"] = answers or root
        message["References"] = " ".join(part for part in (root, answers) if part)
    message["Auto-Submitted"] = "auto-generated"  # no vacation answers, please
    message["X-Auto-Response-Suppress"] = "All"
    _set_headers(message, settings)
    message.set_content(settings.text or render_plain_text(card), cte="quoted-printable")
    message.add_alternative(settings.html or render_html(card), subtype="html", cte="quoted-printable")
    return Mail(id=id, sender=sender.addr_spec, recipients=list({to.addr_spec: 0 for to in recipients}), content=message.as_bytes())


def parse_addresses(text: str) -> list[Address]:
    """The addresses of a From or To, at least one. Raises DeliveryError (permanent)."""
    parsed = getaddresses([text]) if text.isprintable() else []
    # The parser mends what is broken ("bob@exa mple.org"): an address that nobody wrote is not taken.
    if not parsed or not all(address in text for _, address in parsed):
        raise DeliveryError(f"email: {one_line(text, 100)!r} is not an address", permanent=True)
    return [_parse_address(name, address) for name, address in parsed]


def _parse_address(name: str, address: str) -> Address:
    local, _, domain = address.rpartition("@")
    try:
        spec = f"{local}@{domain if domain.isascii() else domain.encode('idna').decode()}"
        if not _ADDRESS.fullmatch(spec):
            raise ValueError
        return Address(name, addr_spec=spec)
    except (ValueError, MessageError):
        raise DeliveryError(f"email: {one_line(address, 100)!r} is not an address", permanent=True) from None


def _first_message_id(domain: str, settings: EmailSettings, card: Card) -> str:
    """Where the message has no key, the moment tells one mail from the next."""
    return _make_message_id(domain, "mail", settings.to, card.incident, card.group_key, card.key or str(card.at))


def _thread_id(domain: str, card: Card) -> str:
    """What all mails of an incident, or of a group, refer to: a mail that never was, which programs take for the root."""
    if card.incident:
        return _make_message_id(domain, "incident", card.incident)
    return _make_message_id(domain, "group", card.receiver, card.group_key) if card.group_key else ""


def _make_message_id(domain: str, *parts: str) -> str:
    digest = hashlib.sha256("\0".join(parts).encode("utf-8", "replace")).hexdigest()[:24]
    return f"<{digest}@{domain if len(domain) <= _LONGEST_DOMAIN and domain[0] != '[' else 'amproxy.invalid'}>"


def _set_headers(message: EmailMessage, settings: EmailSettings) -> None:
    """The headers of the file, in place of our own where the names are equal."""
    for name, value in settings.headers.items():
        if name.lower() in _RESERVED_HEADERS or not _HEADER_NAME.fullmatch(name):
            continue
        try:
            del message[name]
            message[name] = one_line(value, 900)
        except (ValueError, MessageError):
            raise DeliveryError(f"email: the header {name} is not valid", permanent=True) from None
