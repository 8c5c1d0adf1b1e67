"""Rights by role and by team: the one decision for pages, API, chats and links. Pure.

A responder acts on what belongs to a team of theirs, or to no team. Every function here returns
the reason for a refusal, None = allowed; without sign-in everybody may do everything.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import reduce
from typing import Final, Literal

import msgspec

from amproxy.config.structs import Config
from amproxy.grouping.teams import Teams, alert_teams, is_pinned, possible_teams, receiver_teams
from amproxy.labels.matchers import Matcher
from amproxy.model import Incident
from amproxy.text import PeopleNames, Phrase, PhraseValue

Role = Literal["viewer", "responder", "admin"]
Via = Literal["open", "session", "token", "proxy", "basic", "chat", "link"]
_ROLE_RANK: Final[dict[str, int]] = {"none": -1, "viewer": 0, "responder": 1, "admin": 2}


class Principal(msgspec.Struct, frozen=True, kw_only=True):
    """Whoever acts. Without sign-in everybody may do everything as any user."""

    user: str = ""  # name in the file; "" = nobody in particular
    role: Role | Literal["none"] = "admin"
    teams: Teams = frozenset()  # that the user is a member of
    via: Via = "open"
    token: str = ""  # name of the API token
    answers: bool = True  # may act on what its user was paged for; no token for reading may


def principal_of_user(config: Config, name: str, via: Via) -> Principal:
    """The principal of a person; without sign-in an admin. One who left the file may nothing."""
    if config.sign_in is None:
        return Principal(user=name)
    user = config.users.get(name)
    return Principal(
        user=name, role=user.role if user else "none", teams=user_teams(config, name), via=via
    )


def user_teams(config: Config, name: str) -> Teams:
    return frozenset(team.name for team in config.teams.values() if name in team.members)


def refusal(principal: Principal, role: Role, teams: Iterable[str] = ()) -> Phrase | None:
    """Decide on a thing of these teams, a member of any of which may; none = everybody's."""
    owners = sorted(team for team in teams if team)
    has_role = _ROLE_RANK[principal.role] >= _ROLE_RANK[role]
    is_free = role == "viewer" or principal.role == "admin" or not owners
    if has_role and (is_free or principal.teams.intersection(owners)):
        return None
    values: dict[str, PhraseValue] = {
        "role": Phrase(f"refusal.role_{role}"),
        "own": Phrase(f"refusal.role_{principal.role}"),
        "user": PeopleNames((principal.user,) if principal.user else ()),
        "teams": _listed("refusal.either", owners),
    }
    if owners and has_role:
        return Phrase("refusal.needs_team_of" if principal.user else "refusal.needs_team", values)
    return Phrase("refusal.needs_role_of" if principal.user else "refusal.needs_role", values)


def _listed(joint: str, names: Sequence[str]) -> PhraseValue:
    """Names with "or" or "and" between them. joint: the text that joins two."""
    values: list[PhraseValue] = list(names)
    return reduce(lambda one, other: Phrase(joint, {"one": one, "other": other}), values or [""])


def incident_refusal(principal: Principal, incident: Incident) -> Phrase | None:
    """Decide on an action on an incident; those paged for it may act, of whatever team or role."""
    is_paged = bool(principal.user) and concerns_user(incident, principal.user)
    if is_paged and may_answer(principal):
        return None
    return refusal(principal, "responder", () if is_paged else (incident.team,))


def concerns_user(incident: Incident, user: str) -> bool:
    """True where a person was paged or asked for, or answered."""
    answered = (incident.acknowledged_by, incident.resolved_by, incident.snoozed_by)
    return (
        user in answered
        or user in incident.responders
        or any(page.user == user for page in incident.pages)
    )


def may_answer(principal: Principal) -> bool:
    """True where it may act on the incidents that its user was paged for, a viewer too."""
    return bool(principal.user) and principal.role != "none" and principal.answers


def schedule_refusal(principal: Principal, config: Config, name: str) -> Phrase | None:
    """Decide on a change of a schedule, also of one that is gone from the file."""
    schedule = config.schedules.get(name)
    return refusal(principal, "responder", (schedule.team,) if schedule else ())


def person_refusal(principal: Principal, config: Config, name: str) -> Phrase | None:
    """Decide on a person's absences and test pages: their own, their teams', all if in none."""
    own = bool(principal.user) and principal.user == name
    return refusal(principal, "responder", () if own else user_teams(config, name))


def receiver_refusal(principal: Principal, config: Config, name: str) -> Phrase | None:
    """Decide on a test of a receiver: it belongs to the teams whose policies it begins."""
    return refusal(principal, "responder", receiver_teams(config, name))


def mute_refusal(
    principal: Principal, config: Config, sets: Iterable[Sequence[Matcher]]
) -> Phrase | None:
    """Decide on a silence or window by the alerts that it can hide. sets: any is enough.

    What can only hide other teams' alerts is theirs. What can hide them besides one's own must
    name a value of some label.
    """
    if reason := refusal(principal, "responder"):
        return reason
    if principal.role == "admin":
        return None
    for matchers in sets:
        possible = possible_teams(config, matchers)
        foreign = [teams for teams in possible if _is_foreign(principal, teams)]
        if foreign and len(foreign) == len(possible):
            return refusal(principal, "responder", Teams().union(*foreign))
        if foreign and not is_pinned(matchers):
            others = _listed("refusal.both", sorted(Teams().union(*foreign)))
            return Phrase("refusal.could_hide", {"teams": others})
    return None


def hiding_refusal(
    principal: Principal, config: Config, firing: Iterable[Mapping[str, str]]
) -> Phrase | None:
    """Decide on hiding alerts with these labels, which fire now."""
    if principal.role == "admin":
        return None
    for labels in firing:
        if _is_foreign(principal, teams := alert_teams(config, labels)):
            return Phrase("refusal.would_hide", {"teams": _listed("refusal.both", sorted(teams))})
    return None


def _is_foreign(principal: Principal, teams: Teams) -> bool:
    return bool(teams) and not teams & principal.teams
