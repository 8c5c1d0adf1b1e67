"""The life of silences, by Alertmanager's rules: created, changed, expired, deleted. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

from msgspec.structs import replace

from amproxy.errors import AmproxyError, NotFound
from amproxy.labels.matchers import Matcher
from amproxy.model import Silence
from amproxy.text import Phrase

SilenceState = Literal["active", "pending", "expired"]

# A silence is remembered this long after its end: as Alertmanager's --data.retention.
SILENCE_RETENTION_NS = 120 * 3600 * 10**9
FOREVER_NS = 2**63 - 1  # the year 2262: what is stored of any later time
_SECOND_NS = 10**9
_STATE_ORDER: dict[SilenceState, int] = {"active": 0, "pending": 1, "expired": 2}


class BadSilence(AmproxyError):
    """A silence is refused; the text is for its author."""


def silence_state(silence: Silence, now_ns: int) -> SilenceState:
    """The state for muting and changing: the very instant of the end still belongs to it."""
    if now_ns < silence.starts_ns:
        return "pending"
    return "expired" if now_ns > silence.ends_ns else "active"


def display_state(silence: Silence, now_ns: int) -> SilenceState:
    """The state for people: expired from the instant of the end on."""
    if now_ns < silence.starts_ns:
        return "pending"
    return "active" if now_ns < silence.ends_ns else "expired"


def is_past_retention(silence: Silence, now_ns: int) -> bool:
    """Decide whether a silence ended so long ago that it is shown no more."""
    return silence.ends_ns + SILENCE_RETENTION_NS < now_ns


def put_silence(
    known: Mapping[str, Silence], wanted: Silence, now_ns: int, new_id: str
) -> list[Silence]:
    """Create a silence, or change the one with the id of `wanted`; return those to store.

    The first is the one in force now. A change that the rules do not allow in place ends the old
    silence and makes a new one, with the id `new_id`. Raises BadSilence, and NotFound for an id
    that is not known.
    """
    _check_times(wanted, now_ns)
    old = known.get(wanted.id) if wanted.id else None
    if wanted.id and old is None:
        raise NotFound(Phrase("refusal.silence_not_found"))
    _check_matchers(wanted)
    if old is not None and may_update(old, wanted, now_ns):
        return [replace(wanted, updated_ns=now_ns)]
    fresh = replace(wanted, id=new_id, starts_ns=max(wanted.starts_ns, now_ns), updated_ns=now_ns)
    if old is None or silence_state(old, now_ns) == "expired":
        return [fresh]
    return [fresh, expire_silence(old, now_ns)]


def may_update(old: Silence, new: Silence, now_ns: int) -> bool:
    """Decide whether a silence may change in place.

    The matchers and their order must stay, and nothing of the past may be rewritten.
    """
    if old.matcher_sets != new.matcher_sets:
        return False
    match silence_state(old, now_ns):
        case "active":
            # by the second: clients send the start back with fewer digits than they were given
            same_start = old.starts_ns // _SECOND_NS == new.starts_ns // _SECOND_NS
            return same_start and new.ends_ns >= now_ns
        case "pending":
            return new.starts_ns >= now_ns
        case "expired":
            return False


def expire_silence(silence: Silence, now_ns: int) -> Silence:
    """The silence ended now; one that is over stays as it is."""
    match silence_state(silence, now_ns):
        case "active":
            return replace(silence, ends_ns=now_ns, updated_ns=now_ns)
        case "pending":
            return replace(silence, starts_ns=now_ns, ends_ns=now_ns, updated_ns=now_ns)
        case "expired":
            return silence


def sort_silences(silences: Iterable[Silence], now_ns: int) -> list[Silence]:
    """Active ones first (soonest end), then pending (soonest start), then expired (latest end)."""

    def rank(silence: Silence) -> tuple[int, int, str]:
        kind = display_state(silence, now_ns)
        moment = {
            "active": silence.ends_ns,
            "pending": silence.starts_ns,
            "expired": -silence.ends_ns,
        }[kind]
        return _STATE_ORDER[kind], moment, silence.id

    return sorted(silences, key=rank)


def has_all_matchers(silence: Silence, matchers: Iterable[Matcher]) -> bool:
    """Decide whether one of a silence's matcher sets has all these matchers, letter by letter."""
    wanted = list(matchers)
    return any(all(matcher in own for matcher in wanted) for own in silence.matcher_sets)


def _check_times(silence: Silence, now_ns: int) -> None:
    if silence.starts_ns >= silence.ends_ns:
        raise BadSilence(Phrase("refusal.silence_start"))
    if silence.ends_ns < now_ns:
        raise BadSilence(Phrase("refusal.silence_past"))


def _check_matchers(silence: Silence) -> None:
    for matchers in silence.matcher_sets:
        for index, matcher in enumerate(matchers):
            if not matcher.name:
                raise BadSilence(Phrase("refusal.silence_label", {"index": str(index)}))
        # a negative matcher is accepted whatever it matches, as Alertmanager does
        if all(matcher.op in ("=", "=~") and matcher.matches({}) for matcher in matchers):
            raise BadSilence(Phrase("refusal.silence_empty"))
