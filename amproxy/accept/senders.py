"""The news of each source: accepted pushes, the last refusal, a clock that is wrong.

A process collects it and writes it once a second, beside the pushes: none waits for it.
"""

from __future__ import annotations

import asyncio
import re
from typing import Final, NamedTuple

from msgspec.structs import replace

from amproxy import metrics
from amproxy.accept.body import Scope
from amproxy.context import Context
from amproxy.errors import StoreUnavailable
from amproxy.log import EventLog
from amproxy.repeats import Trouble
from amproxy.secret import HIDDEN, hide_secrets
from amproxy.store.sources import MAX_SOURCES, Refusal, SourceNews, save_news
from amproxy.text import Phrase, PhraseValue, Words

log = EventLog(__name__)

SENDER: Final = "amproxy.sender"  # key of a scope: the name of the source, once it is known
SENT: Final = "amproxy.sent"  # key of a scope: the beginning of the body, once it is read
WRITE_SECONDS: Final = 1.0
MAX_NAME: Final = 200  # characters of a name that a sender chose
MAX_BODY: Final = 2000  # characters of a refused body that are shown
MAX_SENT: Final = 4 * MAX_BODY  # bytes of it that are kept until its secrets are hidden
CUT_MARGIN: Final = 200  # characters at the end of what is kept: half a secret is not recognised
MAX_REASON: Final = 300  # characters of each text in it
SUSPICIOUS_PUSHES: Final = 2  # in a row, after the first, whose alerts were all over on arrival
# Names are bounded on both sides, so that no body makes the search long.
_HIDDEN_WORD: Final = (
    r"passw|pwd|secret|token|api[_-]?key|auth|credential|cookie|session"
    r"|(?:routing|service|integration|access|private)[_-]?key"
)
_HIDDEN_NAME: Final = rf"[\w.-]{{0,40}}(?:{_HIDDEN_WORD})[\w.-]{{0,40}}"
# In JSON (also inside of a text), in a form, in a header's value, and in an address.
_SECRETS: Final = (
    (
        re.compile(
            rf'(\\?"{_HIDDEN_NAME}\\?"\s*:\s*)(?:\\?"(?:\\.|[^"\\])*(?:\\?"|$)|[^\s,}}\]"]+)',
            re.IGNORECASE,
        ),
        rf'\1"{HIDDEN}"',
    ),
    (
        re.compile(rf'((?:^|[?&\s;"]){_HIDDEN_NAME}=)[^&\s;"]+', re.IGNORECASE),
        rf"\1{HIDDEN}",
    ),
    (re.compile(r"\b(bearer|basic)\s+[\w.~+/=-]{6,}", re.IGNORECASE), rf"\1 {HIDDEN}"),
    (re.compile(r"(\w://)[^/\s\"@]{1,200}@"), rf"\1{HIDDEN}@"),
)
# Controls, and what turns the direction of a text or takes no room.
_UNSEEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069]")


class PushTimes(NamedTuple):
    """The ends in one push to the alerts API."""

    all_over: bool  # every alert of it was over when it came
    latest_end_ns: int
    ended_here: bool  # one of them fired here until now


class _SenderClock:
    """The clock of a source, as the ends of its alerts tell of it.

    An alert that has ended keeps its end; one that fires gets a later one with every push. So ends
    that move on, and are past when they come, are those of a clock that is behind.
    """

    def __init__(self, source: str) -> None:
        self._trouble = Trouble(
            *(log, "every alert was over on arrival", "alerts arrive in time again"), source=source
        )
        self._latest = self._moved = 0
        self._is_wrong: bool | None = None  # None = not known yet

    def look(self, push: PushTimes, now_ns: int) -> float | None:
        """Return by how many seconds the clock is behind at least, 0 = it is right again.

        None: a push that says nothing new.
        """
        if not push.all_over or push.ended_here:
            self._latest = self._moved = 0
            was, self._is_wrong = self._is_wrong, False
            self._trouble.end()
            return None if was is False else 0.0
        if push.latest_end_ns > self._latest:
            self._moved += bool(self._latest)
            self._latest = push.latest_end_ns
        if self._moved < SUSPICIOUS_PUSHES:
            return None
        self._is_wrong = True
        self._trouble.note("the clock of the source seems to be behind")
        return max(1.0, round((now_ns - push.latest_end_ns) / 10**9, 1))


