"""Webex: groups of alerts as messages to a room."""
