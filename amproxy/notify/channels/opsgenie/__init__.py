"""Opsgenie: a group of alerts as one alert there, opened, updated and closed by its alias."""
