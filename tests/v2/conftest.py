from v2_served import api, redis, serve

__all__ = ["api", "redis", "serve"]
