"""People, teams, and one's own page."""
