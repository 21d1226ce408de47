"""What Ctrl-C and other signals do to a command that works until it is stopped."""

import os
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType


@dataclass
class Stop:
    """What asked for the end so far.

    Attributes:
        interrupted: whether it was Ctrl-C.
    """

    interrupted: bool = False


@contextmanager
def handled(
    stop: Callable[[], None], others: Mapping[signal.Signals, Callable[[], None]] | None = None
) -> Iterator[Stop]:
    """Let SIGINT and SIGTERM call `stop`, a second Ctrl-C end the process, and others what they do.

    All are called in the main thread, between any two of its instructions.
    """
    stopped = False
    asked = Stop()
    actions = dict(others or {})

    def on_signal(number: int, _frame: FrameType | None) -> None:
        nonlocal stopped
        action = actions.get(signal.Signals(number))
        if action is not None:
            action()
            return
        # A second SIGTERM does not mean now: `timeout` sends it to the process and to its group.
        if stopped and number == signal.SIGINT:
            os._exit(128 + number)
        stopped = True
        asked.interrupted |= number == signal.SIGINT
        stop()

    numbers = (signal.SIGINT, signal.SIGTERM, *actions)
    previous = [signal.signal(number, on_signal) for number in numbers]
    try:
        yield asked
    finally:
        for number, handler in zip(numbers, previous, strict=True):
            signal.signal(number, handler)
