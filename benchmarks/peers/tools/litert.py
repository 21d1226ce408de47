"""litert-torch, then litert-quantizer with `static_wi8_ai8`, in the newest LiteRT."""

from pathlib import Path

import litert_torch
import torch
from litert_quantizer import Quantizer, recipe

from benchmarks.peers.tools.modules import exported
from benchmarks.peers.tools.serving import Network, main
from benchmarks.peers.tools.tflite import load


def convert(network: Network, file: Path, variant: str) -> None:
    """With the channels of the input last, which saves a transposition."""
    inputs = network.normalized(network.pixels("calibration")).transpose(0, 2, 3, 1)
    wrapped = litert_torch.to_channel_last_io(exported(network), args=[0])
    example = torch.from_numpy(inputs[:1].copy())
    floating = file.with_suffix(".float32")
    litert_torch.convert(wrapped, (example,)).export(str(floating))
    quantizer = Quantizer(str(floating), recipe.static_wi8_ai8())
    pictures = [{"args_0": inputs[i : i + 1].copy()} for i in range(len(inputs))]
    seen = quantizer.calibrate({"serving_default": pictures}, num_threads=2)
    file.write_bytes(quantizer.quantize(seen).quantized_model)
    floating.unlink()


if __name__ == "__main__":
    main(convert, load)
