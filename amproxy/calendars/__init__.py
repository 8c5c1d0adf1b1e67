"""Calendars that say who is on call (`ical`), from their address or file into values of decide.calendar; and ours that others read."""
