"""Decision × time: timers, the worker that advances them, the auditor."""
