"""Incidents: the list, one incident, what people do with it."""
