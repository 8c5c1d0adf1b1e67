"""amproxy: an Alertmanager-compatible receiver and routing proxy that knows who is on call."""

__version__ = "0.1.0"
# The one whose API and grammar this is: amtool compares it with its own, tools such as karma choose
# their calls by it.
ALERTMANAGER_VERSION = "0.35.0"
