"""Who, how, when, why: pure functions, the clock is an argument."""
