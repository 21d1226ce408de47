"""The ResNets that can be converted, by torchvision's names; knows them without loading torch."""

from dataclasses import dataclass

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
# torchvision evaluates the V1 weights on the central 224 of 256 pixels, V2 on 224 of 232.
IMAGENET_CROPS = {1: 224 / 256, 2: 224 / 232}


@dataclass(frozen=True)
class Architecture:
    """One ResNet (He et al. 2015, arXiv:1512.03385, table 1).

    Attributes:
        option: what `--arch` calls it.
        blocks: residual blocks in each of the four stages.
        bottleneck: whether a block is 1x1, 3x3, 1x1 rather than two 3x3 convolutions.
        versions: of torchvision's published ImageNet weights; the last is the best.
    """

    option: str
    blocks: tuple[int, int, int, int]
    bottleneck: bool
    versions: tuple[int, ...]

    @property
    def name(self) -> str:
        """torchvision's builder, for example `resnet18`."""
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
        Architecture("18", (2, 2, 2, 2), False, (1,)),
        Architecture("34", (3, 4, 6, 3), False, (1,)),
        Architecture("50", (3, 4, 6, 3), True, (1, 2)),
        Architecture("101", (3, 4, 23, 3), True, (1, 2)),
        Architecture("152", (3, 8, 36, 3), True, (1, 2)),
    )
}
