"""Slack: messages with buttons, and the presses of them."""
