"""Silences found by an index: those that a look at each would find, however it has changed."""

from __future__ import annotations

import random
from collections.abc import Iterable

from amproxy.grouping.silence_index import SilenceIndex
from amproxy.labels.matchers import Matcher, Op, all_match
from amproxy.model import Silence

NAMES, VALUES = ("alertname", "job", "team"), ("a", "b", "c")
OPS: tuple[Op, ...] = ("=", "=", "=", "!=", "=~", "!~")
END = 100


def a_silence(dice: random.Random, number: int) -> Silence:
    def matcher() -> Matcher:
        return Matcher(dice.choice(NAMES), dice.choice(OPS), dice.choice((*VALUES, "a|b", "")))

    return Silence(
        id=f"s{number}",
        matcher_sets=[
            [matcher() for _ in range(dice.randint(1, 3))] for _ in range(dice.choice((1, 1, 2)))
        ],
        starts_ns=dice.randint(0, END),
        ends_ns=dice.randint(0, END),
    )


def some_labels(dice: random.Random) -> dict[str, str]:
    return {name: dice.choice(VALUES) for name in NAMES if dice.random() < 0.7}


def looked_through(silences: Iterable[Silence], labels: dict[str, str], at: int) -> list[str]:
    return sorted(
        one.id
        for one in silences
        if one.starts_ns <= at <= one.ends_ns
        and any(all_match(matchers, labels) for matchers in one.matcher_sets)
    )


def test_an_index_finds_what_a_look_at_each_finds_after_every_change() -> None:
    dice = random.Random(14)
    known = {one.id: one for one in (a_silence(dice, number) for number in range(40))}
    index = SilenceIndex(known.values())
    for _ in range(200):
        before, then = index, dict(known)
        stored = [a_silence(dice, dice.randint(0, 60)) for _ in range(dice.randint(0, 2))]
        gone = dice.sample(sorted(known), dice.randint(0, 1))
        index = index.changed(stored, gone)
        for name in gone:
            del known[name]
        known |= {one.id: one for one in stored}
        assert dict(index) == known
        at, labels = dice.randint(0, END), some_labels(dice)
        assert index.matching(labels, at) == looked_through(known.values(), labels, at)
        assert before.matching(labels, at) == looked_through(then.values(), labels, at)
        ended = sorted(name for name, one in known.items() if one.ends_ns < at)
        assert sorted(index.ended_before(at)) == ended
        assert index.is_over_at(at) == (len(ended) == len(known))


def test_where_only_some_labels_are_known_nothing_that_may_match_is_passed_over() -> None:
    dice = random.Random(15)
    for _ in range(300):
        silences = [a_silence(dice, number) for number in range(3)]
        common, at = some_labels(dice), dice.randint(0, END)
        wanted = any(
            all(one.matches(common) for one in matchers if one.name in common)
            for silence in silences
            if silence.ends_ns >= at
            for matchers in silence.matcher_sets
        )
        assert SilenceIndex(silences).may_match(common, at) == wanted
