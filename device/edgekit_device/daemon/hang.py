"""Whether the inference in hand takes too long."""

import time

# The longest that a turn may take by itself: what is beyond it, the whole process was stopped.
_LONGEST_TURN = 2.0


class HangWatch:
    """Looks at the inference in hand again and again; for one thread.

    The clock alone would not do: it goes on while the whole process is stopped, by SIGSTOP, by the
    freezer of a control group or with its virtual machine, and then nothing hangs.
    """

    def __init__(self) -> None:
        # The inference in hand, by its beginning.
        self._inference: float | None = None
        self._took = 0.0
        self._looked_at = time.monotonic()

    def look(self, inference: float | None) -> float:
        """Seconds that the inference in hand was seen to take.

        Args:
            inference: when it began, on the monotonic clock; None for none.
        """
        now = time.monotonic()
        seen = min(now - self._looked_at, _LONGEST_TURN)
        same = inference is not None and inference == self._inference
        self._took = self._took + seen if same else 0.0
        self._inference, self._looked_at = inference, now
        return self._took
