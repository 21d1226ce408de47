"""The exceptions edgekit raises on purpose.

    EdgekitError
    ├── ImageError                a picture, or a folder of pictures, cannot be read
    ├── SourceError               a source of frames cannot be opened, or broke
    ├── DatasetError              a labelled dataset does not have the expected layout
    ├── LabelsError               a labels or classes file does not fit the model
    ├── ModelFileError            a model file is damaged or not what it claims to be
    ├── RuntimeUnavailableError   no TFLite interpreter that was asked for can be loaded
    ├── InferenceError            the interpreter, or its delegate, failed on a frame
    ├── SettingsError             a setting names what does not work
    │   └── ConfigurationError    the settings themselves are wrong
    ├── OutputError               a result cannot be written where it was asked for
    │   └── BrokerLostError       an MQTT broker was away for too long
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


class InferenceError(EdgekitError):
    """The interpreter, or its delegate, failed on a frame."""


class SettingsError(EdgekitError):
    """A setting names what does not work: a broker, a port, a delegate."""


class ConfigurationError(SettingsError):
    """The settings themselves are wrong: a key, a value, or a file that cannot be read."""

    exit_code = 2


class OutputError(EdgekitError):
    """A result cannot be written where it was asked for."""


class BrokerLostError(OutputError):
    """An MQTT broker was away for too long; the program is to be started afresh."""

    exit_code = 12


class ConversionError(EdgekitError):
    """A model cannot be converted."""


class CheckpointError(ConversionError):
    """A checkpoint cannot be read or does not fit the architecture."""


class FidelityError(ConversionError):
    """A stage of the conversion changed the model's answers."""

    exit_code = 3


class SourceLostError(SourceError):
    """A camera did not come back."""

    exit_code = 10


class AcceleratorLostError(EdgekitError):
    """The accelerator, or an inference, failed for good."""

    exit_code = 11


class GoldenError(EdgekitError):
    """A golden file cannot be read, or belongs to another recording, model or setting."""


class ReplayDiffersError(EdgekitError):
    """A replay gave other events than it should."""


class ModelsDifferError(EdgekitError):
    """Two models agree on fewer frames than they should."""


class ServiceError(EdgekitError):
    """The service, or a file of it, cannot be changed or does not run."""


class UpgradeError(ServiceError):
    """A model did not prove itself; the one before runs again."""


class PushError(EdgekitError):
    """A model did not reach every device, or one did not keep it."""
