"""Ctrl-C and SIGTERM end work on a camera in good order."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def on_signals(stop: Callable[[], None], call: Callable[[], None] | None = None) -> Iterator[None]:
    """Let SIGINT and SIGTERM call `stop`, a second of them end the process; SIGUSR1 calls `call`.

    Both are called in the main thread, between any two of its instructions.
    """
    stopped = False

    def on_signal(number: int, _frame: FrameType | None) -> None:
        nonlocal stopped
        if number == signal.SIGUSR1:
            assert call is not None
            call()
            return
        if stopped:
            # What is on the disk is whole up to here.
            os._exit(128 + number)
        stopped = True
        stop()

    numbers = [signal.SIGINT, signal.SIGTERM, *([signal.SIGUSR1] if call else [])]
    previous = [signal.signal(number, on_signal) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, previous, strict=True):
            signal.signal(number, handler)
