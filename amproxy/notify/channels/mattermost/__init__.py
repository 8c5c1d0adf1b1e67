"""Mattermost: groups of alerts as attachments, over incoming webhooks."""
