"""Fixtures that the whole suite shares."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hypothesis
import onnx
import pytest

from demo.fixtures import Material, make_material
from tests.signing import KeyPair

ROOT = Path(__file__).parent.parent
SHARED = ROOT.parent / "shared"
Edgekit = Callable[..., subprocess.CompletedProcess[str]]

# The same examples in each run: what fails, fails for everybody. `--hypothesis-profile default`
# looks for others. How long a machine takes to make them says nothing of the product.
hypothesis.settings.register_profile(
    "same", derandomize=True, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("same")


@pytest.fixture(scope="session")
def material() -> Material:
    """The demo's clip, pictures and trained checkpoint; made on first use, kept in build/demo."""
    return make_material(ROOT / "build" / "demo")


@pytest.fixture(scope="session")
def edgekit() -> Edgekit:
    """Run the real command in a process of its own."""

    def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "edgekit", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)

    return run


@dataclass(frozen=True)
class Conversion:
    """A run of `edgekit convert`: the file it wrote, or would have, and what it printed."""

    model: Path
    done: subprocess.CompletedProcess[str]

    @property
    def report(self) -> dict[str, Any]:
        """The JSON report beside the model."""
        found: dict[str, Any] = json.loads(self.model.with_suffix(".report.json").read_text())
        return found


# How well the demo's network comes out differs from machine to machine, and so does what int8 makes
# of its close calls. Where a test needs the file, the gate asks for what only a broken conversion
# loses.
LENIENT = (
    "--min-kept", "0.8", "--min-agreement", "0.8", "--min-snr", "8", "--max-score-change", "0.2",
)  # fmt: skip


@pytest.fixture(scope="session")
def conversion(
    material: Material, edgekit: Edgekit, tmp_path_factory: pytest.TempPathFactory
) -> Conversion:
    """The demo's checkpoint made a model file by the real command."""
    model = tmp_path_factory.mktemp("converted") / "resnet18-int8.tflite"
    done = edgekit(
        "convert", "--arch", "18", "--int8", "--weights", material.checkpoint,
        "--classes", material.classes, "--size", "64", "--crop", "1",
        "--calibration", material.calibration, "--evaluate", material.evaluation,
        "--target", "pi-zero-2w", *LENIENT, "--output", model,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return Conversion(model, done)


@pytest.fixture(scope="session")
def converted(conversion: Conversion) -> Path:
    """The model file of `conversion`."""
    return conversion.model


@pytest.fixture(scope="session")
def exported(material: Material) -> onnx.ModelProto:
    """The demo's network as PyTorch exports it."""
    # torch takes seconds to import, which most tests need not wait for.
    from edgekit_convert.graph.export import to_onnx
    from edgekit_convert.weights.checkpoint import load_file
    from edgekit_convert.weights.resnet import load

    from edgekit.model.architectures import ARCHITECTURES

    network = load(ARCHITECTURES["18"], load_file(material.checkpoint).state)
    return to_onnx(network, 64, 64)


@pytest.fixture(scope="session")
def shared() -> Path:
    """Real data that is not part of the product."""
    if not SHARED.is_dir():
        pytest.skip("needs ../shared, which holds third-party models and pictures")
    return SHARED


@pytest.fixture(scope="session")
def fake_delegate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Library of a TFLite delegate that misbehaves on request; see `fake_delegate.c`."""
    if shutil.which("gcc") is None:
        pytest.skip("needs gcc, to compile a delegate")
    library = tmp_path_factory.mktemp("delegate") / "libfake.so"
    source = ROOT / "tests" / "device" / "fake_delegate.c"
    warnings = ("-Wall", "-Wextra", "-Werror")
    command = ["gcc", "-shared", "-fPIC", "-O1", *warnings, "-o", str(library), str(source)]
    subprocess.run(command, check=True, timeout=120)
    return library


NOTES = (
    " has no manifest; ", " classes are called ", " classes have no pictures: ",
    " has no profile of pictures", "edgekit: view: the model looks at ",
)  # fmt: skip


def failure(done: subprocess.CompletedProcess[str], code: int = 1) -> str:
    """The one line that a failed command printed; asserts that it is one and no traceback."""
    assert done.returncode == code, done.stderr
    lines = [
        line
        for line in done.stderr.splitlines()
        if line.startswith("edgekit: ") or "Traceback" in line
    ]
    # What was understood of a model, which may stand above.
    lines = [line for line in lines if not any(note in line for note in NOTES)]
    assert len(lines) == 1, done.stderr
    assert done.stdout == ""
    return lines[0]


@pytest.fixture
def key(tmp_path: Path) -> KeyPair:
    """A key that signs models."""
    return KeyPair.make(tmp_path)
