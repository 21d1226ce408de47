"""The daemon of `benchmarks.soak`: `edgekit run`, whose generated camera counts and fails.

`python -m benchmarks.soak_daemon CONTROL FPS run …` is `edgekit run …` with a camera that obeys the
file CONTROL.
"""

import mmap
import struct
import sys
import time
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from edgekit_device.config.settings import CameraSettings
from edgekit_device.sources import pattern
from numpy.typing import NDArray

from edgekit.cli import main as edgekit

Mode = Literal["well", "stalled", "unplugged", "damaged"]
_MODES: tuple[Mode, ...] = get_args(Mode)
_LAYOUT = struct.Struct("<QB")


class Control:
    """What the camera has given, and what it is to do: 9 bytes that two processes share.

    Args:
        path: of the file; made by who gives `create`.
    """

    def __init__(self, path: Path, *, create: bool = False) -> None:
        if create:
            path.write_bytes(bytes(_LAYOUT.size))
        with path.open("r+b") as file:
            self._shared = mmap.mmap(file.fileno(), 0)

    @property
    def captured(self) -> int:
        """Frames that the camera has given."""
        count: int = _LAYOUT.unpack_from(self._shared)[0]
        return count

    @property
    def mode(self) -> Mode:
        """What the camera does."""
        return _MODES[self._shared[8]]

    @mode.setter
    def mode(self, mode: Mode) -> None:
        self._shared[8] = _MODES.index(mode)

    def count(self) -> None:
        """One frame more; for the camera's thread."""
        struct.pack_into("<Q", self._shared, 0, self.captured + 1)


class _Camera(pattern.PatternCamera):
    """The generated picture, from a camera that can fail."""

    control: Control
    fps: float

    def __init__(self, camera: CameraSettings) -> None:
        super().__init__(camera)
        # More than a configuration may ask for.
        self._period = 1 / self.fps

    def read(self) -> NDArray[np.uint8]:
        stalled = False
        while self.control.mode == "stalled":
            stalled = True
            time.sleep(0.05)
        # Nobody waits any more for the picture that was to come.
        if stalled or self.control.mode == "unplugged":
            raise OSError("No such device")
        picture = super().read()
        self.control.count()
        return picture[:0] if self.control.mode == "damaged" else picture


if __name__ == "__main__":
    _Camera.control, _Camera.fps = Control(Path(sys.argv.pop(1))), float(sys.argv.pop(1))
    pattern.PatternCamera = _Camera  # type: ignore[misc]
    sys.argv[0] = "edgekit"
    edgekit()
