"""PyTorch's own int8: torchao's PT2E quantization for x86, run by torch.compile (Inductor)."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e
from torchao.quantization.pt2e.quantizer.x86_inductor_quantizer import (
    X86InductorQuantizer,
    get_default_x86_inductor_quantization_config,
)

from benchmarks.peers.tools.modules import rebuilt
from benchmarks.peers.tools.serving import Model, Network, main


def convert(network: Network, file: Path, variant: str) -> None:
    """As its tutorial has it; what is kept is the exported program, its weights still in float."""
    inputs = torch.from_numpy(network.normalized(network.pixels("calibration")))
    example = (inputs[:1],)
    quantizer = X86InductorQuantizer()
    quantizer.set_global(get_default_x86_inductor_quantization_config())
    with torch.no_grad():
        program = torch.export.export(rebuilt(network), example).module()
        prepared = prepare_pt2e(program, quantizer)
        for picture in inputs:
            prepared(picture[None])
        quantized = convert_pt2e(prepared)
        torch.export.save(torch.export.export(quantized, example), file)


def load(network: Network, file: Path, threads: int) -> Model:
    """Compiled here, for these pictures, before anything is timed."""
    torch.set_num_threads(threads)
    torch._inductor.config.freezing = True
    compiled = torch.compile(torch.export.load(file).module())

    def run(values: Any) -> NDArray[np.float32]:
        with torch.no_grad():
            found: NDArray[np.float32] = compiled(values).numpy()
        return found

    return Model(lambda pixels, normalized: torch.from_numpy(normalized), run)


if __name__ == "__main__":
    main(convert, load)
