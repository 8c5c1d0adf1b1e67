"""Simulate: who is on call, whom an alert would page, and when; and replay the history.

The service's own functions under a virtual clock; no output of its own, and no store.
"""
