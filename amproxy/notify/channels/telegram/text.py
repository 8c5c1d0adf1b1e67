"""A card as Telegram's HTML, at most 4,096 characters, and the same as plain text.

It is built from fragments of plain text and their tags. A fragment that is too long is shortened
before it is escaped, so that no tag and no entity is ever cut.
"""

from __future__ import annotations

import html
import re
from urllib.parse import urlsplit

import msgspec

from amproxy.notify.channels.alert_lines import alert_lines
from amproxy.notify.channels.text import (
    EntryLine,
    card_heading,
    card_links,
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

MESSAGE_LIMIT = 4096  # characters of a message after its entities are parsed
MAX_RAW_BYTES = 30_000  # of a text with its markup
MAX_HTML_BYTES = 1 << 15  # of an alertmanager.yml's HTML, as Alertmanager has it
# Alertmanager's own, with its white space.
TOO_LONG = (
    "Alertmanager notification could not be sent: message length exceeds Telegram limits.\n"
    "\t\t\tPlease check the template used for producing the message content."
)
_CUT = "\n…"
_TAG = re.compile(
    r"<(?P<end>/?)(?P<name>b|strong|i|em|u|ins|s|strike|del|a|code|pre|span|blockquote|tg-[a-z]+)"
    r"(?:\s[^<>]*)?>",
    re.IGNORECASE,
)
_ANY_TAG = re.compile(r"</?[A-Za-z][^>]*>")
_ENTITY = re.compile(r"&(?:(?:lt|gt|amp|quot)(?![A-Za-z])|#[0-9]+|#x[0-9A-Fa-f]+);?")
_ESCAPED = re.compile(r"\\([!-/:-@\[-`{-~])")
# Bytes of one address, and of all addresses of a message: together they keep the raw text under
# Telegram's 32,768 bytes.
MAX_URL_BYTES = 2000
MAX_URLS_BYTES = 6000
LONGEST_SHOWN_URL = 300  # characters of an address that is shown as text
ALERTS_SHARE = 1000  # characters that a long text leaves to the alerts
LINKS_SHARE = 600  # characters of links, after which no more are added


class TelegramFragment(msgspec.Struct, frozen=True):
    """Plain text between two tags; `plain` is shown instead where there are no tags."""

    text: str
    before: str = ""
    after: str = ""
    plain: str = ""


def render_card(card: Card) -> tuple[str, str]:
    """Return a card as HTML and as plain text, each within Telegram's limits."""
    fragments = _build_fragments(card)
    marked = "".join(f"{one.before}{escape_html(one.text)}{one.after}" for one in fragments)
    # The number is a link only where there is markup: without it the address comes last.
    end = f"\n{card.url}" if card.number and is_linkable(card.url) else ""
    plain = "".join(one.plain or one.text for one in fragments)
    return marked, clip_text(plain, MESSAGE_LIMIT - len(end)) + end


def fit_group_text(text: str, mode: str) -> tuple[str, str, str]:
    """The message of an alertmanager.yml's receiver, as `fit_own_text` returns one.

    HTML that is too long is replaced by Alertmanager's notice.
    """
    if mode != "HTML":
        return fit_own_text(text, mode)
    if len(text.encode()) <= MAX_HTML_BYTES and _html_length(text) <= MESSAGE_LIMIT:
        return text, mode, clip_plain_text(_visible_text(text, mode))
    return TOO_LONG, mode, TOO_LONG


def _html_length(text: str) -> int:
    """The characters of HTML that count against the limit, as Alertmanager counts them."""
    if "<!" in text:  # nothing that Telegram knows
        return len(text)
    return len(_ENTITY.sub("&", _ANY_TAG.sub("", text)))


def fit_own_text(text: str, mode: str) -> tuple[str, str, str]:
    """A receiver's own text that fits a message, its parse mode, and the same without markup.

    Too long a text is cut at whole lines, and tags that are open there are closed. Where not even
    its first line fits, it is plain text.
    """
    plain = clip_plain_text(_visible_text(text, mode))
    if len(_visible_text(text, mode)) <= MESSAGE_LIMIT and len(text.encode()) <= MAX_RAW_BYTES:
        return text, mode, plain
    kept, room, raw_room = list[str](), MESSAGE_LIMIT - len(_CUT), MAX_RAW_BYTES
    for line in text.split("\n"):
        room -= len(_visible_text(line, mode)) + 1
        raw_room -= len(line.encode()) + 1
        if room < 0 or raw_room < 0:
            break
        kept.append(line)
    cut = "\n".join(kept)
    if not _visible_text(cut, mode).strip():
        return plain, "", plain
    return cut + "".join(f"</{tag}>" for tag in _open_tags(cut, mode)) + _CUT, mode, plain


def _visible_text(text: str, mode: str) -> str:
    """A text as it is read: without HTML's tags and entities, without MarkdownV2's backslashes."""
    match mode.casefold():
        case "html":
            return html.unescape(_TAG.sub("", text))
        case "markdownv2":
            return _ESCAPED.sub(r"\1", text)
        case _:
            return text


def _open_tags(text: str, mode: str) -> list[str]:
    """The tags that are open at the end of a text, the innermost first."""
    tags: list[str] = []
    for tag in _TAG.finditer(text) if mode.casefold() == "html" else ():
        name = tag["name"].casefold()
        if not tag["end"]:
            tags.insert(0, name)
        elif name in tags:
            tags.remove(name)
    return tags


def clip_plain_text(text: str) -> str:
    """Plain text cut to the length of one message."""
    return clip_text(text, MESSAGE_LIMIT)


def escape_html(text: str) -> str:
    """Text for HTML mode, between tags."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def is_linkable(url: str) -> bool:
    """True for an address that Telegram makes a link or button of.

    It demands a dot in the host, so that localhost is none.
    """
    has_dot = is_link_url(url) and "." in (urlsplit(url).hostname or "").strip(".")
    return has_dot and _url_bytes(url) <= MAX_URL_BYTES


def _build_fragments(card: Card) -> list[TelegramFragment]:
    head, labels, foot = _heading_fragments(card), _label_fragments(card), _link_fragments(card)
    # 6: three blank lines
    room = MESSAGE_LIMIT - sum(len(one.text) for one in (*head, *labels, *foot)) - 6
    alerts = alert_lines(card)
    # The alerts get their share first, the text the rest, then the alerts all that it leaves.
    share = min(sum(len(entry) + 1 for entry in alerts.fit()), ALERTS_SHARE)
    text = clip_text(clean_text(card.text[: MESSAGE_LIMIT * 4]), room - share)
    room -= len(text)
    entries = _entry_fragments(entry_lines(card, room - 2)) if card.entries else []
    lines = alerts.fit(room)
    sections = (
        [TelegramFragment(text)] if text else [],
        labels,
        entries,
        [TelegramFragment("\n".join(lines))] if lines else [],
        foot,
    )
    return head + [one for section in sections if section for one in _after_blank_line(section)]


def _after_blank_line(section: list[TelegramFragment]) -> list[TelegramFragment]:
    """A section after a blank line, whether or not it starts with a line break itself."""
    first = section[0]
    return [TelegramFragment("\n" if first.text.startswith("\n") else "\n\n"), *section]


def _heading_fragments(card: Card) -> list[TelegramFragment]:
    emoji, number, title = card_heading(card)
    fragments = [TelegramFragment(f"{emoji} ")]
    if number:
        linked = is_linkable(card.url)
        link = TelegramFragment(number, _anchor_tag(card.url), "</a>")
        fragments.append(link if linked else TelegramFragment(number))
        fragments.append(TelegramFragment(" "))
    fragments.append(TelegramFragment(title, "<b>", "</b>"))
    if state := describe_state(card):
        fragments.append(TelegramFragment(f"\n{state}"))
    if why := one_line(card.why, 250):
        fragments += [TelegramFragment("\n"), TelegramFragment(why, "<i>", "</i>")]
    return fragments


def _label_fragments(card: Card) -> list[TelegramFragment]:
    fragments: list[TelegramFragment] = []
    for name, value in shared_labels(card):
        fragments += [TelegramFragment(f"\n{name}: "), TelegramFragment(value, "<b>", "</b>")]
    if more := hidden_labels(card):
        fragments.append(TelegramFragment(f"\n{more}"))
    return fragments


def _entry_fragments(entries: list[EntryLine]) -> list[TelegramFragment]:
    """The incidents of a bundle, a line each.

    Their numbers are links unless all the addresses are too much for one message.
    """
    with_links = sum(_url_bytes(one.url) for one in entries) <= MAX_URLS_BYTES
    fragments: list[TelegramFragment] = []
    for one in entries:
        if not with_links or not is_linkable(one.url):
            fragments.append(TelegramFragment(f"\n{one.text}"))
            continue
        text, rest = (one.number, f" {one.title}") if one.number else (one.title, "")
        link = TelegramFragment(text, _anchor_tag(one.url), "</a>")
        fragments += [TelegramFragment("\n"), link, TelegramFragment(rest)]
    return fragments


def _link_fragments(card: Card) -> list[TelegramFragment]:
    """The links that the number does not carry already.

    An address that Telegram would not link is shown as text.
    """
    fragments: list[TelegramFragment] = []
    left = MAX_URLS_BYTES
    for text, url in card_links(card):
        left -= _url_bytes(url)
        shown = sum(len(one.text) for one in fragments)
        on_number = url == card.url and card.number and is_linkable(url)
        if left < 0 or shown > LINKS_SHARE or on_number:
            continue
        if is_linkable(url):
            fragments += [TelegramFragment(" · " if fragments else "\n"), _anchor(text, url)]
        elif len(url) <= LONGEST_SHOWN_URL:
            fragments.append(TelegramFragment(f"\n{text}: {url}"))
    return fragments


def _anchor(text: str, url: str) -> TelegramFragment:
    return TelegramFragment(text, _anchor_tag(url), "</a>", plain=f"{text} {url}")


def _anchor_tag(url: str) -> str:
    return f'<a href="{_escape_attribute(url)}">'


def _escape_attribute(url: str) -> str:
    return escape_html(url).replace('"', "&quot;")


def _url_bytes(url: str) -> int:
    return len(_escape_attribute(url).encode())
