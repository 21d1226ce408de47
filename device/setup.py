"""What pyproject.toml cannot say: the version, which stands in `edgekit/__init__.py` alone."""

import re
from pathlib import Path

from setuptools import setup

# version.py is a link to that file.
VERSION = re.findall(r'__version__ = "(.+)"', Path(__file__).with_name("version.py").read_text())[0]

setup(
    version=VERSION,
    install_requires=[
        f"edgekit-core=={VERSION}",
        # tflite-runtime was built against NumPy 1 and says so nowhere; it has no wheel for
        # Python 3.12+.
        "tflite-runtime==2.14.0; python_version < '3.12' and platform_system == 'Linux'",
        "numpy<2; python_version < '3.12'",
        "ai-edge-litert==2.1.0; python_version < '3.12' and platform_system != 'Linux'",
        "ai-edge-litert>=2.1; python_version >= '3.12'",
        "paho-mqtt>=2.1",
    ],
)
