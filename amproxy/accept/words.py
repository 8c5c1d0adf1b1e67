"""The words of senders: what their keys are called, and which states begin and end an alert.

All are compared as `plain` makes them, without case, blanks and punctuation.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, Literal

MAX_WORD_LENGTH: Final = 64  # characters
MAX_STATE_LENGTH: Final = 200  # characters
_PUNCTUATION = re.compile(r"[\W_]+")


def words(text: str) -> frozenset[str]:
    """The words of a text."""
    return frozenset(text.split())


State = Literal["firing", "resolved", "unchanged"]

# All names below are compared as `plain` makes them. Of two in one object the earlier counts; what
# is nearer to the top goes before what is deeper.
TITLES: Final = (
    *("alertname", "rulename", "alertrule", "alerttitle", "title", "eventname", "problemname"),
    *("triggername", "checkname", "monitorname", "issuetitle", "subject", "summary", "headline"),
)
NAME: Final = "name"  # a title only at the top and in an object that is what the alert is about
ABOUT: Final = words(
    "alert alarm check condition event incident issue monitor policy problem rule trigger"
    " data payload attributes object"
)
TEXTS: Final = (
    *("message", "description", "text", "body", "details", "summary", "msg", "output", "reason"),
    *("error", "errormessage", "content", "comment", "info"),
)
# Names of ids: of one alert, wherever they stand; of what may have an alert in many places, which
# are a part of the identity besides; and those that are an alert's only beside its title.
IDENTITIES: Final = (
    *("alertuid", "dedupkey", "dedupid", "deduplicationkey", "deduplicationid", "incidentkey"),
    *("alertkey", "eventkey", "problemid", "incidentid", "alertid", "issueid", "fingerprint"),
    *("eventid", "correlationid"),
)
RULE_IDENTITIES: Final = ("triggerid", "monitorid", "checkid", "ruleid")
WEAK_IDENTITIES: Final = ("alias", "uid", "uuid", "id")
STATES: Final = (
    *("state", "status", "alertstate", "alertstatus", "currentstate", "currentstatus"),
    *("newstate", "newstatus", "monitorcondition", "alerttransition", "transition"),
)
# Names of what happened or of its kind: their words may be those of a state, or any others. Of a
# kind only the end counts, because what has a kind need not have an end.
EVENTS: Final = ("eventaction", "action", "event", "eventtype")
KINDS: Final = ("alerttype", "notificationtype", "type", "level")
OVER_FLAGS: Final = ("resolved", "isresolved", "recovered", "isrecovered", "cleared")
SEVERITIES: Final = ("severity", "priority", "level", "criticality", "urgency")
LINKS: Final = (
    *("linktoupstreamdetails", "ruleurl", "alerturl", "incidenturl", "issueurl", "eventurl"),
    *("dashboardurl", "weburl", "htmlurl", "permalink", "externalurl", "link", "url", "href"),
)
IMAGES: Final = ("imageurl", "image", "screenshoturl")
LABEL_OBJECTS: Final = ("tags", "labels")
# What an alert is about: part of the identity where only a title tells alerts apart, and labels.
PLACES: Final = (
    *("host", "hostname", "instance", "service", "servicename", "node", "device", "server"),
    *("resource", "target", "entity", "component", "pod", "namespace", "container", "cluster"),
    *("check", "monitor", "job", "application", "app", "site", "region", "environment", "env"),
    "team",
)
# Objects that are not the alert, and have names, states and links of their own.
STRANGERS: Final = words(
    "tags labels request response http headers previous old before last user actor author sender"
    " owner assignee project repository organization config"
)
# What opens a door, here or elsewhere, and must not be shown to whoever reads the alert.
SECRETS: Final = words("routingkey servicekey apikey accesstoken password secret")

_OVER: Final = words(
    """
    ok okay resolve resolved resolves recover recovered recovery recovers clear cleared clears
    close closed closes up normal good green healthy pass passed passing success successful
    succeeded inactive deactivated fixed solved restored online available operational stable
    ended end expired autoresolved autoclosed nominal alive reachable connected safe 0
    ок норма решено решена восстановлено восстановлен закрыто закрыт
    """
)
_BEGUN: Final = words(
    """
    alerting alert alarm firing fired fire trigger triggered retriggered problem down critical crit
    warning warn major minor disaster high open opened reopened active activated created new
    failed failure fail failing error unhealthy bad red yellow unknown nodata unreachable offline
    unavailable degraded outage missing late timeout started start raised unresolved
    """
)
# These say that a sender tells beginnings and ends: as an event, and before a title, where others
# may be part of a text ("Error: …").
_BEGUN_EVENT: Final = words(
    """
    alerting down fired firing nodata open opened reopened problem retriggered trigger triggered
    started activated raised created unresolved
    """
)
_BEGUN_TITLE: Final = words(
    "alarm alerting down fired firing nodata opened problem retriggered triggered"
)
_NEGATIONS: Final = words("not no non never isn un cannot partially unable")
_WORD = re.compile(r"\w+")
_MAX_STATE_WORDS: Final = 3  # more are a sentence
# The state that many senders put before a title: "[RESOLVED:1] …", "✅ Up: …", "Resolved in 5m: …".
_BEFORE_TITLE = re.compile(
    r"^[^\w\[]*(?P<open>\[)?[^\w\]]*(?P<word>[^\W\d_]+(?:[- ](?:triggered|data|resolved|ok))?)"
    r"(?(open)(?::\d+)?(?P<rest>[^\]]*)\]|(?: in [\ddhms ]+)?:)[\s:]*",
    re.IGNORECASE,
)


def plain(key: str) -> str:
    """A key or state without case, blanks and punctuation."""
    # What is long is no word that anybody looks for, and would fill the cache.
    return _plain(key) if len(key) <= MAX_WORD_LENGTH else key


@lru_cache(maxsize=8192)
def _plain(key: str) -> str:
    return _PUNCTUATION.sub("", key).casefold()


def is_over(state: str) -> bool:
    """Check for a state that means the end, in any case, with blanks and signs around it."""
    return known_state(state) == "resolved"


def known_state(text: str) -> State | None:
    """firing or resolved for a word that says so, None for any other."""
    if len(text) > MAX_STATE_LENGTH:
        return None
    word = plain(text)
    if word in _OVER:
        return "resolved"
    if word in _BEGUN:
        return "firing"
    words = _WORD.findall(text.replace("_", " ").casefold())
    if not 1 < len(words) <= _MAX_STATE_WORDS or _NEGATIONS.intersection(words):
        return None
    # "alert.resolved", "INCIDENT_CLOSED", "back to normal": the last word says it
    if words[-1] in _OVER and not words[-1].isdecimal():
        return "resolved"
    return "firing" if words[-1] in _BEGUN else None


def event_state(text: str) -> State | None:
    """As known_state, of what happened: a beginning only by a word that has an end."""
    known = known_state(text)
    return None if known == "firing" and plain(_last_word(text)) not in _BEGUN_EVENT else known


def _last_word(text: str) -> str:
    found = _WORD.findall(text.replace("_", " "))
    return found[-1] if found else ""


def title_state(title: str) -> State | None:
    """The state that stands before a title, None where none does."""
    match = _BEFORE_TITLE.match(title)
    word = plain(match["word"]) if match else ""
    if word in _OVER:
        return "resolved"
    return "firing" if word in _BEGUN_TITLE else None


def without_state(title: str) -> str:
    """A title without the state before it: the same of an alert's beginning and end."""
    match = _BEFORE_TITLE.match(title)
    if not match or not known_state(match["word"]):
        return title.strip().casefold()
    rest = (match["rest"] or "").strip()
    return f"{rest} {title[match.end() :]}".strip().casefold() or title.casefold()
