"""What a stand-in can be told to do wrong with its next calls."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Literal

from tests.support.standins.serving import Response

Kind = Literal["answer", "hang", "drop", "drop_after", "truncate"]


@dataclass
class Fault:
    kind: Kind
    times: int = 1
    method: str = ""  # of the API; "" = any that sends
    response: Response = field(default_factory=Response)


@dataclass
class Call:
    """One call as it came in, and what was answered."""

    method: str
    payload: dict[str, Any]
    status: int = 0
    answer: Any = None
    lost: bool = False  # it took effect, and its answer was cut off


class Faults:
    """The faults ahead, in order, and the calls that nobody expected."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self._ahead: list[Fault] = []
        self._surprises: list[str] = []
        self._allowed: Counter[str] = Counter()

    def add(self, fault: Fault) -> None:
        with self.lock:
            self._ahead.append(fault)

    def next(self, method: str, background: bool) -> Fault | None:
        """The fault that this call meets; `background` calls (polling) meet only those that name them."""
        with self.lock:
            for fault in self._ahead:
                if fault.method == method or (not fault.method and not background):
                    fault.times -= 1
                    if fault.times <= 0:
                        self._ahead.remove(fault)
                    return fault
        return None

    def allow(self, text: str, times: int = 1) -> None:
        """Expect a refusal whose description holds `text`; otherwise it is a surprise."""
        with self.lock:
            self._allowed[text] += times

    def surprise(self, what: str) -> None:
        with self.lock:
            for text, left in self._allowed.items():
                if left and text in what:
                    self._allowed[text] -= 1
                    return
            self._surprises.append(what)

    def assert_no_surprises(self) -> None:
        with self.lock:
            left = [text for text, times in self._allowed.items() if times > 0]
            surprises, self._surprises = (
                self._surprises,
                [],
            )  # told once: the stand-in may serve many examples
            assert not surprises, "calls that the real one would refuse: " + "; ".join(surprises)
            assert not left, f"expected refusals that did not come: {left}"


async def meet(fault: Fault) -> Response:
    """Carry out a fault that takes the place of the call."""
    if fault.kind == "hang":
        await asyncio.Event().wait()
    return Response(drop=True) if fault.kind == "drop" else fault.response
