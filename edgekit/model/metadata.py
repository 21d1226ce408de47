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
            # For pixels from 0 to 255.
            red, green, blue = _of_channels(options.numbers(0, "f"))
            stds = _of_channels(options.numbers(1, "f"))
            if min(stds) > 0 and all(abs(value) < 1e6 for value in (red, green, blue, *stds)):
                return Normalization((red, green, blue), stds)
    return None


def _of_channels(values: tuple[float, ...]) -> tuple[float, float, float]:
    """One value for all channels, or one for each, of pixels from 0 to 1."""
    red, green, blue = values * 3 if len(values) == 1 else values
    return red / 255, green / 255, blue / 255
