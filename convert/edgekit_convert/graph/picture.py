"""The input of an ONNX classifier: one picture, or a few, in the layout and type it takes."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto

from edgekit.errors import ConversionError

_DTYPES: dict[int, type[np.generic]] = {
    TensorProto.FLOAT: np.float32,
    TensorProto.FLOAT16: np.float16,
    TensorProto.DOUBLE: np.float64,
    TensorProto.UINT8: np.uint8,
}


@dataclass(frozen=True)
class Picture:
    """Input of an ONNX classifier.

    Attributes:
        tensor: its name.
        dtype: of its values; those of uint8 are raw pixels.
        channels_last: whether it is (N, H, W, 3) in place of (N, 3, H, W).
        batch: number of pictures, where the model fixes one.
        height, width: in pixels, where the model fixes them.
    """

    tensor: str
    dtype: type[np.generic]
    channels_last: bool
    batch: int | None
    height: int | None
    width: int | None

    def feed(self, pictures: NDArray[np.float32]) -> NDArray[Any]:
        """Normalized pictures (N, 3, H, W) in this layout and type."""
        ordered = pictures.transpose(0, 2, 3, 1) if self.channels_last else pictures
        if self.dtype is np.uint8:
            ordered = np.round(ordered)  # of 2.9999998, which would be cut off
        return np.ascontiguousarray(ordered.astype(self.dtype))


def picture_input(model: ModelProto) -> Picture:
    """The model's input.

    Raises:
        ConversionError: it is not one RGB picture.
    """
    constants = {constant.name for constant in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in constants]
    if len(inputs) != 1:
        names = ", ".join(value.name for value in inputs) or "none"
        raise ConversionError(
            f"the ONNX model has {len(inputs)} inputs ({names}); a classifier has one, the "
            "picture, and holds its weights: export it so"
        )
    kind = inputs[0].type.tensor_type
    shape = [d.dim_value if d.HasField("dim_value") else None for d in kind.shape.dim]
    words = f"({', '.join('?' if size is None else str(size) for size in shape)})"
    wanted = "one RGB picture, (N, 3, H, W) or (N, H, W, 3)"
    if len(shape) != 4:
        raise ConversionError(f"the ONNX model takes {words}; export it so that it takes {wanted}")
    channels_last = shape[1] != 3 and shape[3] == 3
    channels = shape[3 if channels_last else 1]
    if channels not in (None, 3):
        grey = ", grey pictures" if 1 in (shape[1], shape[3]) else ""
        raise ConversionError(
            f"the ONNX model takes {words}{grey}; edgekit needs a network that takes {wanted}"
        )
    if kind.elem_type not in _DTYPES:
        name = TensorProto.DataType.Name(kind.elem_type)
        raise ConversionError(
            f"the ONNX model takes {name.lower()} values; export it so that it takes float32"
        )
    batch, *rest = shape
    height, width = rest[:2] if channels_last else rest[1:]
    return Picture(
        inputs[0].name, _DTYPES[kind.elem_type], channels_last, batch or None, height, width
    )
