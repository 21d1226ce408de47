"""Ctrl-C and SIGTERM end a conversion in the same way, whatever they interrupt.

Temporary files and child processes go with the exception. Libraries swallow it now and then, or
make another of it: in a destructor Python itself does, while a module is loaded NumPy does. So that
it came is remembered, and asked for between the steps and at the end.
"""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_came = False


def check_interrupted() -> None:
    """Raise `KeyboardInterrupt` if a signal came, and what it raised was swallowed."""
    if _came:
        raise KeyboardInterrupt


@contextmanager
def interruptible() -> Iterator[None]:
    """End the body with `KeyboardInterrupt` when SIGINT or SIGTERM comes; also a decorator."""
    global _came  # signals are the process's, too
    _came = False
    # A shell starts what it runs in the background with SIGINT ignored, which stays so.
    heard = [
        number
        for number in (signal.SIGINT, signal.SIGTERM)
        if signal.getsignal(number) is not signal.SIG_IGN
    ]
    before = {number: signal.signal(number, _interrupt) for number in heard}
    try:
        yield
    except Exception:
        check_interrupted()
        raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _interrupt(number: int, frame: FrameType | None) -> None:
    global _came
    _came = True
    raise KeyboardInterrupt
