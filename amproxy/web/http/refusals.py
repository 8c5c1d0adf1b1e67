"""The reasons of refusals as phrases: raised by those who read requests, shown by pages and API."""

from __future__ import annotations

from starlette.exceptions import HTTPException

from amproxy.config.structs import Config
from amproxy.text import DEFAULT_LANGUAGE, Phrase, load_texts
from amproxy.text.render import render_phrase


class RefusedRequest(HTTPException):
    """A request that is refused for what it says, with the reason as a phrase."""

    def __init__(self, status: int, phrase: Phrase) -> None:
        super().__init__(status, str(phrase))
        self.phrase = phrase


def error_phrase(error: Exception) -> Phrase:
    """The reason that an error was raised with; words that are no phrase are an argument of one."""
    reason = error.args[0] if error.args else ""
    return reason if isinstance(reason, Phrase) else words_phrase(str(error))


def words_phrase(text: str) -> Phrase:
    """Words from below, such as a system's, as a phrase."""
    return Phrase("refusal.words", {"text": text})


def english_text(phrase: Phrase, config: Config) -> str:
    """A phrase in the language of the API, with people's full names."""
    return render_phrase(phrase, load_texts(DEFAULT_LANGUAGE), config.full_name)
