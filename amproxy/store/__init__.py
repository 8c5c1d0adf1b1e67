"""State in Redis; no other room knows Redis."""
