"""Signals that come too early, and those that are handled."""

import os
import signal

import pytest
from edgekit_device.signals import handled, held


def test_a_signal_that_comes_early_is_kept_for_its_handler() -> None:
    heard: list[str] = []
    with held(signal.SIGUSR2):
        # Without a handler, it ends the process.
        os.kill(os.getpid(), signal.SIGUSR2)
        assert heard == []
        with handled(lambda: None, {signal.SIGUSR2: lambda: heard.append("early")}):
            assert heard == ["early"]
        # Behind it, it is kept again.
        os.kill(os.getpid(), signal.SIGUSR2)
        with handled(lambda: None, {signal.SIGUSR2: lambda: heard.append("late")}):
            assert heard == ["early", "late"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_what_stops_is_told_apart(number: signal.Signals) -> None:
    stops: list[int] = []
    with handled(lambda: stops.append(1)) as stop:
        os.kill(os.getpid(), number)
        assert stops == [1]
        assert stop.interrupted == (number == signal.SIGINT)
