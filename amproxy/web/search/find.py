"""Find incidents, people, schedules, policies and pages by a text; pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, Literal, NamedTuple
from urllib.parse import quote

from amproxy.config.structs import Config
from amproxy.grouping.rights import user_teams
from amproxy.model import Incident, IncidentState
from amproxy.text import LANGUAGES, Texts, load_texts

MAX_TEXT = 200  # characters
MAX_WORDS = 8
MAX_OF_KIND = 8
MAX_FOUND = 20
OF_TEAM = 3  # the rank of what is found by the name of its team

FoundKind = Literal["incident", "person", "schedule", "policy", "page"]
KINDS: Final[tuple[FoundKind, ...]] = ("incident", "person", "schedule", "policy", "page")
_NUMBER = re.compile(r"#?([0-9]{1,9})", re.ASCII)


class Sought(NamedTuple):
    """A text as it is compared."""

    words: tuple[str, ...]  # casefolded; each must stand somewhere
    number: int | None  # of an incident

    @classmethod
    def parse(cls, text: str) -> Sought:
        number = _NUMBER.fullmatch(text.strip())
        # "#12" means the number alone; "12" may stand in a name as well
        words = [] if number and text.strip()[0] == "#" else text[:MAX_TEXT].casefold().split()
        return cls(tuple(words[:MAX_WORDS]), int(number[1]) if number else None)

    def rank(self, *names: str) -> int | None:
        """The place of the words in names: 0 the beginning of one, 1 that of a word, 2 elsewhere.

        None: not all words stand in them.
        """
        texts = [name.casefold() for name in names if name]
        if not self.words or not all(any(word in text for text in texts) for word in self.words):
            return None
        first = self.words[0]
        if any(text.startswith(first) for text in texts):
            return 0
        return 1 if any(f" {first}" in text.replace("-", " ") for text in texts) else 2


class Found(NamedTuple):
    kind: FoundKind
    title: str
    detail: str  # "#12", the name of a person, the team of a schedule; "" = none
    path: str  # below the address of the service
    state: IncidentState | None = None
    rank: int = 0  # the least comes first


def rank_found(
    sought: Sought, incidents: Iterable[Incident], others: Iterable[Found]
) -> list[Found]:
    """The best of all, at most MAX_OF_KIND of each kind. incidents: in order."""
    all_found = [*_incidents_found(sought, incidents), *others]
    of_kind = (
        sorted((one for one in all_found if one.kind == kind), key=lambda one: one.rank)[
            :MAX_OF_KIND
        ]
        for kind in KINDS
    )
    return sorted((one for some in of_kind for one in some), key=lambda one: one.rank)[:MAX_FOUND]


def _incidents_found(sought: Sought, incidents: Iterable[Incident]) -> Iterator[Found]:
    for one in incidents:
        is_meant = one.number == sought.number
        rank = -1 if is_meant else (sought.rank(one.title) or 0) + 2 * (one.state == "resolved")
        yield Found(
            "incident", one.title, f"#{one.number}", f"/incidents/{one.id}", one.state, rank
        )


def find_in_config(sought: Sought, config: Config) -> Iterator[Found]:
    """People, schedules and policies, by their own names and those of their teams."""
    for user in config.users.values():
        rank = _rank_with_teams(sought, (user.full_name, user.name), user_teams(config, user.name))
        if rank is not None:
            title = user.full_name or user.name
            detail = user.name if user.full_name else ""
            path = f"/people?text={quote(user.name)}#person-{quote(user.name)}"
            yield Found("person", title, detail, path, rank=rank)
    for schedule in config.schedules.values():
        if (rank := _rank_with_teams(sought, (schedule.name,), (schedule.team,))) is not None:
            path = f"/schedules/{quote(schedule.name, safe='')}"
            yield Found("schedule", schedule.name, schedule.team, path, rank=rank)
    for policy in config.policies.values():
        if (rank := _rank_with_teams(sought, (policy.name,), (policy.team,))) is not None:
            path = f"/policies/{quote(policy.name, safe='')}"
            yield Found("policy", policy.name, policy.team, path, rank=rank)


def _rank_with_teams(sought: Sought, own: Iterable[str], teams: Iterable[str]) -> int | None:
    """As `Sought.rank`; what only a team's name shows comes after all others."""
    names = tuple(own)
    rank = sought.rank(*names)
    if rank is None and sought.rank(*names, *teams) is not None:
        rank = OF_TEAM
    return rank


def find_pages(sought: Sought, pages: Sequence[tuple[str, str]], t: Texts) -> Iterator[Found]:
    """pages: (key of its name in the texts, path). Found by their names in any language."""
    languages = [load_texts(code) for code in LANGUAGES]
    for key, path in pages:
        if (rank := sought.rank(*(one.plain(key) for one in languages))) is not None:
            yield Found("page", t.plain(key), "", path, rank=rank)
