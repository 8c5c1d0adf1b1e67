"""The configuration file: shown, checked, changed."""
