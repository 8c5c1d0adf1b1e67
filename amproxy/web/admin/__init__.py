"""The service looked at by its administrator."""
