"""How people are told apart."""

from __future__ import annotations

from amproxy.web.http.format import assign_marks, assign_tones


def test_people_have_different_marks_even_where_their_initials_are_the_same() -> None:
    found = assign_marks(
        [
            ("a", "Alice Ash"),
            ("b", "Andrew Ames"),
            ("c", "Adam Ames"),
            ("d", "Anna Ames"),
            ("e", "Abe Ames"),
            ("bob", ""),
            ("f", ""),
        ]
    )
    assert found["a"] == "AA" and found["b"] == "AAm" and found["bob"] == "B"
    assert len(set(found.values())) == len(found)


def test_a_mark_is_made_of_letters_whatever_a_name_is_made_of() -> None:
    assert assign_marks(
        [("x", "<script>alert(1)</script> \u202e (Bob)"), ("y", "Дмитрий Дубов"), ("z", "…")]
    ) == {"x": "SA", "y": "ДД", "z": "?"}


def test_a_new_person_changes_nobodys_colour() -> None:
    before = assign_tones(["alice", "bob"])
    assert assign_tones(["alice", "bob", "carol"]).items() >= before.items()
    assert len(set(assign_tones([str(n) for n in range(12)]).values())) == 12
