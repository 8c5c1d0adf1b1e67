"""Jira: a group of alerts as an issue, found again by its label, reopened and resolved."""
