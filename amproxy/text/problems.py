"""Parts of errors about the file and about matchers as phrases in any language. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from amproxy.errors import ConfigProblem, SideProcessFailed
from amproxy.labels.matchers import BadMatcher
from amproxy.text import Phrase

_MAX_LISTED: Final = 20  # problems of a file in one sentence


def problems_phrase(problems: Sequence[ConfigProblem]) -> Phrase:
    """All problems of a file in one sentence, each with its place; there is one at least."""
    listed = [located_phrase(problem) for problem in problems[:_MAX_LISTED]]
    if len(problems) > _MAX_LISTED:
        listed.append(Phrase("problem.more_errors", {"count": len(problems) - _MAX_LISTED}))
    return joined("problem.and", listed)


def located_phrase(problem: ConfigProblem) -> Phrase:
    """A problem with its place in front of it."""
    return Phrase(
        "problem.located",
        {
            "file": problem.file,
            "line": problem.line,
            "column": problem.column,
            "words": problem.words,
        },
    )


def alternatives(words: Sequence[str], *, quoted: bool = False) -> Phrase:
    """Words of which any will do: "a or b"."""
    key = "problem.quoted" if quoted else "problem.word"
    return joined("problem.or", [Phrase(key, {"word": word}) for word in words])


def side_process_fault(error: SideProcessFailed) -> Phrase:
    """The reason why work beside the service was not done."""
    return Phrase(f"problem.beside_{error.fault}", {"said": error.said})


def joined(key: str, phrases: Sequence[Phrase]) -> Phrase:
    """Phrases one after the other, by the text that joins the `first` to the `rest`."""
    found = phrases[-1]
    for phrase in reversed(phrases[:-1]):
        found = Phrase(key, {"first": phrase, "rest": found})
    return found


def matcher_fault(error: BadMatcher) -> Phrase:
    """The reason why a text is no matcher; that of a regular expression is RE2's own."""
    if error.fault == "regex":
        return Phrase("refusal.regex", {"pattern": error.text[:200], "said": error.said[:100]})
    if error.fault is not None:
        what = Phrase(f"refusal.matcher_{error.fault}", {"said": error.said[:200]})
        if not error.column:
            return Phrase("refusal.matcher_text", {"text": error.text[:200], "what": what})
    else:
        what = Phrase(f"refusal.expected_{error.expected}")
    column = str(error.column)
    return Phrase("refusal.syntax", {"text": error.text[:200], "what": what, "column": column})
