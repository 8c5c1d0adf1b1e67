"""Pushover: a group of alerts as a notification on phones."""
