"""A change to the file touches the lines that say something else, and no others: whatever stands there stays as its author wrote it."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any

import pytest

from amproxy.config.yaml import parse_layout
from amproxy.edit.change import EDITABLE_KEYS, ConfigEntryChange, SectionName, edit_text
from amproxy.edit.sections import read_file_sections, to_json
from amproxy.errors import ConfigProblem, NotFound, Uneditable
from tests.support import cases
from tests.support.config.edited import FILE, said

EXAMPLE = cases.EXAMPLE.read_text("utf-8")


def lines(before: str, after: str) -> list[str]:
    """The lines that went and came."""
    found = difflib.unified_diff(before.splitlines(), after.splitlines(), n=0, lineterm="")
    return [line for line in found if not line.startswith(("---", "+++", "@@"))]


def change(section: SectionName, entry: str, **set: Any) -> ConfigEntryChange:
    return ConfigEntryChange(section=section, name=entry, set=set)


@pytest.mark.parametrize("text", [EXAMPLE, FILE], ids=["example", "odd"])
def test_a_change_to_what_is_there_already_changes_not_a_byte(text: str) -> None:
    for section, keys in EDITABLE_KEYS.items():
        for entry in to_json(getattr(parse_layout(text, "f"), "data", {}))[section]:
            same = {key: value for key, value in entry.items() if key in keys}
            assert (
                edit_text(text, ConfigEntryChange(section=section, name=entry["name"], set=same))
                == text
            )


@pytest.mark.parametrize("ending", ["\n", "\r\n"], ids=["unix", "windows"])
@pytest.mark.parametrize("mark", ["", "\ufeff"], ids=["plain", "bom"])
def test_line_ends_and_a_byte_order_mark_stay(ending: str, mark: str) -> None:
    text = mark + FILE.replace("\n", ending)
    result = edit_text(
        text,
        change(
            "escalation_policies",
            "main",
            repeat=2,
            steps=[{"wait": "9m"}, {"notify": {"users": ["alice"]}}],
        ),
    )
    assert result.startswith(mark + "# Team file") and result.count("\n") == result.count(ending)
    assert said(result.replace("\r", ""), "escalation_policies", "main")["repeat"] == 2


def test_a_step_that_moves_takes_its_comments_along() -> None:
    first, wait, lead = said(FILE, "escalation_policies", "main")["steps"]
    result = edit_text(FILE, change("escalation_policies", "main", steps=[wait, lead, first]))
    assert result[result.index("  steps:") : result.index("\n- name: other")] == (
        "  steps:                  # keep it short\n"
        "  - wait: 5m              # long enough to find a laptop\n"
        "      # and a chair\n"
        "  - notify:\n"
        "      users: [alice]      # the lead\n"
        "    matchers: ['severity=\"critical\"']\n"
        "  # whoever is on call\n"
        "  - notify: {schedule: primary}\n"
    )


def test_a_value_changes_in_its_place_with_its_comment_in_its_column() -> None:
    first, _, lead = said(FILE, "escalation_policies", "main")["steps"]
    lead["notify"]["users"] = ["alice", "боб"]
    result = edit_text(
        FILE, change("escalation_policies", "main", steps=[first, {"wait": "90s"}, lead])
    )
    assert lines(FILE, result) == [
        "-  - wait: 5m              # long enough to find a laptop",
        "+  - wait: 90s             # long enough to find a laptop",
        "-      users: [alice]      # the lead",
        "+      users: [alice, боб] # the lead",
    ]


def test_a_step_that_goes_takes_its_comments_with_it_and_a_new_one_is_indented_as_the_others() -> (
    None
):
    first, _, lead = said(FILE, "escalation_policies", "main")["steps"]
    new = {
        "notify": {"schedule": "primary", "position": "next"},
        "if_nobody": {"user": "боб"},
        "matchers": ['team=~"a|b"', "x!=y"],
    }
    result = edit_text(
        FILE,
        change("escalation_policies", "main", steps=[first, new, lead], acknowledge_timeout="4h"),
    )
    assert lines(FILE, result) == [
        "+  acknowledge_timeout: 4h",
        "-  - wait: 5m              # long enough to find a laptop",
        "-      # and a chair",
        "+  - notify: {schedule: primary, position: next}",
        "+    if_nobody: {user: боб}",
        '+    matchers: [team=~"a|b", x!=y]',
    ]


def test_a_list_in_brackets_stays_in_brackets() -> None:
    steps = said(FILE, "escalation_policies", "other")["steps"]
    result = edit_text(
        FILE, change("escalation_policies", "other", steps=[*steps, {"notify": {"team": "ops"}}])
    )
    assert lines(FILE, result) == [
        "-  steps: [{notify: {users: [alice]}}, {wait: 1m}]",
        "+  steps: [{notify: {users: [alice]}}, {wait: 1m}, {notify: {team: ops}}]",
    ]


def test_the_turns_of_a_layer_change_and_the_other_layer_stays() -> None:
    weekly, nights = said(FILE, "schedules", "primary")["layers"]
    weekly["users"] = [["alice", "боб"], "боб", "alice"]
    weekly["rotation"]["every"] = "2w"
    assert lines(
        FILE, edit_text(FILE, change("schedules", "primary", layers=[weekly, nights]))
    ) == [
        "+    - [alice, боб]",
        "+    - боб",
        "-    - боб",
        "-    rotation: {every: 1w,",
        "+    rotation: {every: 2w,",
    ]


def test_a_layer_goes_with_its_comments_and_the_order_of_layers_can_turn() -> None:
    weekly, nights = said(FILE, "schedules", "primary")["layers"]
    turned = edit_text(FILE, change("schedules", "primary", layers=[nights, weekly]))
    assert (
        turned.index("# the nights")
        < turned.index("#rotation: {every: 1d}")
        < turned.index("# the week")
        < turned.index("# Mondays")
    )
    alone = edit_text(FILE, change("schedules", "primary", layers=[nights]))
    assert (
        "# Mondays" not in alone
        and "# the week\n" not in alone
        and "# the nights" in alone
        and "# Agreed in spring." in alone
    )


def test_quotes_and_spacing_of_contacts_stay_and_a_number_stays_a_number() -> None:
    result = edit_text(
        FILE,
        change(
            "users",
            "alice",
            contacts={"telegram": "333", "email": "b@example.org", "slack": "U0: x"},
        ),
    )
    assert lines(FILE, result) == [
        "-        contacts: { telegram: 111,   email: 'a@example.org' }",
        "+        contacts: { telegram: 333,   email: 'b@example.org',   slack: 'U0: x' }",
    ]


def test_members_of_a_team_that_stands_in_one_line_change_in_it() -> None:
    assert lines(FILE, edit_text(FILE, change("teams", "ops", members=["боб"]))) == [
        "-teams: [{name: ops, members: [alice, боб]}]",
        "+teams: [{name: ops, members: [боб]}]",
    ]


def test_rules_hours_and_notices_are_added_in_the_manner_of_the_file() -> None:
    rules = {"default": [{"notify": ["telegram", "email"]}, {"wait": "5m"}]}
    result = edit_text(
        FILE,
        change(
            "users",
            "alice",
            notification_rules=rules,
            timezone="Europe/Berlin",
            notices={"leaving": "email"},
        ),
    )
    assert lines(FILE, result) == [
        "+        timezone: Europe/Berlin",
        "+        notification_rules:",
        "+          default:",
        "+          - notify: [telegram, email]",
        "+          - wait: 5m",
        "+        notices: {leaving: email}",
    ]


def test_a_policy_is_added_at_the_end_and_set_apart_like_the_others() -> None:
    new = {
        "name": "night",
        "team": "ops",
        "steps": [{"notify": {"team": "ops"}}, {"wait": "5m"}],
        "if_nobody": {"user": "alice"},
    }
    result = edit_text(FILE, ConfigEntryChange(section="escalation_policies", set=new))
    assert result.endswith(
        "  steps: [{notify: {users: [alice]}}, {wait: 1m}]\n\n"
        "- name: night\n  team: ops\n  steps:\n  - notify: {team: ops}\n  - wait: 5m\n  if_nobody: {user: alice}\n# The end.\n"
    )


def test_a_section_that_is_not_there_yet_is_added() -> None:
    result = edit_text(
        "route: {receiver: r}\n",
        ConfigEntryChange(section="schedules", set={"name": "s", "layers": [{"users": ["alice"]}]}),
    )
    assert (
        result
        == "route: {receiver: r}\nschedules:\n  - name: s\n    layers:\n      - users: [alice]\n"
    )


def test_a_policy_is_deleted_with_what_belongs_to_it() -> None:
    result = edit_text(
        FILE, ConfigEntryChange(section="escalation_policies", name="other", delete=True)
    )
    assert result.endswith("    matchers: ['severity=\"critical\"']\n# The end.\n")


def test_a_new_name_is_used_wherever_the_old_one_was() -> None:
    result = edit_text(FILE, change("schedules", "primary", name="first line"))
    assert lines(FILE, result) == [
        "-- name: primary",
        "+- name: first line",
        "-  - notify: {schedule: primary}",
        "+  - notify: {schedule: first line}",
    ]
    result = edit_text(FILE, change("escalation_policies", "main", name="Haupt: 1"))
    assert "- {escalation_policy: 'Haupt: 1'} # the only one" in result


@pytest.mark.parametrize(
    "text",
    [
        "",
        "5",
        "true",
        "null",
        "~",
        " a",
        "a ",
        "a: b",
        "a #b",
        "-",
        "- a",
        "?",
        "*x",
        "&x",
        "!x",
        "%",
        "@",
        "`",
        "'",
        '"',
        "a?b",
        'a":b',
        "a:&b",
    ],
)
def test_a_text_is_a_text_whatever_it_looks_like(text: str) -> None:
    for name in ("alice", "боб"):
        result = edit_text(
            FILE,
            change(
                "users",
                name,
                full_name=text,
                contacts={"telegram": text, "email": f"{text},[]{{}}"},
            ),
        )
        entry = said(result, "users", name)
        assert (
            entry["full_name"] == text
            and str(entry["contacts"]["telegram"]).lower() == text
            and entry["contacts"]["email"] == f"{text},[]{{}}"
        )


def test_a_text_in_the_place_of_another_is_no_number() -> None:
    steps = [{"notify": {"schedule": "0"}}]
    result = edit_text(FILE, change("escalation_policies", "main", steps=steps))
    assert said(result, "escalation_policies", "main")["steps"] == steps


@pytest.mark.parametrize(
    "text", ["a\nb", "\x07bell", "\u2028", "tab\there", "\\back", "😀", "\u202eturned", "a" * 5000]
)
def test_a_hostile_text_stays_within_its_value(text: str) -> None:
    result = edit_text(FILE, change("users", "alice", full_name=text))
    assert said(result, "users", "alice")["full_name"] == text
    assert len(result.split("\n")) == len(FILE.split("\n")) + 1


SHARED = """\
route: {receiver: r}
users:
  - &a
    name: alice
    contacts: &c {telegram: 1}
  - {name: bob, contacts: *c, full_name: "${NAME}"}
  - <<: *a
    name: carol
    full_name: Carol
