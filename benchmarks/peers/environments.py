"""Every peer, and the environment that it runs in."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path("build/peers")
_REQUIREMENTS = Path(__file__).parent / "requirements"
_HERE = "edgekit"


@dataclass(frozen=True)
class Peer:
    """A way to an int8 file.

    Attributes:
        name: in the tables, and on the command line.
        tool: module of `benchmarks.peers.tools`.
        environment: a file of `requirements`, and a folder of `ROOT`; `edgekit` is this
            repository's own.
        suffix: of its file.
        variants: what the tool is told; the one with the best SNR counts.
    """

    name: str
    tool: str
    environment: str
    suffix: str
    variants: tuple[str, ...] = ("default",)

    @property
    def python(self) -> Path:
        """What runs it."""
        return environment_python(self.environment)


_PEERS = (
    Peer("edgekit", "edgekit", _HERE, ".tflite"),
    Peer("onnx2tf", "onnx2tf", _HERE, ".tflite"),
    Peer("litert", "litert", "litert", ".tflite"),
    Peer("onnxruntime", "onnxruntime", _HERE, ".onnx", ("MinMax", "Entropy", "Percentile")),
    Peer("openvino", "openvino", "openvino", ".xml"),
    Peer("pytorch", "pytorch", "pytorch", ".pt2"),
    Peer("float", "onnxruntime", _HERE, ".onnx", ("float",)),
)
PEERS = {peer.name: peer for peer in _PEERS}


def environment_python(name: str) -> Path:
    """The Python of an environment."""
    return Path(sys.executable) if name == _HERE else (ROOT / name / "bin" / "python").absolute()


def make(name: str) -> str | None:
    """Make an environment where it is not there yet; what pip said last if that cannot be done."""
    folder = ROOT / name
    ready = folder / ".ready"
    if name == _HERE or ready.is_file():
        return None
    subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
    install = [
        environment_python(name), "-m", "pip", "install", "--quiet",
        "--requirement", _REQUIREMENTS / f"{name}.txt",
    ]  # fmt: skip
    done = subprocess.run(install, capture_output=True, text=True)
    if done.returncode:
        return (done.stderr.strip() or "pip failed").splitlines()[-1]
    ready.touch()
    return None
