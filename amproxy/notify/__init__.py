"""Page → message out: outbox, order, throttle, render, retry."""
