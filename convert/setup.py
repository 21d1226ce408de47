"""What pyproject.toml cannot say: the version, which stands in `edgekit/__init__.py` alone."""

import re
from pathlib import Path

from setuptools import setup

# version.py is a link to that file.
VERSION = re.findall(r'__version__ = "(.+)"', Path(__file__).with_name("version.py").read_text())[0]

setup(
    version=VERSION,
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