class SenderLog:
    """The news of all sources in one process."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._news: dict[str, SourceNews] = {}
        self._bodies: dict[str, bytes] = {}  # of the last refusals, as sent
        self._clocks: dict[str, _SenderClock] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None

    def note_push(self, source: str, alerts: int) -> None:
        """Note a push that was accepted."""
        _, news = self._find_news(source)
        news.pushes += 1
        news.alerts += alerts
        news.last_push, news.last_alerts = self._context.now(), alerts

    def note_refusal(self, scope: Scope, status: int, reason: Words) -> None:
        """Note a push that was refused, in whole or in part."""
        client = scope.get("client")
        name, news = self._find_news(scope.get(SENDER, ""))
        news.refused += 1
        news.refusal = Refusal(
            at=self._context.now(),
            status=status,
            reason=_tidy_words(reason),
            client=client[0] if client else "",
        )
        self._bodies[name] = scope.get(SENT, b"")

    def note_ends(self, source: str, push: PushTimes, now_ns: int) -> None:
        """Look at the ends of a push to the alerts API: they tell of the sender's clock."""
        clock = self._clocks.get(source)
        if clock is None:
            clock = self._clocks[source] = _SenderClock(source)
        behind = clock.look(push, now_ns)
        if behind is not None:
            metrics.clock_behind.labels(source).set(behind)
            self._find_news(source)[1].clock_behind = behind

    def close(self) -> None:
        """Stop writing."""
        if self._timer:
            self._timer.cancel()
        if self._task:
            self._task.cancel()

    def _find_news(self, source: str) -> tuple[str, SourceNews]:
        """The name under which a source is kept, and its news."""
        name = tidy(source)[:MAX_NAME]
        news = self._news.get(name)
        if news is None:
            if len(self._news) >= MAX_SOURCES:  # a flood of names, or Redis is away for long
                name = ""
            news = self._news.setdefault(name, SourceNews())
        if self._timer is None and self._task is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(WRITE_SECONDS, self._begin_write)
        return name, news

    def _begin_write(self) -> None:
        self._timer = None
        self._task = asyncio.get_running_loop().create_task(self._write())

    async def _write(self) -> None:
        news, self._news = self._news, {}
        bodies, self._bodies = self._bodies, {}
        for name, body in bodies.items():
            if refusal := news[name].refusal:
                news[name].refusal = replace(refusal, body=shown_body(body))
        try:
            await save_news(self._context.wire, news, self._context.now())
        except StoreUnavailable:
            # Written when Redis is back, with what has come since.
            for name, one in news.items():
                self._news[name] = _add(one, self._news.get(name))
        finally:
            self._task = None
        if self._news:
            self._timer = asyncio.get_running_loop().call_later(WRITE_SECONDS, self._begin_write)


def _add(old: SourceNews, new: SourceNews | None) -> SourceNews:
    if new is None:
        return old
    return SourceNews(
        pushes=old.pushes + new.pushes,
        alerts=old.alerts + new.alerts,
        last_push=new.last_push or old.last_push,
        last_alerts=new.last_alerts if new.last_push else old.last_alerts,
        refused=old.refused + new.refused,
        refusal=new.refusal or old.refusal,
        clock_behind=old.clock_behind if new.clock_behind is None else new.clock_behind,
    )


def keep_body(scope: Scope, body: bytes) -> None:
    """Keep the beginning of a body, for the case that it is refused."""
    scope[SENT] = body[: MAX_SENT + 1]


def shown_body(body: bytes) -> str:
    """The beginning of a body as text, without secrets and without what nobody could see."""
    text = hide_secrets(body[:MAX_SENT].decode("utf-8", "replace"))
    for pattern, hidden in _SECRETS:
        text = pattern.sub(hidden, text)
    if len(body) > MAX_SENT and not text.endswith(f'{HIDDEN}"'):
        text = text[:-CUT_MARGIN]
    is_cut = len(body) > MAX_SENT or len(text) > MAX_BODY
    return tidy(text[:MAX_BODY]) + ("…" if is_cut else "")


def _tidy_words(words: Words) -> Words:
    """A reason without what would spoil a page, and with its texts cut."""
    if isinstance(words, str):
        return tidy(words)[:MAX_REASON]
    return Phrase(words.key, {name: _tidy_value(value) for name, value in words.values.items()})


def _tidy_value(value: PhraseValue) -> PhraseValue:
    if isinstance(value, str | Phrase):
        return _tidy_words(value)
    return tuple(map(_tidy_words, value)) if isinstance(value, tuple) else value


def tidy(text: str) -> str:
    """A text without what would spoil a terminal or a page."""
    return _UNSEEN.sub("\ufffd", text.encode("utf-8", "replace").decode())
