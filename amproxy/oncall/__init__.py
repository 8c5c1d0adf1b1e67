"""Who is on call: pure, the clock is an argument."""
