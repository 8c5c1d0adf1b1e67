"""What a page says to a reader of Russian: its words, counts and clock times, without the data of users.

All data of users in the world of the crawl has MARK in each of its words, so that whatever Latin
word is left on a page is amproxy's own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from socket import gethostname
from typing import NamedTuple

MARK = "zq"
VOID = frozenset({"meta", "link", "input", "br", "img", "hr", "source", "path", "circle", "rect"})
INLINE = frozenset({"bdi", "a", "span", "strong"})
# What a reader sees or hears besides text between tags.
SPOKEN = ("aria-label", "title", "alt", "data-announcement")

# Names that are the same in Russian: products, protocols, keys of the file, values of queries.
NAMES = frozenset(
    [
        "amproxy",
        "redis",
        "cluster",
        "api",
        "openapi",
        "csv",
        "telegram",
        "push",
        "iphone",
        "ipad",
        "slack",
        "grafana",
        "alertmanager",
        "prometheus",
        "json",
        "yaml",
        "utc",
        "id",
        "aof",
        "ntp",
        "routes.yaml",
        "users",
        "schedules",
        "sign_in",
        "web.hosts",
        "web.external_url",
        "maxmemory-policy",
        "appendonly",
        "appendfsync",
        "noeviction",
        "everysec",
        "always",
        "info",
        "config",
        "console",
        "email",
        "webhook",
        "phone",
        "oncall",
        "e-mail",
        "http",
        "post",
        "get",
        "origin",
        "alertname",
        "instance",
        "severity",
        "team",
        "english",
        "content-type",
        "application",
        "oncall_configs",
        "noreply",
        "mib",
        "kib",
        "ms",
        "phone_call",
        "global",
        "smtp_smarthost",
        "smtp_from",
        "tests",
        "python",
        "shop",
        "url_file",
        "testalert",
        "db",
        "summary",
        "active_time_intervals",
        "until",
        "for",
        "from",
        "to",
        "end",
        "start",
        "state",
        "label",
        "limit",
        "cursor",
        "zone",
        "outcome",
        "user",
        "view",
        "span",
        "days",
        "format",
        "triggered",
        "acknowledged",
        "snoozed",
        "resolved",
        "sent",
        "failed",
        "skipped",
        "retry",
        "csv",
        "weeks",
        "day",
        "month",
        "berlin",
        "kathmandu",
        *(
            "dtstart",
            "dtend",
            "rrule",
            "duration",
            "freq",
            "interval",
            "gzip",
            "rfc",
            "sources",
            "labels",
            "null",
        ),
        *("begin", "vcalendar", "utf", "into", "amazon", "sns", "https"),
        *("subscribeurl", "signingcerturl", "signatureversion"),
        *("generatorurl", "bearer", "basic", "tls"),
        *("if_nobody", "route.routes", "token_file", "notify", "forward", "resolve", "routes"),
        *("wait", "wait_until", "wait_for_alerts", "escalation_policies", "continue"),
        "europe",
        "asia",
    ]
) | {gethostname().lower()}
# Ids of silences.
IDS = re.compile(r"[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}")


class Text(NamedTuple):
    words: str
    place: tuple[str, ...]


class PageReader(HTMLParser):
    """Collects the texts of a page with the classes, ids and tags around them."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[Text] = []
        self._open: list[tuple[str, tuple[str, ...]]] = []
        self._quoting = False  # between « and », with tags of INLINE only

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        marks = (tag, given.get("id", ""), *given.get("class", "").split())
        if "data-in" in given or "data-ago" in given:
            marks += ("counted",)
        if given.get("lang"):
            marks += (f"lang-{given['lang']}",)
        place = (*self._place(), *marks)
        spoken = [given[name] for name in SPOKEN if given.get(name)]
        if tag == "input" and given.get("type") in ("submit", "button"):
            spoken.append(given.get("value", ""))
        self.texts += [Text(words, place) for words in spoken]
        if tag not in VOID:
            self._open.append((tag, marks))

    def handle_endtag(self, tag: str) -> None:
        self._quoting = self._quoting and tag in INLINE
        while self._open and any(name == tag for name, _ in self._open):
            if self._open.pop()[0] == tag:
                return

    def handle_data(self, data: str) -> None:
        # What stands in quotes is data: it was said by somebody else, or is to be written so.
        if self._quoting:
            _, end, data = data.partition("»")
            self._quoting = not end
        before, begin, _ = data.rpartition("«")
        if begin and data.rfind("»") < data.rfind("«"):
            data, self._quoting = before, True
        if data.strip():
            self.texts.append(Text(" ".join(data.split()), self._place()))

    def _place(self) -> tuple[str, ...]:
        return tuple(mark for _, marks in self._open for mark in marks)


