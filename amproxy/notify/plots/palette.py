"""The colours of a picture's roles, in the light and in the dark."""

from __future__ import annotations

from typing import Final, NamedTuple


class Palette(NamedTuple):
    background: str  # of pictures that stand alone
    colours: dict[str, str]  # by role
    firing_opacity: float


LIGHT: Final = Palette(
    background="#ffffff",
    colours={
        "title": "#1f2328",
        "text": "#57606a",
        "grid": "#e3e6ea",
        "axis": "#b4bac2",
        "limit": "#c62828",
        "began": "#c62828",
        "fires": "#c62828",
        "series0": "#1d63c4",
        "series1": "#8a5a00",
        "series2": "#6b3fb5",
        "series3": "#1b7f5c",
        "series4": "#7a6a75",
    },
    firing_opacity=0.08,
)
DARK: Final = Palette(
    background="#16191f",
    colours={
        "title": "#e6e8eb",
        "text": "#a5adb8",
        "grid": "#2b3038",
        "axis": "#545c68",
        "limit": "#ff7b72",
        "began": "#ff7b72",
        "fires": "#ff7b72",
        "series0": "#6cb0ff",
        "series1": "#e0ac52",
        "series2": "#bb9af7",
        "series3": "#5ec9a0",
        "series4": "#b3a3ae",
    },
    firing_opacity=0.13,
)
