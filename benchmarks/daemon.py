"""How much the daemon costs beside the bare interpreter: `python -m benchmarks.daemon`.

Uses the model and clip that `make demo` made. Ratios are within one run; absolute figures depend on
the machine and on what else it does.
"""

import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from edgekit.frames import iter_video
from edgekit.runtime import Classifier

FOLDER = Path("build/demo")
MODEL, CLIP = FOLDER / "resnet18-int8.tflite", FOLDER / "clip.avi"


def first_label() -> tuple[float, float]:
    """Seconds from process start to the first line, and the daemon's peak memory in MiB."""
    command = [sys.executable, "-m", "edgekit", "run", "--model", str(MODEL)]
    command += ["--source", str(CLIP), "--every-frame"]
    start = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        process.stdout.readline()
        seconds = time.perf_counter() - start
        process.stdout.read()
    return seconds, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024


def main() -> None:
    """Print the figures."""
    if not MODEL.is_file():
        raise SystemExit("run `make demo` first: it makes the model and the clip")
    seconds = [first_label() for _ in range(5)]
    print(f"start to first label   {statistics.median(s for s, _ in seconds):.2f} s, median of 5")
    print(f"peak resident memory   {max(m for _, m in seconds):.0f} MiB over the whole clip")
    classifier = Classifier.open(MODEL)
    frames = list(iter_video(CLIP))
    tensors = [classifier.prepare(frame) for frame in frames]
    bare, whole = [], []
    for frame, tensor in zip(frames, tensors, strict=True):
        start = time.perf_counter()
        classifier.invoke(tensor)
        bare.append(time.perf_counter() - start)
        start = time.perf_counter()
        classifier.classify(frame)
        whole.append(time.perf_counter() - start)
    invoke, classify = float(np.median(bare)), float(np.median(whole))
    print(f"invoke                 {1000 * invoke:.2f} ms, median of {len(bare)}")
    print(f"prepare and invoke     {1000 * classify:.2f} ms, {classify / invoke:.2f} x invoke")


if __name__ == "__main__":
    main()
