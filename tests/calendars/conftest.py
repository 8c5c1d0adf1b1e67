from calendars_conftest import calendar_server, redis_url, replica_of  # noqa: F401  # fixtures
