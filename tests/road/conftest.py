from conftest_road import house_of, redis_url  # noqa: F401  # fixtures
