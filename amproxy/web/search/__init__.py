"""Search over incidents, people, schedules, policies and pages."""
