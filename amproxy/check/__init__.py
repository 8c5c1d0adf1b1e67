"""Warnings about a file that loads, and the report of `amproxy check`."""
