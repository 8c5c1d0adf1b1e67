"""Pages, JSON API and live updates: one folder a subject, page and API side by side."""
