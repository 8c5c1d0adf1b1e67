"""Routes.yaml: a superset of alertmanager.yml → Config."""