"""


@pytest.mark.parametrize(
    ("name", "set", "reason"),
    [
        ("alice", {"contacts": {"telegram": 2}}, "line 4: this part is used elsewhere too (&a)"),
        ("bob", {"contacts": {"telegram": 2}}, "line 6: this part is written elsewhere (*c)"),
        ("bob", {"full_name": "Bob"}, "line 6: this value comes from the environment (${NAME})"),
        ("carol", {"contacts": {"telegram": 2}}, "contacts comes from a merge key (<<)"),
        ("carol", {"full_name": "${NAME}"}, "comes from the environment"),
        ("carol", {"role": "admin"}, "role of a user cannot be changed from here"),
    ],
)
def test_what_is_shared_or_not_the_files_own_is_refused_with_the_reason(
    name: str, set: dict[str, Any], reason: str
) -> None:
    with pytest.raises(Uneditable) as error:
        edit_text(SHARED, ConfigEntryChange(section="users", name=name, set=set))
    assert reason in str(error.value)


def test_what_stands_beside_something_shared_can_be_changed() -> None:
    assert lines(SHARED, edit_text(SHARED, change("users", "carol", full_name="Carol Cedar"))) == [
        "-    full_name: Carol",
        "+    full_name: Carol Cedar",
    ]
    assert "timezone: UTC" in edit_text(SHARED, change("users", "bob", timezone="UTC"))


def test_comments_between_entries_in_brackets_are_not_lost_but_refused() -> None:
    text = "teams:\n  - name: ops\n    members: [alice,  # first\n      bob]\n"
    with pytest.raises(Uneditable, match="comments stand between the entries in brackets"):
        edit_text(text, change("teams", "ops", members=["alice"]))


@pytest.mark.parametrize(
    "wrong",
    [
        ConfigEntryChange(section="users", set={"full_name": "x"}),
        ConfigEntryChange(section="teams", name="ops", delete=True),
        ConfigEntryChange(section="escalation_policies", set={"steps": []}),
        ConfigEntryChange(section="escalation_policies", name="main", set={"name": " "}),
        ConfigEntryChange(
            section="escalation_policies", name="main", set={"steps": []}, delete=True
        ),
        ConfigEntryChange(
            section="schedules", name="primary", set={"ical": {"file": "/etc/passwd"}}
        ),
        ConfigEntryChange(section="schedules", name="primary", set={"team": float("nan")}),
    ],
)
def test_what_is_no_change_is_refused(wrong: ConfigEntryChange) -> None:
    with pytest.raises(Uneditable):
        edit_text(FILE, wrong)


def test_an_entry_that_is_not_there_is_not_found() -> None:
    with pytest.raises(NotFound, match="the file has no policy 'nowhere'"):
        edit_text(FILE, change("escalation_policies", "nowhere", repeat=1))


def test_the_words_of_a_file_are_its_own_and_hide_the_address_of_a_calendar(tmp_path: Path) -> None:
    (tmp_path / "routes.yaml").write_text(EXAMPLE, "utf-8")
    words = read_file_sections(tmp_path / "routes.yaml")
    platform = words.entry("escalation_policies", "platform")
    assert (
        platform is not None and platform["repeat"] == 2 and platform["steps"][1] == {"wait": "5m"}
    )
    database = words.entry("schedules", "database")
    assert database is not None and database["ical"] == {
        "url": "<secret>",
        "overrides_url": "<secret>",
    }
    assert set(words.sections) == {"route", "users", "teams", "schedules", "escalation_policies"}


LAUGHS = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 9)
)


@pytest.mark.parametrize(
    "text",
    ["users: [", "users: *gone\n", "a: b: c\n", LAUGHS, "? [a]\n: b\n", "[" * 5000],
    ids=lambda text: text[:8],
)
def test_what_is_no_yaml_or_far_too_large_is_said_quickly(text: str) -> None:
    with pytest.raises((ConfigProblem, Uneditable)):
        edit_text(text, change("users", "alice", full_name="x"))
