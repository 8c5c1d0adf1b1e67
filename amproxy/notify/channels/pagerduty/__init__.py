"""PagerDuty: a group of alerts as one event, by the Events API v2 or the older one."""
