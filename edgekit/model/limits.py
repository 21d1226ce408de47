"""The limits of a model file: what is larger is refused before an interpreter sees it.

Each is well above what image classifiers need, and keeps the time and the memory that a hostile
file costs small. docs/model-file.md lists them.
"""

from edgekit.errors import ModelFileError

# VGG-16 in float32, the largest that people bring, has 553 MB.
FILE_BYTES = 640 << 20

# Of all graphs of a file together.
GRAPHS = 16
TENSORS = 8_192
OPERATORS = 4_096
# Of any kind: tensors and operators, what describes them, buffers, metadata.
TABLES = 32_768
# Inputs, or outputs, of one operator or graph.
CONNECTIONS = 1_024
# In all lists of numbers, shapes and scales above all; an interpreter copies those of each tensor.
NUMBERS = 1 << 21
# Of names and descriptions.
TEXT_BYTES = 8 << 20

# TFLite's own (`kMaxDims`, and what its kernels index by).
DIMENSIONS = 8
ELEMENTS = 1 << 26
# Of all tensors that are alive at once, constants left out.
ACTIVATION_BYTES = 512 << 20
# Strides, dilations, sizes of windows and blocks: two multiply within 31 bits.
STEP = 32_767
# Of scales: a product of three stays finite, and so does its inverse.
SCALE = 1e30

# Google's landmark classifiers have 98,960.
CLASSES = 131_072
LABEL_FILE_BYTES = 4 << 20
# Characters; Home Assistant keeps no longer state.
LABEL = 255

MANIFEST_BYTES = 256 << 10
JSON_DEPTH = 32
ZIP_ENTRIES = 64
ZIP_DIRECTORY_BYTES = 64 << 10
# Unpacked, of all entries together.
ZIP_BYTES = 16 << 20


def check(number: int, maximum: int, what: str) -> None:
    """Refuse more of something than a model file may have.

    Raises:
        ModelFileError: the message is a clause without the file's name.
    """
    if number > maximum:
        raise ModelFileError(f"it has {number:,} {what}; at most {maximum:,} are read")
