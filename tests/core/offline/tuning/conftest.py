"""Fewer settings to try than there are: courses as plain as these need no more."""

import pytest

from edgekit.offline.tuning import candidates
from tests.recordings import edgekit, model

__all__ = ["edgekit", "model"]


@pytest.fixture(autouse=True)
def few_candidates(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that make a difference here."""
    monkeypatch.setattr(candidates, "_SMOOTHING", (1, 5, 12, 20))
    monkeypatch.setattr(candidates, "_ENTER", (0.3, 0.6, 0.8, 0.95))
    monkeypatch.setattr(candidates, "_LEAVE", (0.2, 0.4, 0.6))
    monkeypatch.setattr(candidates, "_HOLD", (0.0, 0.5, 2.0))
