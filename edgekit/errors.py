"""The exceptions edgekit raises on purpose, and the exit codes of its commands.

    EdgekitError                      1
    ├── ImageError                    1  a picture, or a folder of pictures, cannot be read
    ├── SourceError                   1  a source of frames cannot be opened, or broke
    │   └── SourceLostError          10  a camera did not come back
    ├── DatasetError                  1  a labelled data set does not have the expected layout
    ├── LabelsError                   1  a labels or classes file does not fit the model
    ├── ModelFileError                1  a model file is damaged or not what it claims to be
    │   └── SignatureError            1  a model file is not signed, or not by who has to
    ├── RuntimeUnavailableError       1  no TFLite interpreter that was asked for can be loaded
    ├── InferenceError                1  the interpreter, or its delegate, failed on a frame
    ├── WorkerLostError               1  a process with a part of the work ended early
    ├── AcceleratorLostError         11  the accelerator, or an inference, failed for good
    ├── SettingsError                 1  a setting names what does not work
    │   └── ConfigurationError        2  the settings themselves are wrong
    ├── OutputError                   1  a result cannot be written where it was asked for
    │   ├── DeliveryError             1  events did not reach everybody they were meant for
    │   └── BrokerLostError          12  an MQTT broker was away for too long
    ├── ConversionError               1  a model cannot be converted
    │   ├── CheckpointError           1  a checkpoint cannot be read, or does not fit
    │   ├── MisfitError               3  the network was trained on pictures fed otherwise
    │   └── FidelityError             3  a stage changed the answers, or labels contradict them
    ├── ServiceError                  1  the service cannot be changed, or does not run
    │   └── UpgradeError              1  a model or a configuration was refused, or rolled back
    ├── PushError                     1  at least one device did not get what was pushed
    └── ExpectationError              1  a result is not what it had to be
        ├── GoldenError               1  a golden file cannot be read, or belongs elsewhere
        ├── ReplayDiffersError        1  a replay gave other events than it should
        └── ModelsDifferError         1  two models agree on fewer frames than they should

Every message says what is wrong and what to do about it, on one line: the command line prints it
as it is. What a message quotes of a file or of the network steers no terminal, and has an end.
"""

from typing import Any, NamedTuple

# Characters of a message.
_LONGEST = 4000


class EdgekitError(Exception):
    """Base of all expected failures; `exit_code` is what the command line returns."""

    exit_code = 1

    def __str__(self) -> str:
        text = super().__str__()
        if len(text) > _LONGEST:  # What is quoted is in the middle; the remedy is at the end.
            text = f"{text[: _LONGEST // 2]}…{text[-_LONGEST // 2 + 1 :]}"
        return "".join(letter if letter.isprintable() else " " for letter in text)


class ImageError(EdgekitError):
    """A picture, or a folder of pictures, cannot be read."""


class SourceError(EdgekitError):
    """A source of frames cannot be opened, or broke while it was read."""


class SourceLostError(SourceError):
    """A camera did not come back."""

    exit_code = 10


class DatasetError(EdgekitError):
    """A labelled data set does not have the expected layout."""


class LabelsError(EdgekitError):
    """A labels or classes file does not fit the model."""


class ModelFileError(EdgekitError):
    """A model file is damaged or is not what it claims to be."""


class SignatureError(ModelFileError):
    """A model file is not signed, its signature is damaged, or nobody vouches for who made it."""


class RuntimeUnavailableError(EdgekitError):
    """No TFLite interpreter that was asked for can be loaded, or it refuses the model."""


class InferenceError(EdgekitError):
    """The interpreter, or its delegate, failed on a frame."""


class WorkerLostError(EdgekitError):
    """A process, or a machine, that had a part of the work ended before it was done."""


class AcceleratorLostError(EdgekitError):
    """The accelerator, or an inference, failed for good."""

    exit_code = 11


class SettingsError(EdgekitError):
    """A setting names what does not work: a broker, a port, a delegate."""


class ConfigurationError(SettingsError):
    """The settings themselves are wrong: a key, a value, or a file that cannot be read."""

    exit_code = 2


class OutputError(EdgekitError):
    """A result cannot be written where it was asked for."""


class DeliveryError(OutputError):
    """Events did not reach everybody they were meant for."""


class BrokerLostError(OutputError):
    """An MQTT broker was away for too long; the program is to be started afresh."""

    exit_code = 12


class ConversionError(EdgekitError):
    """A model cannot be converted."""


class CheckpointError(ConversionError):
    """A checkpoint cannot be read or does not fit the architecture."""


class MisfitError(ConversionError):
    """The network was trained on pictures fed otherwise, or was not trained."""

    exit_code = 3


class FidelityError(ConversionError):
    """A stage of the conversion changed the model's answers, or labels contradict the original.

    Attributes:
        report: of the conversion (`edgekit_convert.report.results.Report`), which shows why; None
            where it ended before there was one.
    """

    exit_code = 3

    def __init__(self, message: str, report: Any = None) -> None:
        super().__init__(message)
        self.report = report


class ServiceError(EdgekitError):
    """The service, or a file of it, cannot be changed or does not run."""


class UpgradeError(ServiceError):
    """A model or a configuration was refused, or rolled back."""


class PushError(EdgekitError):
    """At least one device did not get what was pushed."""


class ExpectationError(EdgekitError):
    """A result is not what it had to be."""


class GoldenError(ExpectationError):
    """A golden file cannot be read, or belongs to another recording, model or setting."""


class ReplayDiffersError(ExpectationError):
    """A replay gave other events than it should."""


class ModelsDifferError(ExpectationError):
    """Two models agree on fewer frames than they should."""


class ExitCode(NamedTuple):
    """An exit code: its number, the commands that give it (empty for all), what it means."""

    number: int
    commands: tuple[str, ...]
    meaning: str


INTERRUPTED = 130
# What the documentation, the command's help and the service say about exit codes.
EXIT_CODES = (
    ExitCode(0, (), "done"),
    ExitCode(EdgekitError.exit_code, (), "failed; one line on stderr says what is wrong and what "
             "to do"),
    ExitCode(ConfigurationError.exit_code, (), "wrong usage or configuration"),
    ExitCode(FidelityError.exit_code, ("convert",), "the network was trained on pictures fed "
             "otherwise, labels contradict it, or the converted model is not faithful enough; no "
             "model was written"),
    ExitCode(SourceLostError.exit_code, ("run", "record"), "the camera did not come back"),
    ExitCode(AcceleratorLostError.exit_code, ("run", "record"), "the accelerator, or an "
             "inference, failed for good"),
    ExitCode(BrokerLostError.exit_code, ("run",), "the MQTT broker stayed away"),
    ExitCode(INTERRUPTED, (), "interrupted with Ctrl-C"),
)  # fmt: skip
