"""A process in which libFuzzer runs one target: `python tests/fuzz/worker.py TARGET OPTIONS…`.

Options are libFuzzer's own. Nothing of ours is imported before it is instrumented: as a module of
the package this would be too late.
"""

import io
import resource
import sys
from pathlib import Path

import atheris

# Beyond what is loaded. No input may take more, however large it says it is.
_MEMORY = 1 << 30
# Our code alone: its dependencies would cost speed, and are not what is looked at.
_INSTRUMENTED = ["edgekit", "edgekit_convert", "edgekit_device"]


class _Silent(io.TextIOBase):
    """Standard output, to which no reader may write."""

    def write(self, text: str, /) -> int:
        """Fail, with what was to be written."""
        raise AssertionError(f"written to stdout: {text!r}")


def main(name: str, options: list[str]) -> None:
    """Fuzz a target; never returns."""
    with atheris.instrument_imports(include=_INSTRUMENTED):
        from tests.fuzz.targets import TARGETS
    words = Path("/proc/self/status").read_text().split()
    used = 1024 * int(words[words.index("VmData:") + 1])
    resource.setrlimit(resource.RLIMIT_DATA, (used + _MEMORY, resource.RLIM_INFINITY))
    sys.stdout = _Silent()
    atheris.Setup([sys.argv[0], *options], TARGETS[name].run)
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
