"""Signed links."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tests.support.properties  # noqa: F401  # the settings of property tests
from amproxy import clock
from amproxy.respond.links import BadLink, ExpiredLink, SignedAction, SignedLinks

KEY = "a key that is long enough"
TEXT = st.text(st.characters(exclude_categories=["Cs"]))


@given(TEXT, st.integers(0, 10**6), TEXT, TEXT)
def test_a_link_gives_back_what_was_signed_and_fits_into_a_path(
    incident: str, epoch: int, user: str, arg: str
) -> None:
    token = SignedLinks(KEY).sign(incident, "snooze", epoch, user, arg)
    assert SignedLinks(KEY).verify(token, 60) == SignedAction(incident, "snooze", epoch, user, arg)
    assert set(token) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.")


def test_a_link_expires_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    links = SignedLinks(KEY)
    monkeypatch.setattr(clock, "now", lambda: 1_800_000_000.0)
    token = links.sign("i1", "acknowledge", 1, "alice")
    monkeypatch.setattr(clock, "now", lambda: 1_800_000_060.0)
    assert links.verify(token, 60).user == "alice"
    monkeypatch.setattr(clock, "now", lambda: 1_800_000_061.0)
    with pytest.raises(ExpiredLink, match="expired"):
        links.verify(token, 60)


def test_a_link_of_a_replica_whose_clock_is_ahead_is_good(monkeypatch: pytest.MonkeyPatch) -> None:
    links = SignedLinks(KEY)
    monkeypatch.setattr(clock, "now", lambda: 1_800_000_005.0)
    token = links.sign("i1", "resolve", 1, "alice")
    monkeypatch.setattr(clock, "now", lambda: 1_800_000_000.0)
    assert links.verify(token, 60).action == "resolve"


def test_any_change_of_a_link_makes_it_bad() -> None:
    links = SignedLinks(KEY)
    token = links.sign("i1", "acknowledge", 1, "alice")
    for place in range(len(token) - 1):
        changed = token[:place] + ("A" if token[place] != "A" else "B") + token[place + 1 :]
        with pytest.raises(BadLink, match="not valid"):
            links.verify(changed, 60)


@pytest.mark.parametrize(
    "token", ["", ".", "..", "a.b.c", "🙂", "\udc80", "A" * 100_000, ".eJw.x.y"]
)
def test_nonsense_is_a_bad_link_and_nothing_worse(token: str) -> None:
    with pytest.raises(BadLink):
        SignedLinks(KEY).verify(token, 60)


def test_a_link_of_another_key_is_bad() -> None:
    with pytest.raises(BadLink):
        SignedLinks(KEY).verify(
            SignedLinks("another key of some length").sign("i1", "acknowledge", 1, "alice"), 60
        )


@pytest.mark.parametrize(
    "said",
    [["i1", "delete", 1, "a", ""], ["i1", "resolve", "1", "a", ""], {"incident": "i1"}, [], None],
)
def test_what_we_signed_in_another_form_is_bad(said: Any) -> None:
    links = SignedLinks(KEY)
    with pytest.raises(BadLink):
        links.verify(str(links._serializer.dumps(said)), 60)


def test_a_link_cannot_be_made_for_an_unknown_action_or_with_a_short_key() -> None:
    with pytest.raises(ValueError, match="no action"):
        SignedLinks(KEY).sign("i1", "delete", 1, "alice")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="shorter"):
        SignedLinks("short")
