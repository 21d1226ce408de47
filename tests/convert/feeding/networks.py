"""Small networks that remember pictures because they were fed with them, not by training."""

import functools
from collections.abc import Sequence

import numpy as np
import onnx
import torch
from edgekit_convert.feeding.candidates import Way
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from edgekit.model.geometry import Geometry
from edgekit.model.manifest import Normalization
from edgekit.vision.preprocess import prepare
from tests.convert.toys import noise

IMAGENET = Normalization((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
AT_64 = Way(Geometry(64, 64), IMAGENET)


@functools.cache
def untouched_pictures(count: int = 64, seed: int = 0) -> tuple[NDArray[np.uint8], ...]:
    """Pictures (128, 128, 3) of squares of three sizes, reddish rather than bluish."""
    made = []
    for number in range(count):
        layers = [
            noise(128 // side, 128 // side, 3, seed=seed + 3 * number + index)
            .repeat(side, axis=0)
            .repeat(side, axis=1)
            for index, side in enumerate((4, 8, 16))
        ]
        contrast = np.mean(layers, axis=0) - 128 + (150, 115, 60)
        made.append(np.clip(contrast, 0, 255).astype(np.uint8))
    return tuple(made)


def prepared(way: Way, pictures: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """The pictures (N, H, W, 3) as a way has them."""
    return np.concatenate([prepare(picture, way.geometry) for picture in pictures])


def network(
    *, way: Way | None = None, pictures: Sequence[NDArray[np.uint8]] | None = None
) -> nn.Sequential:
    """Four convolutions with BatchNorm, which remember pictures fed in a way; untrained without."""
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    for inputs, outputs in ((3, 16), (16, 16), (16, 24), (24, 24)):
        layers += [
            nn.Conv2d(inputs, outputs, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(outputs, momentum=None),  # the plain mean over all that it has seen
            nn.ReLU(),
        ]
    made = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(24, 3))
    for layer in made:
        if isinstance(layer, nn.Conv2d):
            # Most see differences of neighbours alone, as trained ones do: these tell sizes.
            edges = layer.weight.data[: 3 * len(layer.weight) // 4]
            edges -= edges.mean(dim=(2, 3), keepdim=True)
    if way is not None:
        made.train()
        with torch.no_grad():
            seen = untouched_pictures(seed=1000) if pictures is None else pictures
            made(torch.from_numpy(way.feed(prepared(way, seen))))
    return made.eval()


def as_onnx(
    module: nn.Sequential, size: int | None = None, *, shared: bool = False
) -> onnx.ModelProto:
    """The same as an ONNX model with its BatchNormalization; `shared`: constants by Identity."""
    nodes: list[onnx.NodeProto] = []
    constants: list[onnx.TensorProto] = []

    def constant(name: str, values: torch.Tensor) -> str:
        constants.append(numpy_helper.from_array(values.detach().numpy(), name))
        if not shared:
            return name
        nodes.append(helper.make_node("Identity", [name], [f"{name}.same"]))
        return f"{name}.same"

    tensor = "picture"
    for index, layer in enumerate(module):
        output = f"t{index}"
        if isinstance(layer, nn.Conv2d):
            inputs = [tensor, constant(f"w{index}", layer.weight)]
            nodes.append(helper.make_node("Conv", inputs, [output], pads=[1] * 4, strides=[2, 2]))
        elif isinstance(layer, nn.BatchNorm2d):
            assert layer.running_mean is not None and layer.running_var is not None
            inputs = [tensor, *(
                constant(f"{name}{index}", values)
                for name, values in (("scale", layer.weight), ("bias", layer.bias),
                                     ("mean", layer.running_mean), ("var", layer.running_var))
            )]  # fmt: skip
            nodes.append(
                helper.make_node("BatchNormalization", inputs, [output], name=f"bn{index}")
            )
        elif isinstance(layer, nn.Linear):
            inputs = [tensor, constant(f"w{index}", layer.weight), constant("b", layer.bias)]
            nodes.append(helper.make_node("Gemm", inputs, [output], transB=1))
        else:
            kinds = {nn.ReLU: "Relu", nn.AdaptiveAvgPool2d: "GlobalAveragePool",
                     nn.Flatten: "Flatten"}  # fmt: skip
            nodes.append(helper.make_node(kinds[type(layer)], [tensor], [output]))
        tensor = output
    shape = [1, 3, size or "H", size or "W"]
    graph = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info("picture", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(tensor, TensorProto.FLOAT, [1, 3])],
        constants,
    )
    return helper.make_model(graph, ir_version=10, opset_imports=[helper.make_opsetid("", 17)])
