"""The file routes.yaml: a superset of alertmanager.yml. loader.py reads and checks it, structs.py is what it means."""
