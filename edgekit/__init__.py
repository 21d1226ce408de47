"""What the workstation and the device agree on: model file, preprocessing, runtime, errors.

- `edgekit.model`: the self-describing `.tflite` file
- `edgekit.vision`: pixels, and the one preprocessing
- `edgekit.inference`: what happens to one frame, live or recorded
- `edgekit.report`: the style that all reports share
- `edgekit.offline`: recordings, and what a model makes of them
- `edgekit.commands`: the commands that need nothing but this package
- `edgekit.errors`: the exception tree, with its exit codes

`Classifier`, `inspect` and `evaluate` are for programs and notebooks, and are loaded when they are
used; so are the exceptions, which all have their place here, too.
"""

import importlib
from typing import TYPE_CHECKING, Any

from edgekit.errors import (
    AcceleratorLostError,
    BrokerLostError,
    CheckpointError,
    ConfigurationError,
    ConversionError,
    DatasetError,
    DeliveryError,
    EdgekitError,
    ExpectationError,
    FidelityError,
    GoldenError,
    ImageError,
    InferenceError,
    LabelsError,
    MisfitError,
    ModelFileError,
    ModelsDifferError,
    OutputError,
    PushError,
    ReplayDiffersError,
    RuntimeUnavailableError,
    ServiceError,
    SettingsError,
    SignatureError,
    SourceError,
    SourceLostError,
    UpgradeError,
    WorkerLostError,
)

if TYPE_CHECKING:
    from edgekit.inference.answer import Answer
    from edgekit.inference.classifier import Classifier
    from edgekit.model.foreign import Hints
    from edgekit.model.inspection import inspect
    from edgekit.offline.folder_evaluation import evaluate

__version__ = "0.1.0"

# Where each is that takes NumPy, OpenCV or more, which `import edgekit` does without.
_LAZY = {
    "Answer": "edgekit.inference.answer",
    "Classifier": "edgekit.inference.classifier",
    "Hints": "edgekit.model.foreign",
    "evaluate": "edgekit.offline.folder_evaluation",
    "inspect": "edgekit.model.inspection",
}

__all__ = [
    "AcceleratorLostError",
    "Answer",
    "BrokerLostError",
    "CheckpointError",
    "Classifier",
    "ConfigurationError",
    "ConversionError",
    "DatasetError",
    "DeliveryError",
    "EdgekitError",
    "ExpectationError",
    "FidelityError",
    "GoldenError",
    "Hints",
    "ImageError",
    "InferenceError",
    "LabelsError",
    "MisfitError",
    "ModelFileError",
    "ModelsDifferError",
    "OutputError",
    "PushError",
    "ReplayDiffersError",
    "RuntimeUnavailableError",
    "ServiceError",
    "SettingsError",
    "SignatureError",
    "SourceError",
    "SourceLostError",
    "UpgradeError",
    "WorkerLostError",
    "__version__",
    "evaluate",
    "inspect",
]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_LAZY[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
