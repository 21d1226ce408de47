"""What pyproject.toml cannot say: the version, which stands in `edgekit/__init__.py` alone."""

import re
from pathlib import Path

from setuptools import setup

# version.py is a link to that file.
VERSION = re.findall(r'__version__ = "(.+)"', Path(__file__).with_name("version.py").read_text())[0]


def _not(marker: str) -> str:
    """The opposite of a marker of this form."""
    return marker.replace("==", "!=").replace(" and ", " or ").replace(" in ", " not in ")


# OpenCV comes under several names, which all write the folder cv2/, so that each machine shall have
# one of them. A Pi takes the one without Qt: less memory, and none of a desktop's libraries. A
# workstation, which may have edgekit-convert beside this, takes the one that onnx2tf pins.
ARM = "platform_system == 'Linux' and platform_machine in 'aarch64 armv6l armv7l armv8l'"
ELSEWHERE = _not(ARM)

# LiteRT has no wheel for 32 bits. tflite-runtime was built against NumPy 1 and says so nowhere; it
# has no wheel for Python 3.12+.
BITS_32 = "platform_system == 'Linux' and platform_machine in 'armv6l armv7l armv8l'"
BITS_64 = _not(BITS_32)

setup(
    version=VERSION,
    install_requires=[
        f"edgekit-core=={VERSION}",
        f"ai-edge-litert>=2.1; {BITS_64}",
        f"tflite-runtime==2.14.0; {BITS_32}",
        f"numpy<2; {BITS_32}",
        f"opencv-python-headless>=4.11,<5; {ARM}",
        f"opencv-python>=4.11,<5; {ELSEWHERE}",
        "paho-mqtt>=2.1",
    ],
)
