"""What loads and is doubtful."""
