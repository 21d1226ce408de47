"""Calibration pictures from nothing but the network: what its BatchNorm layers remember.

Each BatchNorm keeps the mean and variance of every channel over the training pictures. Noise with
the spectrum of photographs is changed by gradient descent until it gives the same statistics in
every layer and a confident answer (Cai et al. 2020, arXiv:2001.00281; Yin et al. 2020,
arXiv:1912.08795).
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from edgekit.model.manifest import Normalization

# Calibration pictures made where the user has none, and gradient steps spent on each: what more of
# either brought is in docs/conversion.md.
DISTILLED = 60
STEPS = 20
# At first; it falls to 0 along a cosine, without which so few steps do not settle.
_RATE = 0.15
_CONFIDENCE = 0.1
# Pixels of a batch; a batch is what statistics are taken over, and what fits in memory.
_PIXELS = 8 * 224 * 224


def statistics_distance(norm: nn.BatchNorm2d, inputs: Tensor) -> Tensor:
    """How far a batch (N, C, H, W) is from the statistics that a BatchNorm remembers.

    The mean over the channels of ((m - mean) / std)² + (s / std - 1)², where m and s are the mean
    and the standard deviation over the batch: relative to the remembered ones, so that every layer
    counts alike.
    """
    assert norm.running_mean is not None and norm.running_var is not None
    variance, average = torch.var_mean(inputs, dim=(0, 2, 3), correction=0)
    remembered = norm.running_var + norm.eps
    offset = (average - norm.running_mean).square() / remembered
    spread = ((variance + norm.eps) / remembered).sqrt() - 1
    return offset.mean() + spread.square().mean()


def distil(
    network: nn.Module,
    normalization: Normalization,
    height: int,
    width: int,
    count: int,
    steps: int,
    seed: int,
    advance: Callable[[int], None],
) -> NDArray[np.uint8]:
    """Make `count` pictures (count, height, width, 3) uint8, RGB; equal for equal seeds.

    Args:
        network: in evaluation mode, with its BatchNorm layers.
        normalization: what it was trained with.
        height, width: size of the pictures, in pixels.
        count: how many.
        steps: of gradient descent on each.
        seed: of the noise they start from.
        advance: called with the number of steps done, `steps` for each picture in all.
    """
    mean = torch.tensor(normalization.mean).view(1, 3, 1, 1)
    std = torch.tensor(normalization.std).view(1, 3, 1, 1)
    darkest, brightest = -mean / std, (1 - mean) / std
    generator = torch.Generator().manual_seed(seed)
    distances: list[Tensor] = []

    def compare(norm: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        assert isinstance(norm, nn.BatchNorm2d)
        distances.append(statistics_distance(norm, inputs[0]))

    hooks = [
        module.register_forward_hook(compare)
        for module in network.modules()
        if isinstance(module, nn.BatchNorm2d) and module.running_mean is not None
    ]
    size = max(4, min(32, _PIXELS // (height * width)))
    pictures: list[NDArray[np.uint8]] = []
    try:
        for start in range(0, count, size):
            batch = min(size, count - start)
            small = max(32, height // 2), max(32, width // 2)
            values = _noise(batch, *small, generator)
            classes = None
            # Most steps on pictures of half the size, which cost a quarter.
            cheap = 3 * steps // 4
            for shape, part in ((small, cheap), ((height, width), steps - cheap)):
                values = F.interpolate(values, size=shape, mode="bilinear", antialias=True)
                values.requires_grad_(True)
                optimizer = torch.optim.Adam([values], lr=_RATE)
                schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, max(1, part))
                for _ in range(part):
                    distances.clear()
                    logits: Any = network(values)
                    if classes is None:
                        classes = torch.randint(logits.shape[1], (batch,), generator=generator)
                    loss = _CONFIDENCE * F.cross_entropy(logits, classes)
                    if distances:
                        loss = loss + torch.stack(distances).mean()
                    (values.grad,) = torch.autograd.grad(loss, [values])
                    optimizer.step()
                    schedule.step()
                    with torch.no_grad():
                        values.copy_(torch.maximum(torch.minimum(values, brightest), darkest))
                    advance(batch)
                values = values.detach()
            pixels = ((values * std + mean) * 255).round().clamp(0, 255)
            pictures.append(pixels.to(torch.uint8).permute(0, 2, 3, 1).numpy())
    finally:
        for hook in hooks:
            hook.remove()
    return np.concatenate(pictures)


def _noise(batch: int, height: int, width: int, generator: torch.Generator) -> Tensor:
    """Noise (N, 3, H, W) of standard deviation 1, whose amplitude falls with the frequency.

    So it does in photographs, in proportion to 1 / f (Field 1987, doi:10.1364/JOSAA.4.002379).
    """
    white = torch.randn(batch, 3, height, width, generator=generator)
    vertical, horizontal = torch.fft.fftfreq(height)[:, None], torch.fft.rfftfreq(width)
    # The mean of a picture has no frequency: it is treated as one wave across.
    frequency = torch.hypot(vertical, horizontal).clamp(min=1 / max(height, width))
    noise: Tensor = torch.fft.irfft2(torch.fft.rfft2(white) / frequency, s=(height, width))
    return noise / noise.std()
