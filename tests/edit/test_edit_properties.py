"""Whatever is changed, the file says exactly that afterwards, and every line outside of the entry is the one that was there."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

import tests.support.properties  # noqa: F401  # the settings of property tests
from amproxy.config.yaml import parse_layout
from amproxy.edit.change import ConfigEntryChange, edit_text
from amproxy.edit.sections import to_json
from tests.support import cases
from tests.support.config.edited import FILE, said

BLOCKS = """\
route:
    receiver: r
# before

escalation_policies:
    # the first
    - name: main
      steps:
        # one
        - notify:
            schedule: primary
            # deep
            position: next   # who comes
          matchers:
            - a="b"          # only there

        - wait: 5m

        # two
        - forward: other     # the end
    # the second
    - name: other
      repeat:
        times: 2
      steps: []
# after
"""
EXAMPLE = cases.EXAMPLE.read_text("utf-8")
POLICIES = EXAMPLE[EXAMPLE.index("escalation_policies:") :]  # the rest takes its time to parse
TEXTS = [
    (POLICIES, "platform"),
    (POLICIES, "database"),
    (FILE, "main"),
    (FILE, "other"),
    (BLOCKS, "main"),
    (BLOCKS, "other"),
]

words = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=8).filter(
    lambda text: "${" not in text
)
people = st.sampled_from(["alice", "боб", "a b", "5", "yes"])
conditions = st.fixed_dictionaries(
    {},
    optional={
        "matchers": st.lists(words, min_size=1, max_size=2),
        "active_time_intervals": st.just(["nights"]),
        "if_nobody": st.just({"user": "alice"}),
    },
)
notified = st.one_of(
    st.fixed_dictionaries({"schedule": words}, optional={"position": st.just("next")}),
    st.fixed_dictionaries(
        {"users": st.lists(people, max_size=3)}, optional={"urgency": st.just("important")}
    ),
)
new_steps = st.one_of(
    st.builds(lambda notify, rest: {"notify": notify, **rest}, notified, conditions),
    st.builds(lambda length: {"wait": length}, st.sampled_from(["1m", "5m", "90s"])),
    st.builds(lambda n: {"wait_for_alerts": {"more_than": n, "within": "5m"}}, st.integers(0, 99)),
    st.just({"resolve": True}),
)
keys = st.fixed_dictionaries(
    {},
    optional={
        "repeat": st.one_of(st.integers(0, 3), st.just({"times": 2, "from": 1}), st.none()),
        "team": st.one_of(words, st.none()),
        "storm": st.one_of(st.just({"more_than": 5, "within": "1m"}), st.none()),
        "acknowledge_timeout": st.one_of(st.just("1h"), st.none()),
        "if_nobody": st.one_of(st.just("next_step"), st.just({"user": "боб"})),
    },
)


@st.composite
def changes(draw: st.DrawFn) -> tuple[str, str, dict[str, Any]]:
    """A file, a policy of it, and keys to set: its steps shuffled, changed, left out, and mixed with new ones."""
    text, name = draw(st.sampled_from(TEXTS))
    steps: list[Any] = draw(st.permutations(said(text, "escalation_policies", name)["steps"]))
    kept = [step for step in steps if draw(st.booleans())]
    for step in draw(st.lists(new_steps, max_size=3)):
        kept.insert(draw(st.integers(0, len(kept))), step)
    return text, name, {**draw(keys), "steps": kept}


@settings(deadline=None, max_examples=60)
@given(changes())
def test_a_policy_says_what_was_wanted_and_the_rest_stands_where_it_stood(
    found: tuple[str, str, dict[str, Any]],
) -> None:
    text, name, wanted = found
    result = edit_text(
        text, ConfigEntryChange(section="escalation_policies", name=name, set=wanted)
    )
    after = said(result, "escalation_policies", name)
    before = said(text, "escalation_policies", name)
    assert after == {key: value for key, value in {**before, **wanted}.items() if value is not None}
    assert outside(result, name) == outside(text, name)
    assert (
        edit_text(result, ConfigEntryChange(section="escalation_policies", name=name, set=wanted))
        == result
    )
    back = {**dict.fromkeys(wanted), **{key: before[key] for key in wanted if key in before}}
    again = edit_text(result, ConfigEntryChange(section="escalation_policies", name=name, set=back))
    assert said(again, "escalation_policies", name) == before and outside(again, name) == outside(
        text, name
    )


def outside(text: str, name: str) -> tuple[list[str], list[str]]:
    """The lines before a policy and after it."""
    root = parse_layout(text, "f")
    entries = next(one for one in root.elements if one.key == "escalation_policies").value.elements  # type: ignore[union-attr]
    names = [to_json(one.value.data)["name"] for one in entries]
    place = names.index(name)
    end = entries[place + 1].begin if place + 1 < len(entries) else len(text)
    after = (
        [line for line in text[end:].split("\n") if line.strip()]
        if place + 1 < len(entries)
        else text.rstrip("\n").split("\n")[-1:]
    )
    return text[: entries[place].begin].split("\n"), after
