"""An incident as a row of a list, on whatever page."""

from __future__ import annotations

from typing import NamedTuple

from amproxy.model import Incident
from amproxy.oncall.roster import Roster
from amproxy.web.incidents.ahead import next_step
from amproxy.web.incidents.ahead_steps import Coming


class Row(NamedTuple):
    incident: Incident
    next: Coming | None


def row(incident: Incident, roster: Roster) -> Row:
    return Row(incident, next_step(incident, roster))
