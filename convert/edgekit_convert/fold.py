"""The network as it is exported: raw pixels in, probabilities out, normalisation folded in.

torchvision pads the *normalised* picture with zeros, which stand for the mean pixel of each
channel. A network that takes raw pixels therefore has to pad each channel with its own mean, so
the border is joined on as a constant and the first convolution does not pad. In float this is
exact; in the int8 model the border is the mean rounded to a whole pixel value.
"""

from itertools import pairwise
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgekit.manifest import Normalisation


def normalise(pixels: Tensor, normalisation: Normalisation) -> Tensor:
    """Raw pixels (N, 3, H, W) to what the untouched network takes: (p / 255 - mean) / std."""
    mean = torch.tensor(normalisation.mean).view(1, 3, 1, 1)
    std = torch.tensor(normalisation.std).view(1, 3, 1, 1)
    return (pixels / 255 - mean) / std


class FoldedResNet(nn.Module):
    """A torchvision ResNet whose input is (1, 3, height, width) raw pixel values, 0 to 255.

    Every BatchNorm is folded into the convolution before it: with y = gamma (Wx - mu) / sigma +
    beta, the folded weights are gamma W / sigma and the bias is beta - gamma mu / sigma (Jacob et
    al. 2018, arXiv:1712.05877, section 3.2). The output is (1, classes) probabilities.

    Args:
        network: in evaluation mode; it is changed, so hand over a copy.
        normalisation: what the network was trained with.
        height, width: size of the input, in pixels.
    """

    def __init__(
        self, network: nn.Module, normalisation: Normalisation, height: int, width: int
    ) -> None:
        super().__init__()
        _fold_batch_norms(network)
        # torchvision is untyped, and its ResNet has its layers as plain attributes.
        resnet = cast(Any, network)
        first: nn.Conv2d = resnet.conv1
        self.first = nn.Conv2d(3, first.out_channels, first.kernel_size, first.stride)  # type: ignore[arg-type]
        mean, std = torch.tensor(normalisation.mean), torch.tensor(normalisation.std)
        assert first.bias is not None
        with torch.no_grad():
            weight = first.weight / std.view(1, 3, 1, 1)
            self.first.weight.copy_(weight / 255)
            assert self.first.bias is not None
            self.first.bias.copy_(first.bias - (weight * mean.view(1, 3, 1, 1)).sum(dim=(1, 2, 3)))
        rows, columns = cast(tuple[int, int], first.padding)
        border = (255 * mean).view(1, 3, 1, 1)
        self.register_buffer("row_border", border.repeat(1, 1, rows, width))
        self.register_buffer("column_border", border.repeat(1, 1, height + 2 * rows, columns))
        resnet.conv1 = nn.Identity()
        self.resnet = resnet

    def forward(self, pixels: Tensor) -> Tensor:
        resnet = self.resnet
        row = cast(Tensor, self.row_border).expand(len(pixels), -1, -1, -1)
        column = cast(Tensor, self.column_border).expand(len(pixels), -1, -1, -1)
        x = torch.cat([row, pixels, row], dim=2)
        x = torch.cat([column, x, column], dim=3)
        x = F.relu(self.first(x))
        # The pool's own padding is minus infinity, which after a ReLU is as good as 0.
        x = F.max_pool2d(F.pad(x, (1, 1, 1, 1)), kernel_size=3, stride=2)
        x = resnet.layer4(resnet.layer3(resnet.layer2(resnet.layer1(x))))
        return torch.softmax(resnet.fc(x.mean((2, 3))), dim=1)


def _fold_batch_norms(network: nn.Module) -> None:
    """Fold each BatchNorm2d of a torchvision ResNet into its convolution, in place."""
    for module in list(network.modules()):
        names = [name for name, _ in module.named_children()]
        for before, after in pairwise(names):
            convolution, norm = getattr(module, before), getattr(module, after)
            if isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                setattr(module, before, torch.nn.utils.fuse_conv_bn_eval(convolution, norm))
                setattr(module, after, nn.Identity())
