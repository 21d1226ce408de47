"""The exceptions edgekit raises on purpose.

    EdgekitError
    ├── ImageError                a picture, or a folder of pictures, cannot be read
    ├── SourceError               a source of frames cannot be opened, or broke
    ├── DatasetError              a labelled dataset does not have the expected layout
    ├── LabelsError               a labels or classes file does not fit the model
    ├── ModelFileError            a model file is damaged or not what it claims to be
    ├── RuntimeUnavailableError   no TFLite interpreter that was asked for can be loaded
    ├── OutputError               a result cannot be written where it was asked for
    └── ConversionError           a model cannot be converted
        ├── CheckpointError       a checkpoint cannot be read or does not fit the architecture
        └── FidelityError         a stage of the conversion changed the model's answers

Every message says what is wrong and what to do about it, on one line: the command line prints it
as it is.
"""


class EdgekitError(Exception):
    """Base of all expected failures; `exit_code` is what the command line returns."""

    exit_code = 1


class ImageError(EdgekitError):
    """A picture, or a folder of pictures, cannot be read."""


class SourceError(EdgekitError):
    """A source of frames cannot be opened, or broke while it was read."""


class DatasetError(EdgekitError):
    """A labelled dataset does not have the expected layout."""


class LabelsError(EdgekitError):
    """A labels or classes file does not fit the model."""


class ModelFileError(EdgekitError):
    """A model file is damaged or is not what it claims to be."""


class RuntimeUnavailableError(EdgekitError):
    """No TFLite interpreter that was asked for can be loaded, or it refuses the model."""


class OutputError(EdgekitError):
    """A result cannot be written where it was asked for."""


class ConversionError(EdgekitError):
    """A model cannot be converted."""


class CheckpointError(ConversionError):
    """A checkpoint cannot be read or does not fit the architecture."""


class FidelityError(ConversionError):
    """A stage of the conversion changed the model's answers."""

    exit_code = 3
