"""Where an alert belongs, what mutes it, what a flush tells: pure."""
