"""Rocket.Chat: groups of alerts as messages by its REST API."""
