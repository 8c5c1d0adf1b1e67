"""Bytes in → Alert."""
