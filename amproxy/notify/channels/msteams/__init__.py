"""Microsoft Teams: groups of alerts to connectors (`msteams`) and to workflows (`msteamsv2`)."""
