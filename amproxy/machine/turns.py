"""`pick: round_robin`: one of several people, each time the next in the order of the list."""

from __future__ import annotations

from collections.abc import Sequence

from amproxy.machine.draft import Draft


def take(draft: Draft, of: str, people: Sequence[str], present: Sequence[str]) -> str:
    """Whose turn it is. Who is not present is passed over, without moving the order.

    of: what the list is called. people: the whole list; present: those of it who may be taken, at least one. The pointer is
    committed with the incident and guarded, so that two incidents never take the same turn.
    """
    key = f"{draft.incident.policy}/{draft.incident.position}/{of}"
    turn = draft.turns.get(key, 0)
    passed = next(passed for passed in range(len(people)) if people[(turn + passed) % len(people)] in present)
    expected = draft.moved_turns.get(key, (turn, 0))[0]
    draft.turns[key] = turn + passed + 1
    draft.moved_turns[key] = expected, turn + passed + 1
    return people[(turn + passed) % len(people)]
