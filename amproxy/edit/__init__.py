"""A change to routes.yaml as text, comments and order kept."""
