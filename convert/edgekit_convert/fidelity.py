"""Compare each stage of a conversion with the untouched PyTorch network."""

import math
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray
from torch import nn

from edgekit.errors import FidelityError
from edgekit.manifest import Fidelity, Normalisation, StageFidelity
from edgekit.runtime import Interpreter
from edgekit_convert.fold import FoldedResNet, normalise

# A stage's answer to pictures (N, H, W, 3) uint8: probabilities (N, classes) float32.
Answer: TypeAlias = Callable[[NDArray[np.uint8]], NDArray[np.float32]]

# Float stages compute the same function; what they may differ in is the order of additions.
FLOAT_AGREEMENT = 0.99
# MLPerf's rule for labelled pictures, and our own for pictures without labels.
INT8_KEEPS = 0.99
INT8_AGREEMENT = 0.98


def _pixels(pictures: NDArray[np.uint8]) -> torch.Tensor:
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).float()


def pytorch_answer(network: nn.Module, normalisation: Normalisation) -> Answer:
    """The untouched network, with torchvision's own normalisation."""

    def answer(pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
        with torch.inference_mode():
            logits = network(normalise(_pixels(pictures), normalisation))
        return np.asarray(torch.softmax(logits, dim=1).numpy(), dtype=np.float32)

    return answer


def folded_answer(network: FoldedResNet) -> Answer:
    """The network with BatchNorm and normalisation folded."""

    def answer(pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
        with torch.inference_mode():
            return np.asarray(network(_pixels(pictures)).numpy(), dtype=np.float32)

    return answer


def onnx_answer(path: str) -> Answer:
    """The ONNX file in onnxruntime."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors; its warnings are about unused constants
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def answer(pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
        pixels = _pixels(pictures).numpy()
        rows = [session.run(None, {"image": pixels[i : i + 1]})[0] for i in range(len(pixels))]
        return np.asarray(np.concatenate(rows), dtype=np.float32)

    return answer


def tflite_answer(flatbuffer: bytes, threads: int) -> Answer:
    """A TFLite model in the preferred interpreter."""
    interpreter = Interpreter(flatbuffer, threads=threads)

    def answer(pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
        rows = []
        for index in range(len(pictures)):
            interpreter.set_input(pictures[index : index + 1])
            interpreter.invoke()
            rows.append(interpreter.output())
        return np.stack(rows)

    return answer


def signal_to_noise(reference: NDArray[Any], values: NDArray[Any]) -> float | None:
    """10 log10 of the reference's energy over the difference's, in dB; None without difference."""
    exact = reference.astype(np.float64)
    noise = float(((exact - values) ** 2).sum())
    return round(10 * math.log10(float((exact**2).sum()) / noise), 2) if noise else None


def compare(
    stage: str,
    values: NDArray[np.float32],
    reference: NDArray[np.float32],
    truth: NDArray[np.int64] | None,
) -> StageFidelity:
    """Figures of one stage.

    Args:
        stage: its name in the report.
        values, reference: probabilities (N, classes) of the stage and of PyTorch.
        truth: class indices (N,), where the pictures have labels.
    """
    top1 = top5 = None
    if truth is not None:
        best = np.argsort(-values, axis=1, kind="stable")[:, :5]
        top1 = round(float((best[:, 0] == truth).mean()), 6)
        top5 = round(float((best == truth[:, None]).any(axis=1).mean()), 6)
    agreement = float((values.argmax(axis=1) == reference.argmax(axis=1)).mean())
    return StageFidelity(
        stage=stage,
        images=len(values),
        agreement=round(agreement, 6),
        snr_db=signal_to_noise(reference, values),
        top1=top1,
        top5=top5,
    )


def gate(fidelity: Fidelity) -> None:
    """Refuse a conversion whose answers changed.

    Raises:
        FidelityError: names the first stage that lost more than it may.
    """
    original, final = fidelity.stages[0], fidelity.stages[-1]
    for stage in fidelity.stages[1:-1]:
        if stage.agreement < FLOAT_AGREEMENT:
            raise FidelityError(
                f"stage {stage.stage} agrees with PyTorch on {stage.agreement:.1%} of "
                f"{stage.images} pictures, less than {FLOAT_AGREEMENT:.0%}; nothing was written"
            )
    if original.top1 and final.top1 is not None:
        if final.top1 < INT8_KEEPS * original.top1:
            raise FidelityError(
                f"stage {final.stage} has {final.top1:.2%} top-1 where PyTorch has "
                f"{original.top1:.2%}, less than {INT8_KEEPS:.0%} of it; nothing was written; give "
                "more varied calibration pictures, or accept the loss with --allow-loss"
            )
    elif final.agreement < INT8_AGREEMENT:
        raise FidelityError(
            f"stage {final.stage} agrees with PyTorch on {final.agreement:.1%} of {final.images} "
            f"pictures, less than {INT8_AGREEMENT:.0%}; nothing was written; give more varied "
            "calibration pictures, or accept the loss with --allow-loss"
        )
