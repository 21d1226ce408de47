"""A live page, health, metrics and a JSON interface over HTTP."""

from edgekit_device.sinks.http.server import Http

__all__ = ["Http"]
