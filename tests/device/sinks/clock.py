"""Time that a test sets."""


class Clock:
    """A monotonic clock, in seconds."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now
