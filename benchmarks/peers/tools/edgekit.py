"""edgekit: `edgekit convert`, its search and report included; this repository's own LiteRT."""

import json
import subprocess
import sys
from pathlib import Path

from edgekit_convert.graph.execution import tflite_answer

from benchmarks.peers.tools import tflite
from benchmarks.peers.tools.serving import Model, Network, main


def convert(network: Network, file: Path, variant: str) -> None:
    """From the checkpoint, or the ONNX file where there is none, and a folder of pictures."""
    arguments = json.loads((network.folder / "arguments.json").read_text())
    command = [sys.executable, "-m", "edgekit", "convert", *arguments, "--output", file]
    subprocess.run([str(word) for word in command], check=True)


def load(network: Network, file: Path, threads: int) -> Model:
    """Timed as it is; its logits, for the answers, are those that its own report reads."""
    if sys.argv[1] == "serve":
        return tflite.load(network, file, threads)
    answer = tflite_answer(file.read_bytes(), threads)
    return Model(lambda pixels, normalized: pixels, lambda pixels: answer(pixels).logits)


if __name__ == "__main__":
    main(convert, load)
