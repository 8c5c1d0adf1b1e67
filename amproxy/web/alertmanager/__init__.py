"""Alertmanager's HTTP API v2, except the intake of alerts (amproxy/accept)."""
