"""One reason why somebody was not paged, and how specific it is."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple


class Rank(IntEnum):
    """The most specific first."""

    PAGE = 1  # what became of a page to the person
    PERSON = 2  # what the machine wrote about the person
    RULES = 3  # the person's own rules waited
    ELSEWHERE = 4  # the incident is part of another one
    HELD = 5  # nothing of the policy ran
    STEP = 6  # a step that is for the person was skipped, or took somebody else
    AHEAD = 7  # a step that is for the person did not get its turn
    NOT_ON_CALL = 8  # a step asked for somebody else
    NEVER = 9  # nothing of the policy gets to the person
    NO_CONTACT = 10
    ENDED = 11  # the policy is over
    RECEIVER = 12  # a chat was told


class Reason(NamedTuple):
    rank: Rank
    text: str  # a sentence
