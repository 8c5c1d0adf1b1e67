"""Human answer → action: buttons, commands, signed links."""
