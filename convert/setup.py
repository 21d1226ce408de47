"""What pyproject.toml cannot say: see shared_setup.py; and what depends on the version."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from shared_setup import set_up, version

VERSION = version(Path(__file__).parent)

set_up(
    __file__,
    folder="convert",
    install_requires=[
        f"edgekit-core[media]=={VERSION}",
        # Both pin what they need. The one for Python 3.11 brings TensorFlow; the other does
        # without, and tflite-runtime has no wheel from Python 3.12 on.
        "onnx2tf==1.29.24; python_version < '3.12'",
        "tflite-runtime==2.14.0; python_version < '3.12' and platform_system == 'Linux'",
        "onnx2tf==2.6.9; python_version >= '3.12'",
        "ai-edge-litert>=2.1",
        "jinja2>=3.1",
        "onnxruntime>=1.20",
        "onnxscript>=0.5",
        "rich>=13",
        "safetensors>=0.5",
    ],
)
