"""The process: sockets, TLS, workers, and what is put together in it."""
