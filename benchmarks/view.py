"""What turning, masking and a region cost: milliseconds a frame, the median on one core.

.venv/bin/python -m benchmarks.view
"""

import statistics
import time
from collections.abc import Callable
from functools import partial

import cv2
import numpy as np

from edgekit.model.geometry import Geometry
from edgekit.vision.preprocess import prepare
from edgekit.vision.turning import View
from edgekit.vision.view import Region, ViewSettings

_RUNS = 200
_MASKS = (
    (0.0, 0.0, 1.0, 0.2), (0.8, 0.5, 0.2, 0.5), (0.1, 0.6, 0.3, 0.6, 0.35, 0.9, 0.05, 0.95),
)  # fmt: skip
_VIEWS = {
    "nothing": ViewSettings(),
    "mirror": ViewSettings(mirror=True),
    "rotate 180": ViewSettings(rotate=180),
    "rotate 90": ViewSettings(rotate=90),
    "rotate 270, mirror": ViewSettings(rotate=270, mirror=True),
    "three masks": ViewSettings(masks=_MASKS),
    "rotate 180, three masks": ViewSettings(rotate=180, masks=_MASKS),
}
_REGIONS = {"whole frame": None, "right half": Region(0.5, 0.0, 0.5, 1.0)}


def _milliseconds(work: Callable[[], object]) -> float:
    taken = []
    for _ in range(_RUNS):
        begun = time.perf_counter()
        work()
        taken.append(1000 * (time.perf_counter() - begun))
    return statistics.median(taken)


def main() -> None:
    """Print a line for each size and view."""
    cv2.setNumThreads(1)
    for width, height in ((640, 480), (1280, 720)):
        frame = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
        for name, settings in _VIEWS.items():
            taken = _milliseconds(partial(View(settings).turn, frame))
            print(f"{width} x {height}  turn, {name:<24} {taken:6.2f}")
        for name, region in _REGIONS.items():
            taken = _milliseconds(partial(prepare, frame, Geometry(224, 224), region))
            print(f"{width} x {height}  prepare, {name:<21} {taken:6.2f}")


if __name__ == "__main__":
    main()
