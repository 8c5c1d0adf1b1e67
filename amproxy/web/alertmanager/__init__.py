"""Alertmanager's HTTP API v2, all of it but the pushing of alerts (amproxy/accept)."""
