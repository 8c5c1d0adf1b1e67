"""Values with Alertmanager's grammar: matchers, time intervals, fingerprints. Pure."""
