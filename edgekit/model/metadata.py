"""What the TFLite Metadata of a model says about its pictures.

The standard is TFLite Support's `metadata_schema.fbs`: a flatbuffer of its own, in a buffer of the
model. Fields are named here by their number in that schema.
"""

from edgekit.errors import ModelFileError
from edgekit.model.decode import Reader, Table
from edgekit.model.flatbuffer import metadata
from edgekit.model.manifest import Normalization

ENTRY = "TFLITE_METADATA"
_NORMALIZATION_OPTIONS = 1


def read_normalization(flatbuffer: bytes) -> Normalization | None:
    """How the first input's pixels are normalized; None where nothing, or nonsense, is said."""
    try:
        content = metadata(flatbuffer, ENTRY)
        if content is None:
            return None
        return _normalization(Reader(content).root())
    except (ModelFileError, OverflowError, ValueError, ZeroDivisionError):
        return None


def _normalization(model: Table) -> Normalization | None:
    subgraph = next(model.children(3), None)
    tensor = next(subgraph.children(2), None) if subgraph else None
    for unit in tensor.children(4) if tensor else ():
        options = unit.child(1)
        if unit.scalar(0, "B") == _NORMALIZATION_OPTIONS and options:
            # For pixels from 0 to 255: one value for all channels, or one for each.
            mean, std = options.numbers(0, "f"), options.numbers(1, "f")
            red, green, blue = (value / 255 for value in (mean * 3 if len(mean) == 1 else mean))
            stds = tuple(value / 255 for value in (std * 3 if len(std) == 1 else std))
            if min(stds) > 0 and all(abs(value) < 1e6 for value in (red, green, blue, *stds)):
                return Normalization((red, green, blue), (stds[0], stds[1], stds[2]))
    return None
