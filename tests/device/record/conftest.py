"""Fixtures of `tests.recordings`."""

from tests.recordings import edgekit, model, video

__all__ = ["edgekit", "model", "video"]
