"""An incident as a row of a list, on whatever page."""

from __future__ import annotations

from typing import NamedTuple

from amproxy.decide.roster import Roster
from amproxy.model import Incident
from amproxy.web.ahead import Coming, next_step


class Row(NamedTuple):
    incident: Incident
    next: Coming | None


def row(incident: Incident, roster: Roster) -> Row:
    return Row(incident, next_step(incident, roster))
