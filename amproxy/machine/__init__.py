"""The one reducer that changes an incident: state × event × now → Change. No I/O, no clock.

The service, the simulator, the explainer and the tests all call `transition`; the store commits
its Change atomically.
"""

from amproxy.machine.transition import transition
from amproxy.model import Change

__all__ = ["Change", "transition"]
