"""Escalation policies and routes."""
