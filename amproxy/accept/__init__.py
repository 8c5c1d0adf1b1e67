"""Decode what senders push into alerts."""
