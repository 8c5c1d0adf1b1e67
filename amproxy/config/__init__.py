"""The file routes.yaml: a superset of alertmanager.yml. `load` reads and checks it, `Config` is what it means."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from amproxy.config.structs import Config

if TYPE_CHECKING:
    from amproxy.config.loader import Loaded, load, load_text

__all__ = ["Config", "Loaded", "load", "load_text"]


def __getattr__(name: str) -> Any:
    # Looked up late: the loader needs decide, decide needs config.structs, and that import runs this file first.
    if name in ("Loaded", "load", "load_text"):
        from importlib import import_module

        return getattr(import_module("amproxy.config.loader"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
