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


# Signals that came while they were held.
_early: set[int] = set()


@contextmanager
def held(number: signal.Signals) -> Iterator[None]:
    """Keep a signal back inside the block, but where `handled` has a handler for it.

    Without one SIGHUP ends a process, and systemd takes that for what was asked for.
    """
    # No mask: libraries have threads by now, which would get it.
    previous = signal.signal(number, lambda number, _frame: _early.add(number))
    try:
        yield
    finally:
        signal.signal(number, previous)
        _early.discard(number)


@contextmanager
def handled(
    stop: Callable[[], None], others: Mapping[signal.Signals, Callable[[], None]] | None = None
) -> Iterator[Stop]:
    """Let SIGINT and SIGTERM call `stop`, a second Ctrl-C end the process, and others what they do.

    All are called in the main thread, between any two of its instructions. Signals that were
    `held` come at once.
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
        for number in _early.intersection(actions):
            _early.discard(number)
            actions[signal.Signals(number)]()
        yield asked
    finally:
        for number, handler in zip(numbers, previous, strict=True):
            signal.signal(number, handler)
