"""The people on call for schedules. Pure: the clock is an argument."""
