"""incident.io: groups of alerts to an alert source."""
