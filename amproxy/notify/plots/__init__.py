"""Pictures of metrics: an alert's expression, asked of a Prometheus, with threshold and start."""
