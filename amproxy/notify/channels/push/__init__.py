"""Web Push: notifications of browsers, RFC 8030, 8291 and 8292."""
