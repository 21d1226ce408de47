"""Whether what came out is the architecture that was asked for."""

from edgekit.errors import ConversionError
from edgekit.model import flatbuffer as tflite
from edgekit.model.architectures import Architecture
from edgekit.model.structure import read_structure


def check_structure(architecture: Architecture, flatbuffer: bytes) -> None:
    """Compare what a flatbuffer computes, by its operators and shapes, with what was asked for.

    Raises:
        ConversionError: it is another network.
    """
    found = read_structure(tflite.parse(flatbuffer))
    name = found.name if found and found.name else "no known ResNet"
    if name != architecture.name:
        raise ConversionError(
            f"the converted graph is {name}, not {architecture.name}; please report this with the "
            "checkpoint's keys"
        )
