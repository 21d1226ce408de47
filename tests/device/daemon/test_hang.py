"""How long an inference was seen to take."""

from types import SimpleNamespace

import pytest
from edgekit_device.daemon import hang
from edgekit_device.daemon.hang import HangWatch


def test_only_while_the_process_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """SIGSTOP, the freezer, or a virtual machine that is paused stops it, and not the clock."""
    now = [1000.0]
    monkeypatch.setattr(hang, "time", SimpleNamespace(monotonic=lambda: now[0]))
    watch = HangWatch()

    def look(inference: float | None, *steps: float) -> float:
        for step in steps:
            now[0] += step
            took = watch.look(inference)
        return took

    assert look(999.9, 0.25, 0.25, 3600.0, 0.25, 0.25) == 2.75
    # Another one.
    begun = now[0]
    assert look(begun, 0.25, *[0.25] * 20) == 5.0
    assert look(begun, 0.25) == 5.25
    assert look(None, 0.25) == 0.0
