"""amproxy: an Alertmanager-compatible receiver and routing proxy that knows who is on call."""

__version__ = "0.1.0"
