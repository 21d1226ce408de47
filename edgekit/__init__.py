"""What the workstation and the device agree on: model file, preprocessing, runtime, errors.

- `edgekit.model`: the self-describing `.tflite` file
- `edgekit.vision`: pixels, and the one preprocessing
- `edgekit.inference`: what happens to one frame, live or recorded
- `edgekit.report`: the style that all reports share
- `edgekit.offline`: recordings, and what a model makes of them
- `edgekit.commands`: the commands that need nothing but this package
- `edgekit.errors`: the exception tree, with its exit codes
"""

__version__ = "0.1.0"
