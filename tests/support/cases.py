"""Where the recorded cases are."""

from __future__ import annotations

from pathlib import Path

CASES = Path(__file__).parents[1] / "cases"
ALERTMANAGER = CASES / "alertmanager"  # what the real Alertmanager did and answered
EXAMPLE = CASES / "routes.example.yaml"
