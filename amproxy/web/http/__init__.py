"""Shared by all pages and API calls: requests, permissions, errors, templates, live updates."""
