"""Webhooks: groups to programs, pages to a person's own webhook, groups to another Alertmanager."""
