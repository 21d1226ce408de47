"""The ResNets that can be converted: the one table of them, by torchvision's names.

The converter builds from it, `--arch` offers it, structures are recognised by it and memory is
foreseen by it. A ResNet made of torchvision's own blocks needs no more than an entry here.
"""

from collections.abc import Sequence
from dataclasses import dataclass

# On the safe side for MobileNet V2, which takes 50 to 100.
UNMEASURED_BYTES_PER_PIXEL = 400


@dataclass(frozen=True)
class Architecture:
    """One ResNet (He et al. 2015, arXiv:1512.03385, table 1).

    Attributes:
        option: what `--arch` calls it.
        blocks: residual blocks in each of the four stages.
        bottleneck: whether a block is 1x1, 3x3, 1x1 rather than two 3x3 convolutions.
        versions: of torchvision's published ImageNet weights; the last is the best.
        bytes_per_pixel: the runtime's buffers on the device for each pixel of the input, measured
            (see `edgekit_convert.target.memory`).
    """

    option: str
    blocks: tuple[int, int, int, int]
    bottleneck: bool
    versions: tuple[int, ...] = ()
    bytes_per_pixel: int = UNMEASURED_BYTES_PER_PIXEL

    @property
    def name(self) -> str:
        """torchvision's name, for example `resnet18`."""
        return f"resnet{self.option}"

    @property
    def features(self) -> int:
        """Channels that reach the head."""
        return 2048 if self.bottleneck else 512

    def parameters(self) -> int:
        """Weights and biases of the convolutions, BatchNorm folded; the head not counted."""
        count, inputs = 64 * (3 * 49 + 1), 64
        for stage, blocks in enumerate(self.blocks):
            width = 64 << stage
            outputs = 4 * width if self.bottleneck else width
            for _ in range(blocks):
                if self.bottleneck:
                    count += width * (inputs + 1) + width * (9 * width + 1) + outputs * (width + 1)
                else:
                    count += width * (9 * inputs + 1) + width * (9 * width + 1)
                if inputs != outputs:
                    count += outputs * (inputs + 1)
                inputs = outputs
        return count


ARCHITECTURES = {
    architecture.option: architecture
    for architecture in (
        Architecture("18", (2, 2, 2, 2), False, versions=(1,), bytes_per_pixel=197),
        Architecture("34", (3, 4, 6, 3), False, versions=(1,), bytes_per_pixel=253),
        Architecture("50", (3, 4, 6, 3), True, versions=(1, 2), bytes_per_pixel=347),
        Architecture("101", (3, 4, 23, 3), True, versions=(1, 2), bytes_per_pixel=484),
        Architecture("152", (3, 8, 36, 3), True, versions=(1, 2), bytes_per_pixel=667),
    )
}


def find_architecture(blocks: Sequence[int], bottleneck: bool) -> Architecture | None:
    """The one with so many blocks of a kind in each stage; None where there is none."""
    wanted = tuple(blocks), bottleneck
    found = (one for one in ARCHITECTURES.values() if (one.blocks, one.bottleneck) == wanted)
    return next(found, None)
