"""`make test-pi-32`: what `make test-pi` does, on an emulated Raspberry Pi OS of 32 bits.

NumPy and OpenCV come from apt, and the runtime is tflite-runtime.
`python -m tests.pi.armhf [--cache DIR]`.
"""

from functools import partial

from tests.pi import nspawn
from tests.pi.report import main

if __name__ == "__main__":
    main(partial(nspawn.run, name="armhf"), "bookworm, armhf, in a container", __doc__)
