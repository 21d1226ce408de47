"""Stands in for the module `time`: time passes only when somebody sleeps."""

import json
from pathlib import Path


class FakeClock:
    """The clock that the stand-in for systemctl goes by.

    Args:
        file: the stand-in's state, which holds the time.
    """

    def __init__(self, file: Path) -> None:
        self._file = file

    def monotonic(self) -> float:
        """Seconds."""
        now: float = json.loads(self._file.read_text())["now"]
        return now

    def sleep(self, seconds: float) -> None:
        """Let time pass at once."""
        state = json.loads(self._file.read_text())
        self._file.write_text(json.dumps(state | {"now": state["now"] + seconds}))
