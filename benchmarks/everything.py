"""What the daemon costs with all that it can do switched on: `python -m benchmarks.everything`.

MQTT, the page with a viewer, metrics, pictures in full size, a history with pictures, and control:
its rate beside a loop that does nothing but invoke and beside itself with nothing on, by turns, on
a clip of the demo's whose label changes about once a second, a hundred times as often as in a
kitchen; and its memory with and without the history and the page, by turns as well.
"""

import argparse
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.daemon import _CLIP, _MODEL, _bare, _broker, _daemon, _free_port, _prepare, _whole
from benchmarks.figures import found
from benchmarks.processes import resident
from edgekit.inference.classifier import Classifier
from edgekit.vision.videos import read_video

_PART = "The daemon with all that it can do"
_TOKEN = "benchmark-benchmark-benchmark"


@contextmanager
def _viewer(port: int) -> Iterator[list[int]]:
    """Somebody who looks at the live picture; the bytes of what has come, piece by piece."""
    stopping = threading.Event()
    come: list[int] = []

    def look() -> None:
        while not stopping.is_set():
            try:
                request = urllib.request.Request(
                    f"http://127.0.0.1:{port}/stream.mjpg",
                    headers={"Authorization": f"Bearer {_TOKEN}"},
                )
                with urllib.request.urlopen(request) as stream:
                    while not stopping.is_set() and (piece := stream.read1()):
                        come.append(len(piece))
            except OSError:
                time.sleep(0.05)

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield come
    finally:
        stopping.set()
        thread.join()


def _all(port: int, folder: Path) -> list[str]:
    """Options for all but MQTT."""
    token = folder / "token"
    token.write_text(f"{_TOKEN}\n")
    return [
        "--http-listen", f"127.0.0.1:{port}", "--http-token-file", str(token), "--control-http",
        "--history-folder", str(folder / "history"), "--pictures-size", "full",
    ]  # fmt: skip


def rate(rounds: int, count: int) -> None:
    """Frames per second, by turns: the bare loop, nothing on, all on, all on and a viewer."""
    classifier = Classifier.open(_MODEL)
    tensor = classifier.prepare(next(read_video(_CLIP))[1])
    _bare(classifier, tensor, 20)
    ratios: dict[str, list[float]] = {"nothing on": [], "all on": [], "all on, a viewer": []}
    for _ in range(rounds):
        bare = _bare(classifier, tensor, count)
        with _broker() as broker, tempfile.TemporaryDirectory() as scratch:
            folder, port = Path(scratch), _free_port()
            options = [*broker, *_all(port, folder)]
            ratios["nothing on"].append(_whole(count, "--no-stdout") / bare)
            ratios["all on"].append(_whole(count, "--no-stdout", *options) / bare)
            with _viewer(port):
                ratios["all on, a viewer"].append(_whole(count, "--no-stdout", *options) / bare)
    for name, values in ratios.items():
        found(_PART, f"rate, {name}, beside bare invoke", values, "", ">= 0.98")


def _resident(seconds: float, *options: str) -> float:
    """Resident MiB of a daemon that has run for some seconds."""
    process = _daemon("--source", "test:", "--no-stdout", *options)
    try:
        time.sleep(seconds)
        return resident(process.pid)
    finally:
        process.terminate()
        process.communicate()


def memory(rounds: int, seconds: float) -> None:
    """Resident memory, by turns: MQTT alone, with the history and the page beside."""
    seen: dict[str, list[float]] = {}
    for _ in range(rounds):
        with _broker() as broker, tempfile.TemporaryDirectory() as scratch:
            folder, port = Path(scratch), _free_port()
            all_on = _all(port, folder)
            seen.setdefault("MQTT", []).append(_resident(seconds, *broker))
            with _viewer(port):
                seen.setdefault("with history and page", []).append(
                    _resident(seconds, *broker, *all_on)
                )
    for name, values in seen.items():
        found(_PART, f"resident, {name}", values, "MiB")


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(prog="benchmarks.everything", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--frames", type=int, default=240)
    given = parser.parse_args()
    _prepare()
    rate(given.rounds, given.frames)
    memory(3, 20.0)


if __name__ == "__main__":
    main()
