"""What happened within the last hour, kept in a file in memory, which a boot empties."""

import contextlib
import time
from pathlib import Path

from edgekit.files import read_bounded
from edgekit_device.service import durable

# Seconds after which something is forgotten.
MEMORY = 3600.0
_LIMIT = 1 << 20


class Recent:
    """Moments, on the monotonic clock.

    Args:
        path: of the file, in a folder that root alone may write to.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def times(self) -> list[float]:
        """The moments of the last hour; what cannot be understood is forgotten."""
        now = time.monotonic()
        times: list[float] = []
        with contextlib.suppress(OSError, ValueError):
            times = [float(line) for line in read_bounded(self._path, _LIMIT).splitlines()]
        return [at for at in times if 0 <= now - at < MEMORY]

    def note(self) -> None:
        """It happened now.

        Raises:
            ServiceError: that cannot be written.
        """
        times = [*self.times, time.monotonic()]
        durable.write(self._path, "".join(f"{at}\n" for at in times).encode())

    def forget(self) -> None:
        """It did not happen at all."""
        durable.remove(self._path)
