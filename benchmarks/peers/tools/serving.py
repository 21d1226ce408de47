"""What the tools have in common: what they are given, and how they are asked.

A tool is run as `python -m benchmarks.peers.tools.NAME VERB …` in an environment of its own, so
that it imports nothing of this repository beside this module, which needs NumPy alone.

- `convert FOLDER FILE VARIANT` writes the int8 file.
- `answer FOLDER FILE OUTPUT` writes the logits of all evaluation pictures, an array.
- `serve FOLDER FILE THREADS` says `ready`, and answers each number that it reads, of inferences,
  with the time in ms of the fastest.
"""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

_WARM_UP = 5


class Network(NamedTuple):
    """A network's folder.

    Attributes:
        folder: where the rest lies; `network.onnx` takes (1, 3, H, W) float32, normalized.
        program: `network.pt2`, the PyTorch module as an exported program; absent where the network
            was given as ONNX alone.
    """

    folder: Path

    @property
    def onnx(self) -> Path:
        """The float network."""
        return self.folder / "network.onnx"

    @property
    def program(self) -> Path:
        """The PyTorch network."""
        return self.folder / "network.pt2"

    def pixels(self, part: str) -> NDArray[np.uint8]:
        """Pictures (N, H, W, 3) of `calibration` or `evaluation`."""
        found: NDArray[np.uint8] = np.load(self.folder / f"{part}.npy")
        return found

    def normalized(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Pictures (N, H, W, 3) as the float network takes them, (N, 3, H, W)."""
        given = json.loads((self.folder / "normalization.json").read_text())
        mean, std = (np.asarray(given[name], np.float32) for name in ("mean", "std"))
        values = (pixels.astype(np.float32) / 255 - mean) / std
        return np.ascontiguousarray(values.transpose(0, 3, 1, 2))


class Model(NamedTuple):
    """A model that is loaded.

    Attributes:
        prepare: an input of one picture, from its pixels (1, H, W, 3) and its normalized values
            (1, 3, H, W); not timed.
        run: logits (1, classes) of that input.
    """

    prepare: Callable[[NDArray[np.uint8], NDArray[np.float32]], Any]
    run: Callable[[Any], NDArray[np.float32]]


def main(
    convert: Callable[[Network, Path, str], None], load: Callable[[Network, Path, int], Model]
) -> None:
    """Do what the command line asks for."""
    verb, folder, file, last = sys.argv[1:]
    network = Network(Path(folder))
    if verb == "convert":
        convert(network, Path(file), last)
    elif verb == "answer":
        np.save(last, _answers(network, load(network, Path(file), 2)))
    else:
        _serve(network, load(network, Path(file), int(last)))


def _answers(network: Network, model: Model) -> NDArray[np.float32]:
    rows = []
    for one in network.pixels("evaluation"):
        pixels = one[None]
        rows.append(np.array(model.run(model.prepare(pixels, network.normalized(pixels)))))
    return np.concatenate([row.reshape(1, -1) for row in rows]).astype(np.float32)


def _serve(network: Network, model: Model) -> None:
    pixels = network.pixels("evaluation")[:1]
    given = model.prepare(pixels, network.normalized(pixels))
    for _ in range(_WARM_UP):
        model.run(given)
    print("ready", flush=True)
    for line in sys.stdin:
        times = []
        for _ in range(int(line)):
            started = time.perf_counter()
            model.run(given)
            times.append(time.perf_counter() - started)
        print(1e3 * min(times), flush=True)