def texts_of(page: str) -> list[Text]:
    reader = PageReader()
    reader.feed(page)
    hidden = {
        "script",
        "style",
        "code",
        "pre",
        "lang-en",
        "textarea",
        "datalist",
        "badge",
        "mark",
        "swatch",
    }
    return [text for text in reader.texts if not hidden.intersection(text.place)]


_LATIN = re.compile(r"[A-Za-z][\w.'’-]*")


def english(page: str) -> Iterator[str]:
    """The texts with a Latin word that is neither data of users nor a name."""
    for text in texts_of(page):
        # matchers, versions and addresses are written alike in every language
        own = IDS.sub(" ", text.words)
        words = re.sub(r"\S+://\S+|/\S*|\b\d[\w:.-]*|«[^»]*»", " ", own)
        for word in _LATIN.findall(words):
            bare = word.strip(".'’-_").lower()
            if MARK not in bare and bare not in NAMES and len(bare) > 1:
                yield f"{word!r} in {text.words[:160]!r} at {' '.join(text.place[-6:])}"
                break


_FORMS = {
    form: number
    for forms in (
        "инцидент инцидента инцидентов",
        "алерт алерта алертов",
        "вызов вызова вызовов",
        "попытка попытки попыток",
        "сообщение сообщения сообщений",
        "смена смены смен",
        "человек человека человек",
        "получатель получателя получателей",
        "пробел пробела пробелов",
        "предупреждение предупреждения предупреждений",
        "замечание замечания замечаний",
        "день дня дней",
        "ночь ночи ночей",
        "минуту минуты минут",
        "знак знака знаков",
    )
    for number, form in enumerate(forms.split())
}
_COUNTED = re.compile(r"(?<![\d:.,-])(\d+) ([а-яё]+)")
_MONTHS = "янв фев мар апр мая июн июл авг сен окт ноя дек"


def wrong_counts(page: str) -> Iterator[str]:
    """Numbers with a noun in a form that Russian does not use after them."""
    for text in texts_of(page):
        for found in _COUNTED.finditer(text.words):
            number, noun = int(found[1]), found[2]
            before = text.words[: found.start()].rstrip().rpartition(" ")[2].lower()
            if noun not in _FORMS or before in ("из", "больше", "около", "чаще"):
                continue
            last, teen = number % 10, 11 <= number % 100 <= 14
            wanted = 0 if last == 1 and not teen else 1 if last in (2, 3, 4) and not teen else 2
            if _FORMS[noun] != wanted and noun != "человек":
                yield f"{found[0]!r} in {text.words[:120]!r}"


_CLOCK = re.compile(r"(?<![\d:])(\d{1,2}:\d{2})(?![\d:])(?:[ ,]+([A-Z][A-Za-z_]+))?")


def clock_times(page: str) -> list[tuple[str, str]]:
    """(time, its text), of each absolute time that stands without a zone, in order."""
    found = []
    for text in texts_of(page):
        # Countdowns are lengths. A place that names its zone may keep another clock.
        if not {"counted", "local", "option", "hours", "rect", "problems"}.intersection(text.place):
            found += [(at, text.words) for at, zone in _CLOCK.findall(text.words) if not zone]
    return found
