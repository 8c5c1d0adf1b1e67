"""Calendars (iCal) that decide who is on call, and ours for other programs to read."""
