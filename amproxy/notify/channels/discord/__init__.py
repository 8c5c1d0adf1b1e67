"""Discord: groups of alerts as embeds, over incoming webhooks."""
