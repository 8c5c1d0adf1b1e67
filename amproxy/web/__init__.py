"""What is shown: JSON API, pages, live updates."""
