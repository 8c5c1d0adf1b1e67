"""What is foretold by the page, the API and `simulate` is what the service's own parts do."""

from __future__ import annotations

from tests.support.integration.agreement import run


def test_what_is_foretold_is_what_happens() -> None:
    """Other cases, any number: `python -m tests.support.integration.agreement --cases 1000`."""
    compared = run(100, beginning=1).figures
    assert compared["cases"] >= 90 and compared["forecasts"] > 100
    assert compared["times page"] > 20 and compared["times step"] > 50
