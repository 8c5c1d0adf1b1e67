"""Public holidays of countries, by the package `holidays`. Pure.

The package is imported at the first use: few files name a country.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from functools import lru_cache

# Text language → the package's; where a country has no names in it, it takes its own.
_LANGUAGES = {"en": "en_US", "ru": "ru"}


@lru_cache(maxsize=200)
def public_holidays(country: str, year: int, language: str = "en") -> Mapping[date, str]:
    """Day → name, of a country ("DE") or a part of one ("DE-BY").

    Raises ValueError for a country or part that the package does not know.
    """
    import holidays

    code, _, part = country.partition("-")
    wanted = _LANGUAGES.get(language)
    try:
        return dict(
            holidays.country_holidays(code, subdiv=part or None, years=year, language=wanted)
        )
    except NotImplementedError:
        raise ValueError(f"no holidays of {country} are known") from None


def known_countries() -> list[str]:
    """The codes that may be written, without parts of countries."""
    import holidays

    return sorted(holidays.list_supported_countries(include_aliases=False))
