"""Telegram: messages with buttons, and the answers to them by long polling."""
