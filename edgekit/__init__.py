"""What the workstation and the device agree on: model file, preprocessing, runtime, errors.

Public names live in the modules that define them:

- `edgekit.modelfile`: the self-describing `.tflite` file and its manifest
- `edgekit.preprocess`: camera frame -> input tensor, the one implementation
- `edgekit.runtime`: open a model file and classify frames
- `edgekit.errors`: the exception tree
"""

__version__ = "0.1.0"
