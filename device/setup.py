"""What pyproject.toml cannot say: see shared_setup.py; and what depends on the version."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from shared_setup import set_up, version

VERSION = version(Path(__file__).parent)


def _not(marker: str) -> str:
    """The opposite of a marker of this form."""
    return marker.replace("==", "!=").replace(" and ", " or ").replace(" in ", " not in ")


# On 32 bits PyPI has neither OpenCV nor NumPy: both come from apt (docs/raspberry-pi.md). Nor has
# it LiteRT: there is tflite-runtime, for Python 3.11 alone.
BITS_32 = "platform_system == 'Linux' and platform_machine in 'armv6l armv7l armv8l'"
BITS_64 = _not(BITS_32)

# OpenCV comes under several names, which all write the folder cv2/, so that each machine shall have
# one of them. A Pi takes the one without Qt: less memory, and none of a desktop's libraries. A
# workstation, which may have edgekit-convert beside this, takes the one that onnx2tf pins.
ARM_64 = "platform_system == 'Linux' and platform_machine == 'aarch64'"
WORKSTATION = "platform_system != 'Linux' or platform_machine not in 'aarch64 armv6l armv7l armv8l'"

set_up(
    __file__,
    folder="device",
    install_requires=[
        f"edgekit-core=={VERSION}",
        f"ai-edge-litert>=2.1; {BITS_64}",
        f"tflite-runtime==2.14.0; {BITS_32}",
        f"opencv-python-headless>=4.11,<5; {ARM_64}",
        f"opencv-python>=4.11,<5; {WORKSTATION}",
        "paho-mqtt>=2.1",
    ],
)
