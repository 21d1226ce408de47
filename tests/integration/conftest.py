"""Fixtures of `tests.integration.daemon`."""

from tests.integration.daemon import start

__all__ = ["start"]
