"""Schedules: the timeline, layers, shifts, swaps, calendars."""
