"""Changes to routes.yaml as text: comments and order stay."""
