"""Threads that are inside a driver or a decoder most of the time."""

import threading
from collections.abc import Callable


class DriverThread(threading.Thread):
    """Runs at once, and does not keep the process alive, for a driver may block for ever.

    One that comes back from C++ while the interpreter is ending aborts the process ("terminate
    called without an active exception"), so with `is_any_left` a process must end by `os._exit`.
    """

    def __init__(self, name: str, target: Callable[[], None]) -> None:
        super().__init__(name=name, target=target, daemon=True)
        self.start()


def is_any_left() -> bool:
    """Whether a driver still holds a thread of this process; of an open source it always does."""
    return any(isinstance(thread, DriverThread) for thread in threading.enumerate())
