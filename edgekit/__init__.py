"""What the workstation and the device agree on: model file, preprocessing, runtime, errors.

Public names live in the modules that define them:

- `edgekit.modelfile`: the self-describing `.tflite` file and its manifest
- `edgekit.preprocess`: camera frame -> input tensor, the one implementation
- `edgekit.runtime`: open a model file and classify frames
- `edgekit.errors`: the exception tree
"""

import os

# OpenCV and FFmpeg print complaints of their own beside the one line that we print. They read these
# when they load, and which function sets it later depends on OpenCV's release.
os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")

__version__ = "0.1.0"
