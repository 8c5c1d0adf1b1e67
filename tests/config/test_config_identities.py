"""Nobody is taken for somebody else: what people are recognised by is each one's own."""

from __future__ import annotations

import pytest

from amproxy.config.identities import find_account, find_sign_in
from amproxy.config.loader import load_text
from amproxy.config.structs import Config, User
from amproxy.errors import ConfigError

FILE = "route: {receiver: r}\nreceivers: [{name: r}]\nusers:\n"
SIGN_IN = "sign_in: {passwords: true}\n"


def loaded(first: str, second: str, more: str = "") -> Config:
    return load_text(f"{FILE}  - {first}\n  - {second}\n{more}").config


ALICE = "{name: alice, role: admin, contacts: {email: Alice@Example.org, telegram: 111, slack: U012AB3CD}}"


@pytest.mark.parametrize(
    ("second", "column"),
    [
        ("{name: ALICE}", 12),
        ("{name: \uff41lice}", 12),  # a wide letter
        ('{name: "al\u200bice"}', 12),  # an invisible mark
        ("{name: bob, contacts: {email: alice@EXAMPLE.ORG}}", 35),
        ("{name: bob, contacts: {email: alice\uff20example.org}}", 35),
        ("{name: bob, contacts: {email: ' alice@example.org '}}", 35),
        ("{name: bob, contacts: {email: Alice}}", 35),  # the name instead of the address
        ("{name: alice@example.org}", 12),
        ("{name: bob, contacts: {telegram: 111}}", 38),
        ("{name: bob, contacts: {telegram: '0111'}}", 38),
        ("{name: bob, contacts: {telegram: ' 111'}}", 38),
        ("{name: bob, contacts: {telegram: '\u0661\u0661\u0661'}}", 38),  # other digits
        ("{name: bob, contacts: {slack: u012ab3cd}}", 35),
    ],
)
def test_an_identity_of_somebody_else_is_refused_at_its_place_and_names_both(
    second: str, column: int
) -> None:
    with pytest.raises(ConfigError) as error:
        loaded(ALICE, second, SIGN_IN)
    [problem] = error.value.problems
    assert (problem.line, problem.column) == (5, column), problem
    assert "user 'alice' (line 4)" in problem.message
    assert problem.message.count("user ") == 2


@pytest.mark.parametrize(
    ("first", "second", "more"),
    [
        # a mailbox that several people read signs nobody in
        (
            "{name: a, contacts: {email: team@example.org}}",
            "{name: b, contacts: {email: team@example.org}}",
            "",
        ),
        (
            "{name: a, contacts: {telegram: -100123}}",
            "{name: b, contacts: {telegram: -100123}}",
            SIGN_IN,
        ),
        ("{name: a, contacts: {slack: '#ops'}}", "{name: b, contacts: {slack: '#ops'}}", SIGN_IN),
        (
            "{name: a, contacts: {slack: C012AB3CD}}",
            "{name: b, contacts: {slack: C012AB3CD}}",
            SIGN_IN,
        ),
        (
            "{name: a, contacts: {webhook: 'http://h.example/x', phone: '1', console: x}}",
            "{name: b, contacts: {webhook: 'http://h.example/x', phone: '1', console: x}}",
            SIGN_IN,
        ),
        ("{name: a, contacts: {email: a}}", "{name: b, contacts: {email: b}}", SIGN_IN),
    ],
)
def test_what_only_receives_may_be_shared(first: str, second: str, more: str) -> None:
    assert len(loaded(first, second, more).users) == 2


def test_people_are_found_as_they_are_compared() -> None:
    users = loaded(ALICE, "{name: bob, contacts: {telegram: '0222'}}", SIGN_IN).users.values()

    def name(user: User | None) -> str:
        return user.name if user else ""

    for text in ("alice", "ALICE@example.org", " alice "):
        assert name(find_sign_in(users, text)) == "alice", text
    # a provider may know somebody else by a name that looks like hers
    for text in ("", " ", "carol", "111", "U012AB3CD", "\uff21lice", "al\u200bice"):
        assert find_sign_in(users, text) is None, text
    assert name(find_account(users, "telegram", "222")) == "bob"
    assert name(find_account(users, "slack", "U012AB3CD")) == "alice"
    assert find_account(users, "telegram", "") is None
