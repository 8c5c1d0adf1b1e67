"""`amproxy serve`: sockets, TLS, basic auth, worker processes, and the service in each of them."""
