"""Any int8 TFLite file in LiteRT, of whichever environment; converts nothing."""

from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from benchmarks.peers.tools.serving import Model, Network, main


def load(network: Network, file: Path, threads: int) -> Model:
    """A file that takes pixels (uint8), or normalized values in whatever type and order."""
    interpreter = Interpreter(model_content=file.read_bytes(), num_threads=threads)
    interpreter.allocate_tensors()
    given, taken = interpreter.get_input_details()[0], interpreter.get_output_details()[0]

    def prepare(pixels: NDArray[np.uint8], normalized: NDArray[np.float32]) -> Any:
        if given["dtype"] == np.uint8:
            return pixels
        channels_first = given["shape"][1] == 3
        values = normalized if channels_first else normalized.transpose(0, 2, 3, 1)
        if given["dtype"] == np.float32:
            return np.ascontiguousarray(values)
        scale, zero_point = given["quantization"]
        limits = np.iinfo(given["dtype"])
        steps = np.round(values / scale) + zero_point
        return np.clip(steps, limits.min, limits.max).astype(given["dtype"])

    def run(values: Any) -> NDArray[np.float32]:
        interpreter.set_tensor(given["index"], values)
        interpreter.invoke()
        found = interpreter.get_tensor(taken["index"])
        if found.dtype == np.float32:
            return found
        scale, zero_point = taken["quantization"]
        return (found.astype(np.float32) - zero_point) * scale

    return Model(prepare, run)


def _convert(network: Network, file: Path, variant: str) -> None:
    raise SystemExit("TFLite files are made by the other tools")


if __name__ == "__main__":
    main(_convert, load)
