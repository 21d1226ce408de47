"""The limits of a model file: what is larger is refused before an interpreter sees it.

Each is well above what image classifiers need, and keeps small what a hostile file costs in time
and memory. docs/model-file.md has the same table.
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

# As many as TFLite's kernels index by.
DIMENSIONS = 8
# Of an activation.
ELEMENTS = 1 << 26
# Of all activations that are needed at once.
ACTIVATION_BYTES = 512 << 20
# Strides, dilations, sizes of windows and blocks: two multiply within 31 bits.
STEP = 32_767
# Of scales, and of their inverses: a product of three stays finite.
SCALE = 1e30

# Google's landmark classifiers have 98,960.
CLASSES = 131_072
LABEL_FILE_BYTES = 4 << 20
# Characters of a label; Home Assistant keeps no longer state.
LABEL = 255

ZIP_ENTRIES = 64
ZIP_DIRECTORY_BYTES = 64 << 10
# Unpacked, of all entries together.
ZIP_BYTES = 16 << 20
MANIFEST_BYTES = 256 << 10
JSON_DEPTH = 32


def check(number: int, maximum: int, what: str) -> None:
    """Refuse more of something than a model file may have.

    Raises:
        ModelFileError: the message is a clause without the file's name.
    """
    if number > maximum:
        raise ModelFileError(f"it has {number:,} {what}; at most {maximum:,} are read")
