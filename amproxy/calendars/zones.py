"""Zones by the names that calendar programs write, where neither the calendar nor IANA has them.

Windows and Exchange write names of their own, others an offset or what they show to people.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone, tzinfo
from functools import cache
from typing import Final
from zoneinfo import ZoneInfo, available_timezones

from icalendar.timezone.windows_to_olson import WINDOWS_TO_OLSON

# Names that say no more than that somebody has set a zone by hand: the owner's, so the schedule's.
_OWN: Final = re.compile(
    r"(?:customi[sz]ed|custom|user[ -]?defined|local|floating|default|unknown|undefined|null|none)?"
    r"[ _-]*(?:time[ _-]?zone|time|tz)?[ _-]*\d*"
)
_OFFSET: Final = re.compile(
    r"\(?(?:(?:utc|gmt|ut|z)(?![a-z])\s*(?:([+-])\s*(\d{1,2})(?:[:.]?(\d\d))?)?|([+-])(\d\d):?(\d\d))\)?(.*)"
)
_EXCHANGE: Final = "tzone://microsoft/"
_PLACES: Final = re.compile(r"[,;/]")
_MAX_OFFSET: Final = timedelta(hours=14)
# Of the names that are written in words, those that no rule below finds.
_ALIASES: Final = {
    "coordinated universal time": "UTC",
    "universal coordinated time": "UTC",
    "universal time": "UTC",
    "greenwich mean time": "UTC",
    "zulu": "UTC",
    "british summer time": "Europe/London",
    "central european time": "Europe/Berlin",
    "central european summer time": "Europe/Berlin",
    "mitteleuropäische zeit": "Europe/Berlin",
    "mitteleuropäische sommerzeit": "Europe/Berlin",
    "eastern european time": "EET",
    "eastern european summer time": "EET",
    "western european time": "WET",
    "moscow time": "Europe/Moscow",
    "cest": "Europe/Berlin",
    "eest": "EET",
    "west": "WET",
    "msk": "Europe/Moscow",
    "edt": "America/New_York",
    "cdt": "America/Chicago",
    "mdt": "America/Denver",
    "pst": "America/Los_Angeles",
    "pdt": "America/Los_Angeles",
}


def find_zone(name: str, own: ZoneInfo) -> tzinfo | None:
    """Return the zone of a TZID that the calendar does not define; None = nobody knows it.

    own: of the schedule, which names stand for that only say "customized".
    """
    folded = " ".join(name.strip().strip("\"'").casefold().replace("\u2212", "-").split())
    folded = folded.removeprefix(_EXCHANGE)
    if _OWN.fullmatch(folded):
        return own
    if found := _by_words(folded):
        return found
    if matched := _OFFSET.fullmatch(folded):
        sign, hours, minutes = matched[1] or matched[4], matched[2] or matched[5], matched[3]
        offset = timedelta(hours=int(hours or 0), minutes=int(minutes or matched[6] or 0))
        if offset > _MAX_OFFSET:
            return None
        return _at_offset(-offset if sign == "-" else offset, matched[7])
    return None


def _at_offset(offset: timedelta, places: str) -> tzinfo | None:
    """The zone of one of these places that has this standard offset, else the offset alone."""
    for place in (places, *_PLACES.split(places)):
        zone = _by_words(place.strip())
        if zone is not None and _standard_offset(zone) == offset:
            return zone
    return timezone(offset)


def _standard_offset(zone: ZoneInfo) -> timedelta:
    # Summer time is ahead of it, on either half of the globe.
    offsets = (datetime(2025, month, 1, tzinfo=zone).utcoffset() for month in (1, 7))
    return min(offset for offset in offsets if offset is not None)


def _by_words(folded: str) -> ZoneInfo | None:
    # "Eastern Time (US & Canada)", "Eastern Daylight Time" → "Eastern Standard Time"
    plain = re.sub(r"\s*\(.*\)$", "", folded)
    stem = re.sub(r"(?: standard| daylight| summer)? time$", "", plain)
    known = _names()
    for candidate in (folded, plain, f"{stem} standard time"):
        if found := known.get(candidate.replace(" ", "_")):
            return ZoneInfo(found)
    return None


@cache
def _names() -> dict[str, str]:
    """Names and cities in lower case, blanks as underlines → IANA names."""
    names = sorted(available_timezones())
    cities = {name.rpartition("/")[2]: name for name in reversed(names) if "/" in name}
    # In this order: what is a name is no city.
    known = {
        **cities,
        **{name: name for name in names},
        **WINDOWS_TO_OLSON,
        **_ALIASES,
    }
    # A bare "GMT+1" of calendars is east of Greenwich, where Etc/GMT+1 is west of it.
    return {
        name.casefold().replace(" ", "_"): zone
        for name, zone in known.items()
        if not zone.startswith("Etc/GMT") or name == zone
    }
