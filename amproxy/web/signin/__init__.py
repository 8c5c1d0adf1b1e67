"""Who asks, what they may do, and what they have done: sign-in, sessions, API tokens, rights, the audit log."""
