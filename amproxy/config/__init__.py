"""The file routes.yaml, a superset of alertmanager.yml: loader.py reads it into structs.py."""
